"""Logs that lie, each in one way: what evaluation's checks have to find out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from benchmarks.evaluation.logs import KnownLog, explored
from stream.evaluation.checks import Checks, Finding
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Columns, batches
from stream.evaluation.policies import Thompson, Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stream.evaluation.log import Logged


def _altered(log: KnownLog, impressions: list[Logged]) -> KnownLog:
    return KnownLog(log.titles, impressions, log.earned, log.end_ms, log.chance)


def honest(log: KnownLog) -> KnownLog:
    """As it is."""
    return log


def skewed(log: KnownLog, seed: int = 1) -> KnownLog:
    """Honest as well: what was shown most is thinned out, with the propensities that follow from it."""
    rng = np.random.default_rng([seed, 41])
    ids_of = {offer.title_id: offer.artwork_ids for offer in log.roster.offers}
    kept = []
    for one in log.impressions:
        ids = ids_of[one.title_id]
        share, place = np.linspace(1.0, 0.3, len(ids)), ids.index(one.artwork_id)
        if rng.random() < share[place]:
            kept.append(msgspec.structs.replace(one, propensity=float(share[place] / share.sum())))
    there = {one.impression_id for one in kept}
    earned = [one for one in log.earned if one.impression_id in there]
    return KnownLog(log.titles, kept, earned, log.end_ms, log.chance)


def wrong_artwork(log: KnownLog) -> KnownLog:
    """Each propensity is that of the title's next artwork: of a log in which they differ."""
    told = skewed(log)
    ids_of = {offer.title_id: offer.artwork_ids for offer in told.roster.offers}
    chance = {(one.title_id, one.artwork_id): one.propensity for one in told.impressions}
    altered = []
    for one in told.impressions:
        ids = ids_of[one.title_id]
        other = ids[(ids.index(one.artwork_id) + 1) % len(ids)]
        altered.append(msgspec.structs.replace(one, propensity=chance[one.title_id, other]))
    return _altered(told, altered)


def too_small(log: KnownLog) -> KnownLog:
    """Every propensity is a fifth too small."""
    said = [0.8 * (one.propensity or 1.0) for one in log.impressions]
    return _altered(
        log,
        [msgspec.structs.replace(one, propensity=p) for one, p in zip(log.impressions, said, strict=True)],
    )


def missing(log: KnownLog) -> KnownLog:
    """One impression in ten has none."""
    return _every_tenth(log, None)


def zero(log: KnownLog) -> KnownLog:
    """One impression in ten had no chance."""
    return _every_tenth(log, 0.0)


def _every_tenth(log: KnownLog, propensity: float | None) -> KnownLog:
    rows = list(log.impressions)
    for i in range(0, len(rows), 10):
        rows[i] = msgspec.structs.replace(rows[i], propensity=propensity)
    return _altered(log, rows)


def outcome_in_context(log: KnownLog) -> KnownLog:
    """A feature that says what was earned."""
    earned = {one.impression_id: one.reward for one in log.earned}
    return _altered(
        log,
        [
            msgspec.structs.replace(one, context=one.context | {"watched": earned.get(one.impression_id, 0.0)})
            for one in log.impressions
        ],
    )


def taste_of_later(log: KnownLog) -> KnownLog:
    """Contexts that were looked up after the play: the taste has a little more of what was watched."""
    earned = {one.impression_id for one in log.earned}
    themes = {title.title_id: title.themes for title in log.titles}
    altered = []
    for one in log.impressions:
        context = one.context
        if one.impression_id in earned:
            watched = themes[one.title_id]
            total = sum(watched.values())
            context = {name: 0.9 * context.get(name, 0.0) for name in context | watched}
            context = {name: part + 0.1 * watched.get(name, 0.0) / total for name, part in context.items()}
        altered.append(msgspec.structs.replace(one, context=context))
    return _altered(log, altered)


def twice(log: KnownLog) -> KnownLog:
    """One row in fifty was written again, long after."""
    return _altered(log, [*log.impressions, *log.impressions[: len(log.impressions) // 50]])


def twice_renamed(log: KnownLog) -> KnownLog:
    """One row in fifty was written again at once, under a new id."""
    rows = []
    for i, one in enumerate(log.impressions):
        rows.append(one)
        if not i % 50:
            rows.append(msgspec.structs.replace(one, impression_id=f"{one.impression_id}-again"))
    return _altered(log, rows)


def cut_short(log: KnownLog) -> KnownLog:
    """The log was read before a tenth of the rewards had come."""
    end_ms = log.impressions[-1].shown_ms
    first_ms = end_ms - 6 * 3_600_000
    impressions = [one for one in log.impressions if one.shown_ms >= first_ms]
    earned = [one for one in log.earned if one.known_ms <= end_ms]
    return KnownLog(log.titles, impressions, earned, end_ms, log.chance)


def bots(log: KnownLog) -> KnownLog:
    """Three members are programs."""
    busy = [
        msgspec.structs.replace(one, member_id=f"bot-{i % 3}") if not i % 7 else one
        for i, one in enumerate(log.impressions)
    ]
    return _altered(log, busy)


def disorder(log: KnownLog) -> KnownLog:
    """Its second half comes first."""
    half = len(log.impressions) // 2
    return _altered(log, log.impressions[half:] + log.impressions[:half])


#: By the check that has to find it.
LIES: dict[str, tuple[Callable[[KnownLog], KnownLog], str]] = {
    "propensities of the wrong artwork": (wrong_artwork, "propensities-mismatch"),
    "propensities too small": (too_small, "propensities-mismatch"),
    "propensities missing": (missing, "propensities-missing"),
    "propensities of zero": (zero, "propensities-impossible"),
    "the outcome in the context": (outcome_in_context, "future"),
    "a taste looked up later": (taste_of_later, "future"),
    "rows twice": (twice, "duplicates"),
    "rows twice under new ids": (twice_renamed, "duplicates"),
    "rewards still to come": (cut_short, "rewards-pending"),
    "bots": (bots, "bots"),
    "rows out of order": (disorder, "order"),
}
HONEST: dict[str, Callable[[KnownLog], KnownLog]] = {"uniform": honest, "skewed": skewed}


class Row(NamedTuple):
    """A log, the check that has to find it out (empty: none), and which have found something, in what words."""

    log: str
    expected: str
    found: tuple[str, ...]
    sentences: tuple[str, ...]


def findings(log: KnownLog) -> list[Finding]:
    """What the checks say of a log."""
    policies = Uniform(), Thompson("thompson", log.roster)
    evaluation = Evaluation(log.roster, policies, Checks(log.roster, log.end_ms))
    return list(evaluation.run(batches(log.impressions, Columns(log.roster, log.rewards))).findings)


def measure(watch: Callable[[int, int], None] = lambda _done, _of: None, impressions: int = 20_000) -> list[Row]:
    """Every honest log and every lie."""
    log = explored(1, impressions)
    logs = {f"honest, {name}": (make, "") for name, make in HONEST.items()} | LIES
    rows = []
    for number, (name, (make, expected)) in enumerate(logs.items(), 1):
        found = findings(make(log))
        rows.append(Row(name, expected, tuple(one.check for one in found), tuple(one.sentence for one in found)))
        watch(number, len(logs))
    return rows


def table(rows: Iterable[Row]) -> Table:
    """As it is printed."""
    shown = Table(title="logs that lie", title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("log", "to be found by", "found by"):
        shown.add_column(name)
    for row in rows:
        shown.add_row(row.log, row.expected or "none", ", ".join(row.found) or "none")
    return shown
