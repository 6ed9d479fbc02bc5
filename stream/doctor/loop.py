"""What may be wrong with the loop: workers, clocks, titles, freshness, traffic and dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.doctor import faults
from stream.doctor.words import many, some, time
from stream.topics import DEAD_LETTERS, IMPRESSIONS, PLAYS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.doctor.facts import Facts
    from stream.doctor.finding import Finding
    from stream.topics import Topic

#: Each worker, and what it reads.
INPUTS: dict[str, tuple[Topic, ...]] = {"viewing": (PLAYS,), "learner": (IMPRESSIONS, REWARDS)}
#: Whatever is younger is on its way: nobody is behind, nothing is stale.
PATIENCE_MS = 60_000
#: Clocks may differ by so much: batches take time, and so do we.
_CLOCK_MS = 5_000
#: So much must have happened in an hour before silence means something.
_BUSY = 100


def workers_faults(facts: Facts) -> Iterator[Finding]:
    """Workers that do not run, or do not keep up."""
    if facts.settings is None:
        return
    patience_ms = PATIENCE_MS + round(2000 * facts.settings.checkpoint_seconds)
    for worker, group in facts.groups.items():
        if group.members == 0:
            waiting = "" if not group.unread_since_ms else f", {time(_oldest(facts, worker))} of records wait"
            yield faults.WORKER_ABSENT.found(f"no {worker} runs{waiting}")
        for topic in INPUTS[worker]:
            if topic.name not in facts.topics:
                continue
            found = facts.topics[topic.name]
            lost = {
                number: partition.begin - group.committed[topic.name, number]
                for number, partition in enumerate(found.partitions)
                if group.committed.get((topic.name, number), partition.begin) < partition.begin
            }
            if lost:
                yield faults.UNREAD_LOST.found(
                    f"{worker}: {many(sum(lost.values()), 'record')} of {topic.name} are gone, of "
                    f"{many(len(lost), 'partition')}"
                )
            ages = [facts.now_ms - at for (name, _), at in group.unread_since_ms.items() if name == topic.name]
            retention_ms = found.retention_ms
            if ages and retention_ms is not None and max(ages) > retention_ms / 2:
                yield faults.WORKER_FAR_BEHIND.found(
                    f"{worker}: its oldest unread record of {topic.name} is {time(max(ages))} old, and records "
                    f"are deleted after {time(retention_ms)}"
                )
            elif ages and max(ages) > patience_ms and group.members != 0:
                yield faults.WORKER_BEHIND.found(
                    f"{worker}: its oldest unread record of {topic.name} is {time(max(ages))} old"
                )


def _oldest(facts: Facts, worker: str) -> int:
    return facts.now_ms - min(facts.groups[worker].unread_since_ms.values())


def clock_faults(facts: Facts) -> Iterator[Finding]:
    """Clocks that differ."""
    if facts.settings is None:
        return
    off = {
        reading.topic: max(reading.written_ms - reading.before_ms, 0)
        or min(reading.written_ms - reading.after_ms, 0)
        for reading in facts.clock
    }
    for name, topic in facts.topics.items():  # whatever is written in our future has another clock
        ahead = 0 if topic.newest_ms is None else topic.newest_ms - facts.now_ms
        if ahead > max(off.get(name, 0), 0):
            off[name] = ahead
    worst, ms = max(off.items(), key=lambda one: abs(one[1]), default=("", 0))
    if abs(ms) <= _CLOCK_MS:
        return
    said = f"who writes {worst} is {time(abs(ms))} {'ahead of' if ms > 0 else 'behind'} this clock"
    limit = facts.settings.max_ahead_seconds
    yield (faults.CLOCK_WRONG if limit and abs(ms) > 1000 * limit else faults.CLOCK_SKEW).found(said)


def catalogue_faults(facts: Facts) -> Iterator[Finding]:
    """What there is to choose from."""
    if facts.titles is None:
        return
    if not facts.titles:
        yield faults.CATALOGUE_EMPTY.found("there is no title in the catalogue")
    elif facts.snapshots is not None:
        without = sorted(title_id for title_id in facts.titles if title_id not in facts.snapshots)
        if without:
            yield faults.TITLES_WITHOUT_SNAPSHOT.found(
                f"{len(without)} of {many(len(facts.titles), 'title')}: {some(without)}"
            )


def freshness_faults(facts: Facts) -> Iterator[Finding]:
    """Whether snapshots follow rewards."""
    rewarded_ms = facts.newest_ms(REWARDS)
    if rewarded_ms is None or facts.snapshots is None or facts.settings is None:
        return
    patience_ms = PATIENCE_MS + round(2000 * facts.settings.publish_seconds)
    published_ms = max((title.published_ms for title in facts.snapshots.values()), default=None)
    if published_ms is None:
        if facts.now_ms - rewarded_ms > patience_ms:
            yield faults.SNAPSHOTS_STALE.found("there are rewards, and no snapshot at all")
    elif rewarded_ms > published_ms and (
        rewarded_ms - published_ms > patience_ms or facts.now_ms - rewarded_ms > patience_ms
    ):
        yield faults.SNAPSHOTS_STALE.found(
            f"the newest snapshot is {time(facts.now_ms - published_ms)} old, the newest reward "
            f"{time(facts.now_ms - rewarded_ms)}"
        )


def traffic_faults(facts: Facts) -> Iterator[Finding]:
    """Whether apps say what they show, and what is played."""
    shown, played, rewarded = (facts.topics.get(topic.name) for topic in (IMPRESSIONS, PLAYS, REWARDS))
    if shown is not None and (shown.is_empty or shown.lately == 0):
        yield faults.NO_IMPRESSIONS.found(
            "there are no impressions" if shown.is_empty else "there were none within the last hour"
        )
        return
    if shown is not None and played is not None and (shown.lately or 0) >= _BUSY and played.lately == 0:
        yield faults.NO_PLAYS.found(f"{shown.lately} impressions within the last hour, and no play")
    elif played is not None and rewarded is not None and (played.lately or 0) >= _BUSY and rewarded.lately == 0:
        yield faults.NO_REWARDS.found(f"{played.lately} plays within the last hour, and no reward")


def dead_letters_faults(facts: Facts) -> Iterator[Finding]:
    """Records that could not be used."""
    dead = facts.topics.get(DEAD_LETTERS.name)
    if dead is None or not dead.lately:
        return
    read = sum(
        facts.topics[topic.name].lately or 0 for topic in (IMPRESSIONS, PLAYS) if topic.name in facts.topics
    )
    said = f"{dead.lately} within the last hour, of {many(read, 'event')}"
    yield (faults.DEAD_LETTERS_MANY if 100 * dead.lately > read else faults.DEAD_LETTERS_COME).found(said)
