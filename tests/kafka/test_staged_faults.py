"""``keyart doctor`` on a real cluster: faults that were made there are named, and a sound loop has none."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
import traffic
from kafka.admin import ConfigResource, ConfigResourceType
from members import turn_all
from pydantic import SecretStr
from waiting import until

from consumers.doctor import gather
from producers.catalogue import publish_catalogue
from stream import topics
from stream.codec import decode
from stream.doctor import Severity, findings
from stream.kafka import Admin
from stream.reading.event_time import wall_clock_ms
from stream.records import Title

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processes import Process
    from wire import Wire

    from stream.doctor import Finding
    from stream.settings import Settings

pytestmark = pytest.mark.apache_kafka

MINUTE_MS = 60_000
TITLES = traffic.catalogue(titles=2, artworks=2)


def looked(settings: Settings, *, after_ms: int = 0) -> dict[str, Finding]:
    """What the doctor finds, by code, with our clock so far ahead of the true one."""
    return {one.code: one for one in findings(gather(settings, now_ms=lambda: wall_clock_ms() + after_ms))}


def without(settings: Settings, missing: topics.Topic, **changes: Any) -> Settings:
    """Settings with a prefix of their own, and all topics under it but one."""
    elsewhere = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}elsewhere."} | changes)
    with Admin(elsewhere) as admin:
        admin.create([topic for topic in topics.ALL if topic is not missing])
    return elsewhere


def alter(wire: Wire, topic: topics.Topic, **config: object) -> None:
    """Give a topic another setting behind Keyart's back."""
    name = wire.prefix + topic.name
    named = {key.replace("_", "."): str(value) for key, value in config.items()}
    resource = ConfigResource(ConfigResourceType.TOPIC, name, configs=named)
    wire.admin.alter_configs([resource])

    def known() -> bool:
        (found,) = wire.admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all"
        ).values()
        return all(found[name][key]["value"] == value for key, value in named.items())

    until(known, "the broker knows of the change")


def load_titles(settings: Settings) -> None:
    """Put the titles in the catalogue."""
    publish_catalogue(settings, [decode(Title, json.dumps(title).encode()) for title in TITLES.values()])


def shown(count: int = 40) -> list[dict[str, Any]]:
    """Impressions of just now."""
    now_ms = wall_clock_ms()
    made = traffic.impressions(random.Random(5), TITLES, count, members=10, span_ms=1000)
    return [one | {"shown_ms": now_ms - count + i} for i, one in enumerate(made)]


def test_no_broker(settings: Settings, keyart: Callable[..., Process], tmp_path: Path) -> None:
    """With no broker there the command says so and ends with 1, and so does the file for machines."""
    away = settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "connect_seconds": 0.5})
    process = keyart(away, "doctor", "--json", str(tmp_path / "findings.json"))
    assert process.wait() == 1
    assert "broker_unreachable" in process.output()
    report = json.loads((tmp_path / "findings.json").read_text())
    (fault,) = [one for one in report["findings"] if one["severity"] == "failure"]
    assert fault["code"] == "broker_unreachable"
    assert "127.0.0.1:1" in fault["what"]
    assert "bootstrap_servers" in fault["remedy"]
    assert abs(report["looked_ms"] - wall_clock_ms()) < 10 * MINUTE_MS


def test_a_fresh_cluster(settings: Settings) -> None:
    """Before anything runs the doctor names what is still to be done, and no more."""
    found = looked(settings)
    faulty = {code for code, one in found.items() if one.severity is not Severity.OK}
    assert faulty == {"worker_absent", "catalogue_empty", "no_impressions", "token_secret_weak"}
    assert found["topics"].what == "10 topics, with 3 partitions each, set as they should be"


def test_a_missing_topic(settings: Settings) -> None:
    """A topic that is not there is named in full."""
    elsewhere = without(settings, topics.REWARDS)
    assert f"{elsewhere.topic_prefix}rewards" in looked(elsewhere)["topic_missing"].what


def test_wrong_partition_counts(settings: Settings) -> None:
    """Topics that share a key and differ in partitions are named; so is a number that is not the setting's."""
    elsewhere = without(settings, topics.REWARDS)
    assert "partitions_unlike_setting" in looked(elsewhere.model_copy(update={"partitions": 5}))
    with Admin(elsewhere.model_copy(update={"partitions": 5})) as admin:
        admin.create()
    assert "rewards has 5" in looked(elsewhere)["partitions_differ"].what


@pytest.mark.parametrize(
    ("topic", "config", "code"),
    [
        (topics.LEARNER_CHANGELOG, {"cleanup_policy": "delete"}, "cleanup_policy"),
        (topics.VIEWING_CHANGELOG, {"max_message_bytes": 1_000_000}, "message_limit"),
        (topics.PLAYS, {"retention_ms": 3_600_000}, "retention_short"),
        (topics.TASTES, {"delete_retention_ms": 1000}, "topic_setting"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_topic_settings(
    settings: Settings, wire: Wire, topic: topics.Topic, config: dict[str, object], code: str
) -> None:
    """A setting that would lose or refuse records is named with its topic, and the remedy mends it."""
    alter(wire, topic, **config)
    assert wire.prefix + topic.name in looked(settings)[code].what
    with Admin(settings) as admin:
        admin.repair()
    until(lambda: code not in looked(settings), "the remedy works")


def test_a_hanging_transaction(settings: Settings, wire: Wire, transactional: Callable[[str], Any]) -> None:
    """A transaction that is open for long is named with its partition; a young one is not."""
    producer = transactional("one")
    producer.begin_transaction()
    wire.send_with(producer, "rewards", b"key", b"value", partition=1)
    producer.flush()
    assert "transaction_hanging" not in looked(settings)
    assert (
        "rewards partition 1: open for 10 min"
        in looked(settings, after_ms=10 * MINUTE_MS)["transaction_hanging"].what
    )
    producer.abort_transaction()
    until(lambda: "transaction_hanging" not in looked(settings, after_ms=10 * MINUTE_MS), "it has ended")


def test_records_that_nobody_reads(settings: Settings, wire: Wire, join: Callable[..., Any]) -> None:
    """No worker, a worker that does not get on, and records that were deleted before one had read them."""
    wire.send(("impressions", one["title_id"], one) for one in shown())
    absent = [one for one in findings(gather(settings)) if one.code == "worker_absent"]
    assert [one.what.split(",")[0] for one in absent] == ["no viewing runs", "no learner runs"]
    member = join()
    turn_all([member], lambda: wire.members("learner") == 1, "the member has joined")
    found = looked(settings, after_ms=10 * MINUTE_MS)
    assert "impressions is 10 min old" in found["worker_behind"].what


def test_records_that_are_gone(settings: Settings, wire: Wire, keyart: Callable[..., Process]) -> None:
    """What retention took before a worker had read it is counted."""
    load_titles(settings)
    wire.send(("impressions", one["title_id"], one) for one in shown(60))
    keyart(settings, "learner", "--until-drained").succeed()
    committed = wire.committed("learner")
    wire.send(("impressions", one["title_id"], one) for one in shown(30))
    ends = wire.ends("impressions")
    place = max(ends, key=lambda one: ends[one] - committed.get(one, 0))
    wire.admin.delete_records({place: ends[place]})
    found = until(lambda: looked(settings).get("unread_lost"), "the loss is seen")
    assert f"learner: {ends[place] - committed[place]} records of impressions" in found.what


def test_stale_snapshots(settings: Settings, wire: Wire) -> None:
    """Rewards that no snapshot has followed, and titles that have none at all."""
    load_titles(settings)
    hour_ago_ms = wall_clock_ms() - 60 * MINUTE_MS
    wire.send([("snapshots", "title-0", {"title_id": "title-0", "version": 3, "published_ms": hour_ago_ms})])
    assert "snapshots_stale" not in looked(settings)
    wire.send(("rewards", one["title_id"], one) for one in traffic.rewards(random.Random(5), shown()))
    found = looked(settings)
    assert "the newest snapshot is 60 min old" in found["snapshots_stale"].what
    assert found["titles_without_snapshot"].what == "1 of 2 titles: title-1"


@pytest.mark.parametrize(("after_minutes", "code"), [(-1, "clock_skew"), (-10, "clock_wrong")])
def test_a_clock_that_is_behind(settings: Settings, wire: Wire, after_minutes: int, code: str) -> None:
    """Records from our future mean that our clock is wrong."""
    wire.send(("impressions", one["title_id"], one) for one in shown(5))
    assert "ahead of this clock" in looked(settings, after_ms=after_minutes * MINUTE_MS)[code].what


def test_a_sound_loop(settings: Settings, wire: Wire, keyart: Callable[..., Process]) -> None:
    """With workers running and events coming in there is nothing to fault; a broken record is counted."""
    sound = settings.model_copy(update={"token_secrets": (SecretStr("0123456789abcdef" * 2),)})
    load_titles(sound)
    workers = [keyart(sound, name, "--ready") for name in ("learner", "viewing")]
    for worker in workers:
        worker.wait_ready()
    made = [one | {"shown_ms": one["shown_ms"] - 30 * MINUTE_MS} for one in shown(200)]
    played = [one for one in traffic.plays(random.Random(5), made) if one["played_ms"] < wall_clock_ms()]
    wire.send(("impressions", one["title_id"], one) for one in made)
    wire.send(("plays", one["member_id"], one) for one in played)

    def faulty() -> list[str]:
        return [one.what for one in looked(sound).values() if one.severity is not Severity.OK]

    until(lambda: not faulty(), "nothing is faulty")
    found = looked(sound)
    assert found["workers"].what == "1 viewing keeps up, 1 learner keeps up"
    assert found["catalogue"].what == "2 titles, each with a snapshot"
    wire.send([("impressions", "title-0", b"no record")])
    until(lambda: "dead_letters_come" in looked(sound), "the dead letter is seen")
    assert looked(sound)["dead_letters_come"].what.startswith("1 within the last hour")
