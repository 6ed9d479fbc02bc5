"""Logs replayed onto a cluster: all of them or an error, and what the workers make of them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import Process
from wire import Wire

from consumers.embedded import EmbeddedBroker
from producers import delivery
from producers.delivery import Delivered, deliver
from producers.replay import read_lines, replay_lines
from stream.errors import BrokerUnavailable, InputError, TopicError
from stream.kafka import Admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.settings import Settings

Counts = dict[tuple[str, str], tuple[int, int]]


@pytest.fixture
def wire(settings: Settings) -> Iterator[Wire]:
    """What is on the topics."""
    wire = Wire(settings)
    yield wire
    wire.close()


def impressions(count: int, title_id: str = "t") -> bytes:
    """A log of impressions, their numbers as ids."""
    return b"".join(
        b'{"topic":"impressions","record":{"impression_id":"%d","shown_ms":%d,"member_id":"m","title_id":"%s",'
        b'"artwork_id":"a","context":{},"policy":"explore","propensity":1,"snapshot_version":null}}\n'
        % (i, i, title_id.encode())
        for i in range(count)
    )


# --- delivery


def test_a_file_is_delivered_in_its_order(settings: Settings, wire: Wire, tmp_path: Path) -> None:
    """Every line arrives, those of one key in the order of the file, with their times and unknown fields."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(impressions(7000))
    calls: list[tuple[int, int | None]] = []
    assert replay_lines(settings, file, keep_times=True, progress=lambda *call: calls.append(call)) == Delivered(
        0, 7000, 0
    )
    assert [record.value for record in wire.read("impressions")] == [o.value for o in read_lines(file)]
    assert {total for _, total in calls} == {7000}
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1][0] == 7000


def test_a_catalogue_arrives_before_what_needs_it(settings: Settings, wire: Wire, tmp_path: Path) -> None:
    """Whatever follows a title in the file is sent when the title is there."""
    title = {"title_id": "t", "name": "T", "runtime_seconds": 6000, "themes": {}}
    title["artworks"] = [{"artwork_id": "a", "themes": {}}]
    file = tmp_path / "log.jsonl"
    file.write_bytes(json.dumps({"topic": "catalogue", "record": title}).encode() + b"\n" + impressions(10))
    seen = []

    def look(done: int, _total: int | None) -> None:
        seen.append((done, len(wire.read("catalogue")), len(wire.read("impressions"))))

    assert replay_lines(settings, file, keep_times=True, progress=look) == Delivered(1, 10, 0)
    assert seen == [(1, 1, 0), (11, 1, 10)]


def test_nothing_of_a_bad_file_is_sent(settings: Settings, wire: Wire, tmp_path: Path) -> None:
    """An impression sent could not be called back, so a file is read through first."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(impressions(100) + b"{}\n")
    with pytest.raises(InputError, match=r"log\.jsonl:101: "):
        replay_lines(settings, file)
    assert wire.read("impressions") == []


def test_what_the_standard_input_held_before_a_bad_line(
    settings: Settings, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own times it is sent as it comes: the error says how many records were delivered, and they were."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(impressions(100) + b"{}\n")))
    with pytest.raises(InputError, match=r"standard input:101: .*; 100 records before it were delivered"):
        replay_lines(settings, Path("-"), keep_times=True)
    assert len(wire.read("impressions")) == 100


def test_nothing_of_a_bad_standard_input_is_sent_if_times_are_moved(
    settings: Settings, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept until its end is known, and is checked by then."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(impressions(100) + b"{}\n")))
    with pytest.raises(InputError, match=r"^standard input:101: "):
        replay_lines(settings, Path("-"))
    assert wire.read("impressions") == []


@pytest.mark.parametrize("keep_times", [True, False], ids=["times kept", "times moved"])
def test_a_pipe_is_read_once(settings: Settings, wire: Wire, tmp_path: Path, keep_times: bool) -> None:
    """What cannot be read twice is not checked first, which would leave nothing to send; or it is kept."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(impressions(100),), daemon=True)
    writer.start()
    assert replay_lines(settings, pipe, keep_times=keep_times) == Delivered(0, 100, 0)
    writer.join(10)
    assert len(wire.read("impressions")) == 100


def test_topics_that_are_missing_are_named(settings: Settings, tmp_path: Path) -> None:
    """Before anything is sent, and with what to do."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(impressions(1))
    with pytest.raises(TopicError, match=r"elsewhere\..* run keyart topics"):
        replay_lines(settings.model_copy(update={"topic_prefix": "elsewhere."}), file)


def test_a_broker_that_goes_away(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay stops at the batch that was under way, and says how many of its records are missing."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(impressions(300))
    monkeypatch.setattr(delivery, "_BATCH_RECORDS", 100)
    monkeypatch.setattr(delivery, "DELIVERY_SECONDS", 2.0)
    taken = 0
    with EmbeddedBroker() as broker:
        doomed = settings.model_copy(update={"bootstrap_servers": broker.bootstrap, "transaction_seconds": 2.0})
        with Admin(doomed) as admin:
            admin.create()

        def outputs() -> Iterator[delivery.Output]:
            nonlocal taken
            for output in read_lines(file):
                if taken == 150:
                    broker.close()
                taken += 1
                yield output

        with pytest.raises(BrokerUnavailable, match=r"^\d+ of the first 200 records were not delivered") as caught:
            deliver(doomed, outputs())
    missing = int(str(caught.value).split()[0])
    assert 50 <= missing <= 100
    assert taken == 200


# --- through the workers


def recount(sample: Path) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]], list[tuple[str, str, int]]]:
    """Impressions and clicks of each artwork, and every row's title, artwork and time; by the csv module alone."""
    with (sample / "random" / "all" / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [
        (
            f"open-bandit-all-{row['position']}",
            f"item-{row['item_id']}",
            int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1000),
        )
        for row in rows
    ]
    clicked = Counter(place[:2] for place, row in zip(shown, rows, strict=True) if row["click"] == "1")
    return Counter(place[:2] for place in shown), clicked, shown


def replay(settings: Settings, sample: Path, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Replay campaign all by the command: the last line of what it says, and the features to configure."""
    folder.mkdir(parents=True)
    command = Process(
        *(settings, folder, "replay", "--open-bandit", str(sample), "--campaign", "all", "--keep-times")
    )
    output = command.succeed(120)
    (features,) = re.findall(r"KEYART_FEATURES=(\S+)", output)
    return output.splitlines()[-1], tuple(features.split(","))


def run_to_the_end(settings: Settings, features: tuple[str, ...], folder: Path) -> None:
    """One viewing worker, then one learner that is told the features, each until its inputs are drained."""
    told = settings.model_copy(update={"features": features})
    for worker in ("viewing", "learner"):
        where = folder / worker
        where.mkdir(parents=True)
        Process(told, where, worker, "--until-drained").succeed(120)


def learned(wire: Wire) -> Counts:
    """Impressions and plays of each artwork in the last snapshots."""
    return {
        (title_id, artwork["artwork_id"]): (artwork["impressions"], artwork["plays"])
        for title_id, snapshot in wire.latest("snapshots").items()
        for artwork in snapshot["artworks"]
    }


def test_a_real_log_through_the_loop(
    settings: Settings, wire: Wire, tmp_path: Path, open_bandit_sample: Path
) -> None:
    """10,000 rows of a real log are learned exactly, artwork by artwork; replayed again, no play counts twice.

    Impressions do: what is repeated is recognised only within ``duplicate_seconds`` (60) of the latest time that
    the learner has seen on a partition, across its restart too. The log spans a week, so all of it but its last
    minute counts again.
    """
    shown, clicked, rows = recount(open_bandit_sample)
    once = f"3 titles, 10000 impressions, {clicked.total()} plays delivered"

    said, features = replay(settings, open_bandit_sample, tmp_path / "replay")
    assert said == once
    run_to_the_end(settings, features, tmp_path / "first")
    first = learned(wire)
    assert first == {place: (count, clicked[place]) for place, count in shown.items()}
    assert sum(count for count, _ in first.values()) == 10_000
    snapshots = wire.latest("snapshots").values()
    assert {tuple(snapshot["features"]) for snapshot in snapshots} == {("bias", *features)}
    assert sum(artwork["reward"] for snapshot in snapshots for artwork in snapshot["artworks"]) == clicked.total()
    assert wire.read("dead-letters") == []

    partition_of = {record.key.decode(): record.partition for record in wire.read("impressions")}
    through: Counter[int] = Counter()
    for title_id, _, shown_ms in rows:
        through[partition_of[title_id]] = max(through[partition_of[title_id]], shown_ms)
    again = Counter(
        (title_id, artwork_id)
        for title_id, artwork_id, shown_ms in rows
        if shown_ms < through[partition_of[title_id]] - 60_000
    )
    assert 9_900 < again.total() < 10_000

    assert replay(settings, open_bandit_sample, tmp_path / "replay again") == (once, features)
    run_to_the_end(settings, features, tmp_path / "second")
    assert learned(wire) == {place: (count + again[place], clicked[place]) for place, count in shown.items()}
    assert len(wire.read("rewards")) == clicked.total()
    assert wire.read("dead-letters") == []
