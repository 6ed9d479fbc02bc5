"""What an evaluation found: estimates with intervals, curves, titles, and what speaks against believing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.checks import Finding
    from stream.evaluation.intervals import Interval
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]

#: In the order in which they are told; the first is the one to go by.
ESTIMATORS = ("dr", "switch_dr", "snips", "ips", "replay", "dm")
#: What the log did itself needs no estimator: its mean.
ON_POLICY = "mean"
LOGGED = "logged"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one estimator says of one policy.

    Attributes
    ----------
    policy, estimator, measure
        Of what, by what, and whether it is the take rate or the mean reward.
    interval
        The value, and where the truth lies with 95 % confidence.
    lift
        By how much it is more than the logged, as a share of that, likewise.
    effective_samples
        How many rows of the policy's own the log is worth for it.
    """

    policy: str
    estimator: str
    measure: str
    interval: Interval
    lift: Interval
    effective_samples: float

    def row(self) -> dict[str, Any]:
        """For machines; None where nothing can be said."""
        return {
            "policy": self.policy,
            "estimator": self.estimator,
            "measure": self.measure,
            "value": _number(self.interval.value),
            "low": _number(self.interval.low),
            "high": _number(self.interval.high),
            "lift": _number(self.lift.value),
            "lift_low": _number(self.lift.low),
            "lift_high": _number(self.lift.high),
            "effective_samples": round(self.effective_samples, 1),
        }


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: values with their intervals, shapes (p,); NaN where there are no rows."""

    value: Floats
    low: Floats
    high: Floats


class Shift(NamedTuple):
    """An artwork, by its place in the offer, and the share of impressions that it had and would have."""

    place: int
    logged: float
    policy: float


@dataclass(frozen=True, slots=True)
class TitleLift:
    """What a policy makes of a title.

    ``gain`` is in mean reward, doubly robust less logged; ``less`` and ``more`` are the artworks that the policy
    would show most less and most more often.
    """

    offer: int
    rows: int
    logged: float
    policy: float
    gain: Interval
    less: Shift
    more: Shift


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """All that was found.

    Attributes
    ----------
    roster
        What the log is about.
    rows, members, taken
        Usable impressions, groups of members among them, and impressions that earned anything.
    estimates
        Of every policy, estimator and measure.
    match_rate, mean_weight, largest_weight
        By policy.
    stretches, ages
        Curves by policy, in mean reward: along the log, and by the age of titles.
    age_edges_ms
        Where ages are divided.
    titles
        By policy: the titles, largest gain first.
    findings
        What speaks against believing it.
    unchecked
        What could not be checked, and why.
    model_features
        How many features the reward model saw.
    replay_fits
        Whether any artwork was as likely as any other, of equally many: without that replay says nothing.
    """

    roster: Roster
    rows: int
    members: int
    taken: int
    estimates: Sequence[Estimate]
    match_rate: Mapping[str, float]
    mean_weight: Mapping[str, Interval]
    largest_weight: Mapping[str, float]
    stretches: Mapping[str, Series]
    ages: Mapping[str, Series]
    age_edges_ms: Floats
    titles: Mapping[str, Sequence[TitleLift]]
    findings: Sequence[Finding]
    unchecked: Mapping[str, str]
    model_features: int
    replay_fits: bool

    @property
    def doubted(self) -> frozenset[str]:
        """Policies whose estimates are not to be gone by: the log hardly ever shows what they want."""
        return frozenset(finding.policy for finding in self.findings if finding.policy)

    @property
    def spoilt(self) -> list[str]:
        """The checks that speak against the whole log."""
        return list(dict.fromkeys(one.check for one in self.findings if one.wrong and not one.policy))

    @property
    def policies(self) -> list[str]:
        """Their names, the logged one first."""
        return list(dict.fromkeys(estimate.policy for estimate in self.estimates))

    def estimate(self, policy: str, estimator: str = "dr", measure: str = "mean reward") -> Estimate:
        """One of them; of the logged policy there is its mean alone.

        Raises
        ------
        KeyError
            There is no such estimate.
        """
        if policy == LOGGED:
            estimator = ON_POLICY
        for one in self.estimates:
            if (one.policy, one.estimator, one.measure) == (policy, estimator, measure):
                return one
        raise KeyError((policy, estimator, measure))

    def as_rows(self) -> list[dict[str, Any]]:
        """Every estimate, for machines."""
        return [estimate.row() for estimate in self.estimates]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
