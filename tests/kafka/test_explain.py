"""``keyart explain`` on a broker: it reads of each topic what it needs, and says what was learned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import traffic

from consumers.explaining import ask
from producers.catalogue import publish_catalogue
from stream.codec import decode
from stream.kafka.keyed import partition_of
from stream.records import Title

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processes import Process
    from wire import Wire

    from stream.settings import Settings

TITLES = traffic.catalogue(titles=4, artworks=3)


def snapshot(title_id: str, version: int, published_ms: int, best: int) -> dict[str, object]:
    """What a learner may have published: one of the artworks is liked by who likes romance."""
    artworks = [
        {
            "artwork_id": f"art-{i}",
            "impressions": 50,
            "plays": 5,
            "reward": 3.5,
            "prior_mean": [0.1, 0.0],
            "mean": [0.1, 0.3 if i == best else 0.0],
            "factor": [0.01, 0.0, 0.01],
        }
        for i in range(3)
    ]
    model = {"prior_precision": [10.0, 10.0], "noise_precision": 20.0, "half_life_days": None}
    return {
        "title_id": title_id,
        "version": version,
        "published_ms": published_ms,
        "learned_through_ms": published_ms,
        "features": ["bias", "romance"],
        "model": model,
        "artworks": artworks,
    }


def test_explain(settings: Settings, wire: Wire, keyart: Callable[..., Process], tmp_path: Path) -> None:
    """For a member: who is favoured, since which snapshot, as text, JSON and picture; faults are one sentence."""
    publish_catalogue(settings, [decode(Title, json.dumps(title).encode()) for title in TITLES.values()])
    start = traffic.START_MS
    wire.send(
        ("snapshots", title_id, snapshot(title_id, version, start + 1000 * version, best))
        for version, best in enumerate([0, 2, 1, 1, 1])
        for title_id in ("title-0", "title-1", "title-2")
    )
    wire.send(
        ("tastes", name, {"member_id": name, "updated_ms": start, "views": 3, "taste": {"romance": 1.0}})
        for name in ("ann", "bob")
    )
    told, drawn = tmp_path / "why.json", tmp_path / "why.svg"
    arguments = ("--member", "ann", "--json", str(told), "--svg", str(drawn))
    said = keyart(settings, "explain", "title-1", *arguments).succeed()
    found = json.loads(told.read_text())
    assert (found["favourite"], found["since_ms"]) == ("art-1", start + 2000)
    assert not found["since_is_earliest"]
    assert found["member"]["context"] == {"romance": 1.0}
    (pull,) = [one for one in found["standings"][1]["pulls"] if one["feature"] == "romance"]
    assert (round(pull["effect"], 9), pull["prior"]) == (0.3, 0.0)
    assert "most is expected of art-1" in said
    assert ET.fromstring(drawn.read_text()).tag.endswith("svg")
    unknown = keyart(settings, "explain", "no-such-title")
    assert unknown.wait() == 65
    assert "keyart: title 'no-such-title' is not in the catalogue" in unknown.output()
    unlearned = keyart(settings, "explain", "title-3")
    assert unlearned.wait() == 65
    assert "there is no snapshot of title 'title-3'" in unlearned.output()


def test_keys_are_looked_for_where_they_lie(settings: Settings, wire: Wire) -> None:
    """Records are where the default partitioner puts them; whatever else lies there is left alone."""
    publish_catalogue(settings, [decode(Title, json.dumps(title).encode()) for title in TITLES.values()])
    wire.send([("snapshots", f"title-{i}", snapshot(f"title-{i}", 1, traffic.START_MS, 0)) for i in range(4)])
    for record in wire.read("snapshots"):
        assert partition_of(record.key, settings.partitions) == record.partition
    for title_id in TITLES:
        question = ask(settings, title_id, "nobody")
        assert question.title.title_id == title_id
        assert [one.title_id for one in question.history] == [title_id]
        assert question.taste == {}
    wire.send([("snapshots", "title-0", None), ("snapshots", "title-0", snapshot("title-0", 0, 5, 0))])
    assert [one.version for one in ask(settings, "title-0").history] == [0]
