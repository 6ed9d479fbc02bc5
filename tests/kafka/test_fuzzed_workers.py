"""Ten thousand hostile records through running workers: none stops, none is lost, and what is mended counts."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import traffic
from hostile import never_a_record
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Process
    from wire import Wire

    from stream.settings import Settings

Fields = dict[str, Any]
HOSTILE = 10_000
TITLES = traffic.catalogue(4)


def learned(wire: Wire) -> dict[tuple[str, str], tuple[int, float]]:
    """Impressions and rewards of each artwork, as they were published last."""
    return {
        (title_id, artwork["artwork_id"]): (artwork["impressions"], artwork["reward"])
        for title_id, snapshot in wire.latest("snapshots").items()
        for artwork in snapshot["artworks"]
        if artwork["impressions"]
    }


def expected(
    shown: list[dict[str, Any]], rewarded: list[dict[str, Any]]
) -> dict[tuple[str, str], tuple[int, float]]:
    """The same, counted from the records."""
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for one, count, credit in [(one, 1, 0.0) for one in shown] + [(one, 0, one["credit"]) for one in rewarded]:
        name = one["title_id"], one["artwork_id"]
        before = found.get(name, (0, 0.0))
        found[name] = before[0] + count, before[1] + credit
    return found


def test_hostile_records_are_dead_letters_and_their_neighbours_are_learned(
    settings: Settings, wire: Wire, keyart: Callable[..., Process]
) -> None:
    """Each of 10,000 is a dead letter once, with its bytes; the good ones count; mended ones count as well."""
    rng = random.Random(11)
    ours = settings.model_copy(update={"impressions_per_hour": 0})
    wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
    shown = traffic.impressions(rng, TITLES, 3000)
    rewarded = [
        {name: value for name, value in one.items() if name not in ("member_id", "snapshot_version")}
        | {"credited_ms": one["shown_ms"] + 1000, "credit": 0.5, "reward": 0.5}
        for one in shown[::10]
    ]
    broken = [
        (topic, one) for topic, some in (("impressions", shown[:200]), ("rewards", rewarded[:20])) for one in some
    ]
    sent = [("impressions", one["title_id"], one) for one in shown[200:]]
    sent += [("rewards", one["title_id"], one) for one in rewarded[20:]]
    bad = []
    for i in range(HOSTILE):
        topic, good = broken[i % len(broken)]
        bad.append((topic, good["title_id"], never_a_record(rng, good)))
    everything = sent + bad
    rng.shuffle(everything)
    worker = keyart(ours, "learner", "--ready")
    wire.send(everything)
    until(lambda: wire.drained("learner", ("impressions", "rewards")), "everything is read", 120)
    until(lambda: learned(wire) == expected(shown[200:], rewarded[20:]), "the good ones are published", 30)
    letters = wire.read("dead-letters")
    found = sorted(
        (dict(one.headers)["keyart.topic"].decode().removeprefix(wire.prefix), one.key, one.value)
        for one in letters
    )
    assert found == sorted((topic, key.encode(), value) for topic, key, value in bad)
    places = {tuple(value for name, value in one.headers if name != "keyart.reason") for one in letters}
    assert len(places) == HOSTILE
    wire.send((topic, one["title_id"], one) for topic, one in broken)
    until(lambda: learned(wire) == expected(shown, rewarded), "what was mended is published", 60)
    assert worker.running
    assert json.dumps(bad[0][2].decode(errors="replace")) not in worker.output()


def _topic(letter: Any) -> str:
    """The topic that a dead letter was read from."""
    return str(dict(letter.headers)["keyart.topic"], "utf-8")
