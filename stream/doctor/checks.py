"""From what is seen to what is wrong: one function a subject, each of the facts alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream import access
from stream.doctor import cluster, loop
from stream.doctor.finding import Finding, Severity, Subject
from stream.doctor.words import keep, many, time
from stream.topics import DEAD_LETTERS, IMPRESSIONS, PLAYS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.doctor.facts import Facts


def findings(facts: Facts) -> list[Finding]:
    """What is wrong, subject by subject; a subject with nothing wrong has one finding that says so.

    What cannot be looked at is left out: without a broker there is nothing to say of topics.
    """
    found: list[Finding] = []
    for subject, check in _CHECKS.items():
        faulty = list(check(facts))
        if faulty:
            found += faulty
        elif (well := _WELL[subject](facts)) is not None:
            found.append(Finding(subject.value.replace(" ", "_"), subject.value, Severity.OK, well))
    return found


_CHECKS: dict[Subject, Callable[[Facts], Iterator[Finding]]] = {
    Subject.SETTINGS: cluster.settings_faults,
    Subject.BROKER: cluster.broker_faults,
    Subject.PERMISSIONS: cluster.permissions_faults,
    Subject.TOPICS: cluster.topics_faults,
    Subject.TRANSACTIONS: cluster.transactions_faults,
    Subject.WORKERS: loop.workers_faults,
    Subject.CLOCK: loop.clock_faults,
    Subject.CATALOGUE: loop.catalogue_faults,
    Subject.FRESHNESS: loop.freshness_faults,
    Subject.TRAFFIC: loop.traffic_faults,
    Subject.DEAD_LETTERS: loop.dead_letters_faults,
}


# --- what there is to say where all is well; None where nothing was looked at


def _well_broker(facts: Facts) -> str | None:
    if facts.settings is None:
        return None
    return f"{many(facts.brokers, 'broker')} at {facts.settings.bootstrap_servers}"


def _well_topics(facts: Facts) -> str | None:
    if not facts.topics:
        return None
    counts = ", ".join(map(str, sorted({len(topic.partitions) for topic in facts.topics.values()})))
    return f"{len(facts.topics)} topics, with {counts} partitions each, set as they should be"


def _well_permissions(facts: Facts) -> str | None:
    if facts.is_dark:
        return None
    return "nothing was refused" if facts.role is None else f"all that {access.user_of(facts.role)} needs"


def _well_workers(facts: Facts) -> str | None:
    if not facts.groups or not facts.topics:
        return None
    return ", ".join(
        f"{name} keeps up" if group.members is None else f"{many(group.members, name)} {keep(group.members)} up"
        for name, group in facts.groups.items()
    )


def _well_clock(facts: Facts) -> str | None:
    if facts.is_dark:
        return None
    return "as those of who writes" if facts.clock else "nothing was written meanwhile to hold it against"


def _well_catalogue(facts: Facts) -> str | None:
    return None if facts.titles is None else f"{many(len(facts.titles), 'title')}, each with a snapshot"


def _well_fresh(facts: Facts) -> str | None:
    rewarded_ms = facts.newest_ms(REWARDS)
    if facts.snapshots is None or rewarded_ms is None:
        return None
    return f"snapshots follow rewards; the newest reward is {time(facts.now_ms - rewarded_ms)} old"


def _well_traffic(facts: Facts) -> str | None:
    counts = [
        f"{facts.topics[topic.name].lately} {topic.name}"
        for topic in (IMPRESSIONS, PLAYS)
        if topic.name in facts.topics and facts.topics[topic.name].lately is not None
    ]
    return f"{' and '.join(counts)} within the last hour" if counts else None


_WELL: dict[Subject, Callable[[Facts], str | None]] = {
    Subject.SETTINGS: lambda _facts: "they make sense",
    Subject.BROKER: _well_broker,
    Subject.PERMISSIONS: _well_permissions,
    Subject.TOPICS: _well_topics,
    Subject.TRANSACTIONS: lambda facts: "none hangs" if facts.topics else None,
    Subject.WORKERS: _well_workers,
    Subject.CLOCK: _well_clock,
    Subject.CATALOGUE: _well_catalogue,
    Subject.FRESHNESS: _well_fresh,
    Subject.TRAFFIC: _well_traffic,
    Subject.DEAD_LETTERS: lambda facts: "none within the last hour" if DEAD_LETTERS.name in facts.topics else None,
}
