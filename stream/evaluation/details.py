"""Where a policy differs from what was logged: along the log, by the age of titles, and title by title."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from stream.evaluation.intervals import Interval, ratio_by_few
from stream.evaluation.results import LOGGED, Series, Shift, TitleLift

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.evaluation.roster import Roster
    from stream.evaluation.tallies import LogTally, PolicyTally


def curves(
    log: LogTally, tallies: Mapping[str, PolicyTally], of: Literal["stretches", "ages"], number: int
) -> dict[str, Series]:
    """Mean reward by part of the log, of the log and of every policy.

    Parameters
    ----------
    log, tallies
        What was summed of the log and by policy.
    of, number
        Which parts, and their number among the log's.
    """
    rows = log.rows_of[number].sums
    found = {LOGGED: Series(*ratio_by_few(getattr(log, of).sums, rows))}
    return found | {name: Series(*ratio_by_few(getattr(tally, of).sums, rows)) for name, tally in tallies.items()}


def titles(log: LogTally, tally: PolicyTally, roster: Roster) -> list[TitleLift]:
    """What a policy would have made of each title, the largest gain first."""
    rows = log.rows_of[2].sums
    gain, low, high = ratio_by_few(tally.titles.sums - log.titles.sums, rows)
    logged = log.titles.sums.sum(axis=0) / np.maximum(rows.sum(axis=0), 1.0)
    found = []
    for offer in np.argsort(-np.nan_to_num(gain, nan=-np.inf), kind="stable").tolist():
        count = float(rows[:, offer].sum())
        if not count:
            continue
        part = slice(int(roster.starts[offer]), int(roster.starts[offer] + roster.counts[offer]))
        shown, wanted = log.shown[part] / count, tally.shares[part] / count
        shifts = [
            Shift(place, float(shown[place]), float(wanted[place]))
            for place in (int(np.argmin(wanted - shown)), int(np.argmax(wanted - shown)))
        ]
        found.append(
            TitleLift(
                offer=offer,
                rows=int(count),
                logged=float(logged[offer]),
                policy=float(logged[offer] + gain[offer]),
                gain=Interval(float(gain[offer]), float(low[offer]), float(high[offer])),
                less=shifts[0],
                more=shifts[1],
            )
        )
    return found
