"""The doctor: each fault is named by its code, with what was seen and what to do; a sound deployment has none."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stream import access, doctor, topics
from stream.doctor import (
    FAULTS,
    ClockReading,
    Facts,
    GroupFacts,
    PartitionFacts,
    Refusal,
    Severity,
    TitleFacts,
    TopicFacts,
    findings,
)
from stream.doctor.cluster import PUBLIC_SECRETS
from stream.settings import load

ROOT = Path(__file__).parent.parent
NOW_MS = 1_760_000_000_000
SECOND_MS, HOUR_MS, DAY_MS = 1000, 3_600_000, 86_400_000
SECRET = "1f0c9a7be3d2846512de0fa1b7c3958e"
AWAY = {"bootstrap_servers": "kafka-1.example.com:9092", "security_protocol": "SSL"}


def settings(**changes: Any):
    """Settings that nothing is wrong with."""
    return load(**({"token_secrets": (SECRET,), "partitions": 3} | changes))


def partition(**changes: Any) -> PartitionFacts:
    """A partition with 100 records, the newest a second old."""
    given: dict[str, Any] = {"begin": 0, "stable": 100, "end": 100, "newest_ms": NOW_MS - SECOND_MS}
    return PartitionFacts(**(given | changes))


def topic(which: topics.Topic, *, count: int = 3, **changes: Any) -> TopicFacts:
    """A topic as ``keyart topics`` makes it; changes are of each partition."""
    lately = 0 if which is topics.DEAD_LETTERS else 300
    return TopicFacts(tuple(partition(**changes) for _ in range(count)), which.config(), lately)


def sound(**changes: Any) -> Facts:
    """A deployment that nothing is wrong with; topics that are named are changed, the others stay."""
    group = GroupFacts(members=2, committed={("plays", 0): 100})
    given: dict[str, Any] = {
        "now_ms": NOW_MS,
        "settings": settings(),
        "topics": {one.name: topic(one) for one in topics.ALL} | changes.pop("topics", {}),
        "groups": {"viewing": group, "learner": group} | changes.pop("groups", {}),
        "titles": {"film": "The film"},
        "snapshots": {"film": TitleFacts(7, NOW_MS - SECOND_MS)},
        "clock": (ClockReading("plays", NOW_MS - 500, NOW_MS - 900, NOW_MS),),
    }
    return Facts(**(given | changes))


def without(name: str) -> dict[str, TopicFacts]:
    """The topics but for one."""
    return {one.name: topic(one) for one in topics.ALL if one.name != name}


def configured(which: topics.Topic, **config: object) -> dict[str, TopicFacts]:
    """One topic with other settings."""
    named = {key.replace("_", "."): str(value) for key, value in config.items()}
    return {which.name: replace(topic(which), config=which.config() | named)}


def lately(**counts: int) -> dict[str, TopicFacts]:
    """Topics with so many records of the last hour."""
    by_name = {one.name: one for one in topics.ALL}
    short = {name.replace("_", "-"): count for name, count in counts.items()}
    return {name: replace(topic(by_name[name]), lately=count) for name, count in short.items()}


#: Facts, and what is to be found in them: the code, and something that the sentence must say.
STAGED: dict[str, tuple[Facts, str, str]] = {
    "a setting is wrong": (
        Facts(NOW_MS, settings_error="partitions: input should be a valid integer (got 'many')"),
        "settings_refused",
        "partitions: input",
    ),
    "no key for tokens": (sound(settings=settings(token_secrets=())), "token_secrets_missing", "not set"),
    "the key of the compose file": (
        sound(settings=settings(token_secrets=(SECRET, *PUBLIC_SECRETS))),
        "token_secret_public",
        "secret 2 of 2",
    ),
    "a short key": (sound(settings=settings(token_secrets=("correct horse battery",))), "token_secret_weak", "21"),
    "a key that repeats itself": (
        sound(settings=settings(token_secrets=("ab" * 20,))),
        "token_secret_weak",
        "2 diff",
    ),
    "no TLS to a broker elsewhere": (
        sound(settings=settings(bootstrap_servers="127.0.0.1:9092,kafka-1.example.com:9092")),
        "kafka_in_clear",
        "kafka-1.example.com",
    ),
    "an open node": (sound(settings=settings(http_host="0.0.0.0")), "http_open", "0.0.0.0"),
    "nobody explores": (sound(settings=settings(explore_share=0)), "nothing_explores", "explore_share"),
    "no broker": (
        Facts(NOW_MS, settings(), unreachable="no Kafka broker answers at 127.0.0.1:9092"),
        "broker_unreachable",
        "127.0.0.1:9092",
    ),
    "a login that fails": (
        Facts(NOW_MS, settings(), login_refused="the cluster and user 'ann' do not agree"),
        "login_refused",
        "'ann'",
    ),
    "a partition without a leader": (
        sound(topics={"plays": topic(topics.PLAYS, has_leader=False)}),
        "partition_offline",
        "plays-0, plays-1",
    ),
    "copies that are behind": (
        sound(topics={"plays": topic(topics.PLAYS, replicas=3, in_sync=2)}),
        "under_replicated",
        "plays-0",
    ),
    "one copy on three brokers": (sound(brokers=3), "single_replica", "3 brokers"),
    "one copy on a broker elsewhere": (sound(settings=settings(**AWAY)), "single_replica", "1 broker"),
    "one of three copies is enough": (
        sound(
            topics={
                "plays": replace(
                    topic(topics.PLAYS, replicas=3, in_sync=3),
                    config=topics.PLAYS.config() | {"min.insync.replicas": "1"},
                )
            }
        ),
        "one_copy_enough",
        "plays",
    ),
    "a topic is hidden": (
        sound(topics={}, refusals=(Refusal("topic 'keyart.plays'", "we may not describe it"),)),
        "permission_refused",
        "topic 'keyart.plays'",
    ),
    "a learner may not write snapshots": (
        sound(
            role="learner",
            topics={
                "snapshots": replace(topic(topics.SNAPSHOTS), operations=frozenset({"Read", "DescribeConfigs"}))
            },
        ),
        "permission_missing",
        "Write topic 'snapshots'",
    ),
    "a learner may not join its group": (
        sound(role="learner", groups={"learner": GroupFacts(members=1, operations=frozenset({"Describe"}))}),
        "permission_missing",
        "Read group 'learner'",
    ),
    "a topic is missing": (
        replace(sound(), topics=without("rewards")),
        "topic_missing",
        "keyart.rewards",
    ),
    "rewards with five partitions": (
        sound(topics={"rewards": topic(topics.REWARDS, count=5)}),
        "partitions_differ",
        "3 partitions, but rewards has 5",
    ),
    "another number than the setting": (
        sound(settings=settings(partitions=9)),
        "partitions_unlike_setting",
        "3 partitions, the setting is 9",
    ),
    "a changelog that deletes": (
        sound(topics=configured(topics.LEARNER_CHANGELOG, cleanup_policy="compact,delete")),
        "cleanup_policy",
        "learner-changelog has cleanup.policy=compact,delete",
    ),
    "a changelog that refuses large records": (
        sound(topics=configured(topics.LEARNER_CHANGELOG, max_message_bytes=1_048_588)),
        "message_limit",
        "1048588",
    ),
    "plays that are gone before they count": (
        sound(topics=configured(topics.PLAYS, retention_ms=6 * HOUR_MS)),
        "retention_short",
        "6 h",
    ),
    "a longer attribution than retention": (
        sound(settings=settings(attribution_hours=24 * 20)),
        "retention_short",
        "20.0 days",
    ),
    "dead letters kept for a day": (
        sound(topics=configured(topics.DEAD_LETTERS, retention_ms=DAY_MS)),
        "topic_setting",
        "dead-letters",
    ),
    "tombstones that go at once": (
        sound(topics=configured(topics.TASTES, delete_retention_ms=1000)),
        "topic_setting",
        "delete.retention.ms=1000",
    ),
    "a transaction left open": (
        sound(topics={"rewards": topic(topics.REWARDS, stable=40, open_since_ms=NOW_MS - HOUR_MS)}),
        "transaction_hanging",
        "60 min at offset 40, 60 records behind it",
    ),
    "no learner": (
        sound(groups={"learner": GroupFacts(members=0, unread_since_ms={("rewards", 1): NOW_MS - 90_000})}),
        "worker_absent",
        "no learner runs, 90 s of records wait",
    ),
    "a learner that is behind": (
        sound(groups={"learner": GroupFacts(members=1, unread_since_ms={("rewards", 1): NOW_MS - HOUR_MS})}),
        "worker_behind",
        "rewards is 60 min old",
    ),
    "a learner that loses the race": (
        sound(groups={"learner": GroupFacts(members=1, unread_since_ms={("rewards", 1): NOW_MS - 4 * DAY_MS})}),
        "worker_far_behind",
        "4.0 days old, and records are deleted after 7.0 days",
    ),
    "a learner that has lost it": (
        sound(
            topics={"impressions": topic(topics.IMPRESSIONS, begin=30)},
            groups={"learner": GroupFacts(members=1, committed={("impressions", 2): 10})},
        ),
        "unread_lost",
        "20 records of impressions",
    ),
    "our clock is behind": (
        sound(clock=(ClockReading("plays", NOW_MS + 40 * SECOND_MS, NOW_MS - 900, NOW_MS),)),
        "clock_skew",
        "40 s ahead of",
    ),
    "our clock is ahead": (
        sound(clock=(ClockReading("plays", NOW_MS - 60 * SECOND_MS, NOW_MS - 900, NOW_MS),)),
        "clock_skew",
        "59 s behind",
    ),
    "records from the future": (
        sound(clock=(), topics={"plays": topic(topics.PLAYS, newest_ms=NOW_MS + HOUR_MS)}),
        "clock_wrong",
        "60 min ahead of",
    ),
    "an empty catalogue": (sound(titles={}, snapshots={}), "catalogue_empty", "no title"),
    "a title that nobody has learned": (
        sound(titles={"film": "The film", "series": "The series"}),
        "titles_without_snapshot",
        "1 of 2 titles: series",
    ),
    "snapshots that stay behind": (
        sound(snapshots={"film": TitleFacts(7, NOW_MS - 2 * HOUR_MS)}),
        "snapshots_stale",
        "the newest snapshot is 2 h old, the newest reward 1 s",
    ),
    "rewards, then silence": (
        sound(
            topics={"rewards": topic(topics.REWARDS, newest_ms=NOW_MS - HOUR_MS)},
            snapshots={"film": TitleFacts(7, NOW_MS - HOUR_MS - SECOND_MS)},
        ),
        "snapshots_stale",
        "the newest reward 60 min",
    ),
    "no impressions at all": (
        sound(topics={"impressions": topic(topics.IMPRESSIONS, stable=0, end=0, newest_ms=None)}),
        "no_impressions",
        "there are no impressions",
    ),
    "no impressions today": (sound(topics=lately(impressions=0)), "no_impressions", "within the last hour"),
    "no plays": (sound(topics=lately(plays=0)), "no_plays", "300 impressions"),
    "plays without rewards": (sound(topics=lately(rewards=0)), "no_rewards", "300 plays"),
    "a few dead letters": (sound(topics=lately(dead_letters=2)), "dead_letters_come", "2 within the last hour"),
    "many dead letters": (sound(topics=lately(dead_letters=50)), "dead_letters_many", "50 within the last hour"),
}


@pytest.fixture(autouse=True)
def _no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keyart.toml lies here."""
    monkeypatch.chdir(tmp_path)


def test_a_sound_deployment_has_no_fault():
    """Every subject is looked at, and said to be well, by the subject's own name."""
    found = findings(sound())
    assert {finding.severity for finding in found} == {Severity.OK}, [finding.what for finding in found]
    assert [finding.subject for finding in found] == list(dict.fromkeys(fault.subject.value for fault in FAULTS))
    assert all(finding.what and not finding.remedy for finding in found)


@pytest.mark.parametrize(("facts", "code", "said"), STAGED.values(), ids=STAGED)
def test_a_staged_fault_is_named(facts, code, said):
    """The fault is found, alone in its subject, with what was seen and with the remedy of the table."""
    fault = next(fault for fault in FAULTS if fault.code == code)
    found = [finding for finding in findings(facts) if finding.subject == fault.subject.value]
    assert [finding.code for finding in found] == [code] * len(found)
    assert found
    assert any(said in finding.what for finding in found), [finding.what for finding in found]
    assert all((one.severity, one.remedy) == (fault.severity, fault.remedy) for one in found)


def test_every_fault_is_staged():
    """None of the faults is one that nobody has seen found."""
    assert {fault.code for fault in FAULTS} == {code for _, code, _ in STAGED.values()}


def test_only_one_subject_has_a_fault():
    """A staged fault is told once: nothing else is called faulty because of it."""
    also = {"no TLS to a broker elsewhere": {"single_replica"}}
    for name, (facts, code, _) in STAGED.items():
        faulty = {finding.code for finding in findings(facts) if finding.severity is not Severity.OK}
        assert faulty == {code} | also.get(name, set()), name


def test_nothing_is_said_of_what_cannot_be_seen():
    """Without a broker there is no word of topics, workers or titles."""
    found = findings(Facts(NOW_MS, settings(), unreachable="no broker answers"))
    assert [finding.subject for finding in found] == ["settings", "broker"]


@pytest.mark.parametrize("age_ms", [0, 2 * SECOND_MS, 59 * SECOND_MS])
def test_what_is_young_is_on_its_way(age_ms):
    """Within a minute nobody is behind, no snapshot is stale and no transaction hangs."""
    facts = sound(
        topics={"rewards": topic(topics.REWARDS, stable=40, open_since_ms=NOW_MS - age_ms // 2)},
        groups={"learner": GroupFacts(members=1, unread_since_ms={("rewards", 0): NOW_MS - age_ms})},
        snapshots={"film": TitleFacts(7, NOW_MS - SECOND_MS - age_ms)},
    )
    assert {finding.severity for finding in findings(facts)} == {Severity.OK}


def test_a_role_with_its_rights_has_no_fault():
    """What access.py gives a role is all that the doctor asks for."""
    for role, grants in access.ROLES.items():
        may = {
            name: frozenset(one for grant in grants if name in grant.names for one in grant.operations)
            for name in [one.name for one in topics.ALL]
        }
        given = {one.name: replace(topic(one), operations=may[one.name]) for one in topics.ALL}
        assert {finding.severity for finding in findings(sound(role=role, topics=given))} == {Severity.OK}


def test_the_public_key_is_the_compose_files():
    """A key that the doctor knows to be public is one that is printed."""
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert all(f":-{secret}}}" in compose for secret in PUBLIC_SECRETS)


def test_the_documented_table_is_the_present_one():
    """docs/doctor.md lists every fault as it is."""
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert doctor.table() in text


def test_codes_are_stable_names():
    """A code is one word for machines, and never given twice."""
    codes = [fault.code for fault in FAULTS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", code) for code in codes)
