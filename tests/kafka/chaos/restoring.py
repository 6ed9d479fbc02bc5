"""How soon a worker is back with all it knew, how soon it refuses, and how soon it is gone."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import OffsetAndMetadata
from processes import Process
from waiting import until

from consumers.embedded import free_port

from .report import Row

if TYPE_CHECKING:
    from wire import Wire

    from stream.settings import Settings

    from .stage import Stage

TITLES, ARTWORKS, THEMES = 10_000, 9, 12
_RESTORE_SECONDS = 10.0
_REFUSE_SECONDS = 5.0
_LEAVE_SECONDS = 10.0
_INPUTS = ("impressions", "rewards")


def restore(stage: Stage, times: int, titles: int = TITLES, within: float = _RESTORE_SECONDS) -> Row:
    """One learner restores every partition; the tail of the changelog is an aborted transaction."""
    row = Row("restore", f"a learner restores {titles:,} titles with {ARTWORKS} artworks each")
    row.counted, row.lost, row.twice = titles, 0, 0
    with stage.wire() as wire:
        stage.say("writing what is to be restored")
        fill(wire, stage.settings, titles)
        for number in range(times):
            port = free_port()
            folder = stage.folder / f"restored-{number}"
            folder.mkdir(parents=True)
            learner = Process(
                stage.settings.model_copy(update={"metrics_port": port}), folder, "learner", "--ready"
            )
            begun = time.monotonic()
            try:
                learner.wait_ready(180)
                ready = time.monotonic() - begun
                took = scraped(port)["keyart_worker_restore_seconds_sum"]
                row.require(took <= within, f"it took {took:.1f} s")
                row.took(took)
                row.told.append(f"restored in {took:.1f} s; ready {ready:.1f} s after its start")
                row.times += 1
            finally:
                learner.kill()
    return row


def retention(stage: Stage, times: int) -> Row:
    """Input is deleted before it was learned: whoever comes back says so."""
    row = Row("retention", "records are deleted before they were learned, then a worker starts; a clear failure")
    cases = (("learner", "impressions"), ("viewing", "plays"), ("learner", "rewards"))[:times]
    with stage.fleet() as fleet, stage.pressure() as pressure:
        stage.settle(row, fleet, pressure)
    with stage.wire() as wire, stage.pressure() as again:
        again.allow(1.0)
        until(lambda: again.finished, "more is written", 60)
        wire.send(("rewards", title_id, {}) for title_id in stage.titles)
        for number, (kind, topic) in enumerate(cases):
            ends = {place: end for place, end in wire.ends(topic).items() if end}
            wire.admin.delete_records(ends)
            folder = stage.folder / f"refused-{number}"
            folder.mkdir(parents=True)
            port = free_port()
            settings = stage.settings.model_copy(update={"metrics_port": port})
            begun = time.monotonic()
            worker = Process(settings, folder, kind)
            # The five seconds are the worker's; the interpreter's own start is the machine's.
            until(lambda worker=worker, port=port: not worker.running or _answers(port), "it has started", 60)
            started = time.monotonic()
            code = worker.wait(60)
            took = time.monotonic() - started
            row.took(took)
            row.told.append(
                f"{topic}: refused {took:.1f} s after the worker's start, {time.monotonic() - begun:.1f} s in all"
            )
            said = worker.output()
            row.require(code == 70, f"the {kind} ended with {code}: {said[-500:]}")
            row.require("were deleted before they were learned" in said, f"the {kind} said: {said[-500:]}")
            row.require(took <= _REFUSE_SECONDS, f"the {kind} took {took:.1f} s to refuse")
            row.times += 1
    return row


def leaving(stage: Stage, times: int) -> Row:
    """SIGTERM at work, with the broker frozen, and with the broker gone."""
    row = Row("leaving", "a learner is asked to leave: at work, with the broker frozen, with the broker gone")
    for what in ("at work", "frozen", "gone")[:times]:
        folder = stage.folder / f"leaving-{row.times}"
        folder.mkdir(parents=True)
        learner = Process(stage.settings, folder, "learner", "--ready")
        try:
            with stage.pressure() as pressure:
                learner.wait_ready(60)
                pressure.allow(1.0)
                until(lambda pressure=pressure: pressure.written > stage.impressions // 2, "there is work", 60)
                if what == "frozen":
                    stage.broker.freeze()
                elif what == "gone":
                    stage.broker.kill()
                begun = time.monotonic()
                learner.terminate()
                code = learner.wait(30)
                took = time.monotonic() - begun
                stage.broker.revive()
        finally:
            stage.broker.revive()
            if learner.running:
                learner.kill()
        row.took(took)
        row.told.append(f"{what}: gone after {took:.1f} s with {code}")
        row.require(took < _LEAVE_SECONDS, f"{what}: it took {took:.1f} s")
        row.require(code == 0 if what == "at work" else code in (0, 75), f"{what}: it ended with {code}")
        row.require("Traceback" not in learner.output(), learner.output()[-500:])
        row.times += 1
        with stage.wire() as wire:
            row.require(what != "at work" or wire.members("learner") == 0, "it is still a member of its group")
    with stage.fleet() as fleet, stage.pressure() as pressure:
        stage.settle(row, fleet, pressure)
    return row


def scraped(port: int) -> dict[str, float]:
    """What a worker tells Prometheus, by series."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def _answers(port: int) -> bool:
    try:
        return bool(scraped(port))
    except OSError:
        return False


def fill(wire: Wire, settings: Settings, titles: int) -> None:
    """Write a catalogue, and a changelog as learners would have; at its end is a transaction that was aborted."""
    themes = [f"theme-{i}" for i in range(THEMES)]
    of_title = {
        "name": "A title",
        "runtime_seconds": 6000,
        "themes": dict.fromkeys(themes, 0.5),
        "artworks": [{"artwork_id": f"art-{a}", "themes": {themes[a]: 1.0}} for a in range(ARTWORKS)],
    }
    names = [f"title-{number}" for number in range(titles)]
    for first in range(0, titles, 1000):
        wire.send(("catalogue", name, of_title | {"title_id": name}) for name in names[first : first + 1000])
    producer = KafkaProducer(
        bootstrap_servers=wire.servers,
        transactional_id=f"{wire.prefix}fill",
        compression_type="lz4",
        max_request_size=16 * 1024 * 1024,
        batch_size=1024 * 1024,
    )
    topic = wire.prefix + "learner-changelog"
    producer.init_transactions()
    states = [_state(np.random.default_rng(number), ["bias", *themes]) for number in range(20)]
    for first in range(0, titles + 500, 500):
        producer.begin_transaction()
        for number in range(first, first + 500):
            name = names[number % titles]
            value = states[number % len(states)] | {"title_id": name}
            producer.send(topic, key=name.encode(), value=json.dumps(value).encode())
        producer.flush()
        if first < titles:
            producer.commit_transaction()
        else:
            producer.abort_transaction()
    producer.begin_transaction()
    for partition in range(settings.partitions):
        position = {"format": 1, "next": dict.fromkeys(_INPUTS, 0)}
        producer.send(topic, key=b"\x00position", value=json.dumps(position).encode(), partition=partition)
    producer.commit_transaction()
    producer.begin_transaction()
    for name in names[:500]:
        producer.send(topic, key=name.encode(), value=b"never committed")
    producer.flush()
    producer.abort_transaction()
    producer.close()
    group = KafkaConsumer(
        bootstrap_servers=wire.servers, group_id=f"{wire.prefix}learner", enable_auto_commit=False
    )
    places = [place for name in _INPUTS for place in wire.places(name)]
    group.assign(places)
    group.commit({place: OffsetAndMetadata(0, "", -1) for place in places})
    group.close()


def _state(rng: np.random.Generator, features: list[str]) -> dict[str, Any]:
    """A title's sums in the changelog's format, of 200 impressions an artwork."""
    artworks = []
    for number in range(ARTWORKS):
        x = np.column_stack([np.ones(200), rng.random((200, len(features) - 1))])
        r = rng.random(200) * (rng.random(200) < 0.1)
        gram = x.T @ x
        artworks.append(
            {
                "artwork_id": f"art-{number}",
                "impressions": len(x),
                "plays": int((r > 0).sum()),
                "reward": float(r.sum()),
                "gram": gram[np.tril_indices(len(features))].tolist(),
                "moment": (x.T @ r).tolist(),
            }
        )
    version = sum(artwork["impressions"] + artwork["plays"] for artwork in artworks)
    learned_ms = time.time_ns() // 1_000_000
    return {
        "format": 1,
        "title_id": "",
        "version": version,
        "learned_through_ms": learned_ms,
        "features": features,
        "artworks": artworks,
    }
