"""Publishing a catalogue: delivered whole, or said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from producers.catalogue import load_catalogue, publish_catalogue, withdraw
from stream import topics
from stream.errors import BrokerUnavailable, InputError, TopicError
from stream.kafka import Admin
from stream.records import Artwork, Title

if TYPE_CHECKING:
    from pathlib import Path

    from wire import Wire

    from stream.settings import Settings


def titles(count: int) -> list[Title]:
    """So many titles."""
    return [Title(f"title-{i}", f"Title {i}", 60 + i, {"drama": 1.0}, (Artwork("a", {}),)) for i in range(count)]


def test_a_file_arrives_as_it_stands(settings: Settings, wire: Wire, tmp_path: Path) -> None:
    """From the file to the topic: each title under its id, once its publication returns."""
    entries = [
        {
            "title_id": f"t-{i}",
            "name": "Ünïcode",
            "runtime_seconds": 90.5,
            "themes": {"drama": 0.5},
            "artworks": [{"artwork_id": "a", "themes": {"cast:A": 1.0}, "canvas": "wide"}],
        }
        for i in range(5)
    ]
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps(entries))
    publish_catalogue(settings, load_catalogue(file))
    assert wire.latest("catalogue") == {entry["title_id"]: entry for entry in entries}


def test_a_large_catalogue_arrives_whole(settings: Settings, wire: Wire) -> None:
    """More titles than are under way at once are all there when publishing returns."""
    publish_catalogue(settings, iter(titles(2500)))
    assert len(wire.latest("catalogue")) == 2500


def test_publishing_again_replaces_and_withdrawing_removes(settings: Settings, wire: Wire) -> None:
    """The last word on a title counts: a new version replaces it, a tombstone withdraws it, others stay."""
    publish_catalogue(settings, titles(3))
    publish_catalogue(settings, [Title("title-0", "Renamed", 60, {}, (Artwork("b", {}),))])
    withdraw(settings, ["title-1", "never-there"])
    latest = wire.latest("catalogue")
    assert set(latest) == {"title-0", "title-2"}
    assert latest["title-0"]["name"] == "Renamed"
    tombstones = [record for record in wire.read("catalogue") if record.value is None]
    assert sorted(record.key for record in tombstones) == [b"never-there", b"title-1"]
    of_one = {record.partition for record in wire.read("catalogue") if record.key == b"title-1"}
    assert len(of_one) == 1


@pytest.mark.parametrize("wrong", ["", "x" * 129, "a\n"])
def test_withdrawing_what_is_no_id_withdraws_nothing(settings: Settings, wire: Wire, wrong: str) -> None:
    """A mistyped id is refused before anything is written."""
    with pytest.raises(InputError, match="not a title's id"):
        withdraw(settings, ["title-0", wrong])
    assert wire.read("catalogue") == []


@pytest.mark.apache_kafka
def test_a_missing_topic_is_said(settings: Settings) -> None:
    """Without topics nothing is published, and the command that makes them is named."""
    elsewhere = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "elsewhere."})
    with pytest.raises(TopicError, match="run keyart topics"):
        publish_catalogue(elsewhere, titles(1))


@pytest.mark.apache_kafka
def test_a_topic_that_would_lose_titles_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue on a topic that deletes old records would vanish after a week."""
    elsewhere = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "stream."})
    with Admin(elsewhere) as admin, monkeypatch.context() as patched:
        patched.setattr(topics.Topic, "config", lambda _: {"cleanup.policy": "delete"})
        admin.create([topics.CATALOGUE])
    with pytest.raises(TopicError, match="keyart topics --repair"):
        publish_catalogue(elsewhere, titles(1))


@pytest.mark.apache_kafka
def test_titles_that_are_refused_are_said(settings: Settings, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cluster that takes smaller records than ours, the error counts what it refused; the rest is there."""
    elsewhere = settings.model_copy(update={"topic_prefix": settings.topic_prefix + "small."})
    with Admin(elsewhere) as admin, monkeypatch.context() as patched:
        patched.setattr(
            topics.Topic, "config", lambda _: {"cleanup.policy": "compact", "max.message.bytes": "1000"}
        )
        admin.create([topics.CATALOGUE])
    # Letters that do not compress: a batch is refused for its size as it is sent.
    noise = "".join(chr(0x4E00 + (i * i * 7919) % 20_000) for i in range(1500))
    large = Title("large", "Large", 60, {}, (Artwork("a", {}, image=noise),))
    with pytest.raises(BrokerUnavailable, match="only 3 of 4 records"):
        publish_catalogue(elsewhere, [*titles(3), large])


def test_a_broker_away_is_said(settings: Settings) -> None:
    """Nothing passes silently when no broker answers."""
    nowhere = settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 0.5})
    for publish in (lambda: publish_catalogue(nowhere, titles(1)), lambda: withdraw(nowhere, ["t"])):
        with pytest.raises(BrokerUnavailable, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
            publish()
