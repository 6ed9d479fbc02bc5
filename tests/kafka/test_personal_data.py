"""Members' ids: where they may be, that they are nowhere else, and that a member can be forgotten."""

from __future__ import annotations

import json
import logging
import random
import re
import urllib.request
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import traffic
from waiting import until

from consumers.embedded import free_port
from producers import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Process
    from wire import Wire

    from stream.settings import Settings

#: No id holds these by accident.
MARK = "zq-member-to-be-kept-quiet"
#: By the contract, ids are here; dead letters are records as they came.
MAY_HOLD_IDS = ("impressions", "plays", "tastes", "viewing-changelog", "dead-letters")
MUST_NOT = ("snapshots", "learner-changelog", "shared-prior", "rewards", "catalogue")
TITLES = traffic.catalogue(titles=3)


def marked(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Records whose members can be recognised wherever they turn up."""
    return json.loads(json.dumps(records).replace('"member-', f'"{MARK}-'))


def holds(wire: Wire, topic: str) -> int:
    """How many records of a topic, committed or not, hold a member's id: in key, value or a header."""
    return sum(
        MARK.encode() in (record.key or b"") + (record.value or b"") + repr(record.headers).encode()
        for record in wire.read(topic, committed=False)
    )


def page(port: int) -> str:
    """What Prometheus is told."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.apache_kafka
def test_ids_are_where_they_may_be_and_nowhere_else(
    settings: Settings, wire: Wire, keyart: Callable[..., Process], caplog: pytest.LogCaptureFixture
) -> None:
    """A full run with all logged that can be, bad records and requests included; then everything is searched."""
    rng = random.Random(41)
    wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
    loud = settings.model_copy(update={"log_level": "debug"})
    ports = [free_port(), free_port()]
    workers = [
        keyart(loud.model_copy(update={"metrics_port": port}), job, "--ready")
        for job, port in zip(("viewing", "learner"), ports, strict=True)
    ]
    node = keyart(loud.model_copy(update={"http_port": 0}), "serving")
    shown = marked(traffic.impressions(rng, TITLES, 300))
    played = marked(traffic.plays(rng, shown))
    bad = [
        (topic, key, value)
        for topic in ("plays", "impressions")
        for key, value in traffic.malformed(shown[0], topic)
    ]
    wire.send(("impressions", one["title_id"], one) for one in shown)
    wire.send(("plays", one["member_id"], one) for one in played)
    wire.send(bad)

    url = until(lambda: re.search(r"serving on (http://\S+)", node.output()), "the node announces itself")[1]
    with httpx2.Client(base_url=url, timeout=20) as http:
        asked = {"member_id": f"{MARK}-1", "title_ids": sorted(TITLES)}
        tokens = [choice["token"] for choice in http.post("/choose", json=asked).json()["choices"]]
        assert http.post("/impressions", json={"tokens": tokens}).status_code == 202
        assert http.post("/plays", json={"token": tokens[0], "watched_seconds": 3000.0}).status_code == 202
        assert http.post("/plays", json={"token": tokens[0] + "x", "watched_seconds": 1.0}).status_code == 403
        assert http.post("/choose", json=asked | {"title_ids": 7}).status_code == 400
        assert http.post(f"/choose?member_id={MARK}-1", content=b"\xff").status_code == 400
        assert http.get(f"/{MARK}-1").status_code == 404
        with caplog.at_level(logging.DEBUG), EventProducer(loud) as events:  # an app that logs all it can
            assert events.impression_token(tokens[1])
            assert events.play(tokens[1], 2000.0)
            events.flush(20)
        for worker in workers:
            worker.wait_ready()
        until(lambda: wire.drained("viewing", ("plays",)), "every play is credited")
        until(lambda: wire.drained("learner", ("impressions", "rewards")), "everything is learned")
        until(lambda: set(wire.latest("snapshots")) == set(TITLES), "every title is published")
        pages = [*map(page, ports), http.get("/metrics").text, http.get("/titles").text]
    for process in (*workers, node):
        process.terminate()
        process.succeed(15)

    for topic in MAY_HOLD_IDS:
        assert holds(wire, topic) > 0, "the search would find nothing"
    for topic in MUST_NOT:
        assert wire.read(topic)
        assert holds(wire, topic) == 0
    said = [process.output() for process in (*workers, node)]
    assert all('"level": "debug"' in output or '"level": "info"' in output for output in said)
    assert all("keyart_" in one for one in pages[:3])
    assert MARK not in "".join((*pages, *said, caplog.text))


def test_a_member_is_forgotten(settings: Settings, wire: Wire, keyart: Callable[..., Process]) -> None:
    """Taste and state are gone, from a running node at once and for a worker that comes next; others stay."""
    ann, bob = "ann", "bob"
    wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
    title = TITLES["title-0"]

    def play(member_id: str, play_id: str) -> None:
        fields = {"play_id": play_id, "played_ms": traffic.START_MS, "member_id": member_id, "impression": None}
        wire.send([("plays", member_id, fields | {"title_id": title["title_id"], "watched_seconds": 3000.0})])

    play(ann, "p1")
    play(bob, "p2")
    worker = keyart(settings, "viewing", "--ready")
    node = keyart(settings.model_copy(update={"http_port": 0}), "serving")
    url = until(lambda: re.search(r"serving on (http://\S+)", node.output()), "the node announces itself")[1]
    until(lambda: set(wire.latest("tastes")) == {ann, bob}, "both have a taste")

    def context(member_id: str) -> dict[str, float]:
        asked = {"member_id": member_id, "title_id": title["title_id"]}
        found: dict[str, float] = httpx2.post(f"{url}/choose", json=asked).json()["choices"][0]["context"]
        return found

    until(lambda: context(ann) and context(bob), "the node knows both")
    said = keyart(settings, "forget", ann).succeed()
    assert ann not in said
    assert "impressions for 7 days, plays for 7 days, dead-letters for 14 days" in said
    until(lambda: not context(ann), "the node has forgotten the member")
    assert context(bob)
    assert set(wire.latest("tastes")) == {bob}
    assert {key for key in wire.latest("viewing-changelog") if key in {ann, bob}} == {bob}
    until(lambda: wire.drained("viewing", ("plays",)), "the wish is committed")
    worker.terminate()
    worker.succeed(15)

    # Whoever restores the state finds nothing of the member: the next play is the first.
    play(ann, "p3")
    play(bob, "p4")
    keyart(settings, "viewing", "--until-drained").succeed()
    assert {member: taste["views"] for member, taste in wire.latest("tastes").items()} == {ann: 1, bob: 2}
    assert wire.read("dead-letters") == []
