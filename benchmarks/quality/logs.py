"""What logged choices say of policies that were not followed: inverse propensity scoring, against the truth.

Each policy first learns for a while, then learns no more and chooses for the same visits as the others; a log is
kept of what it showed, with the propensities it gave, and of what was played. From a log a policy is valued by
the visits at which it wants what happens to have been shown, each weighed by 1 / propensity (Horvitz & Thompson
1952). What the policy truly earns is known here, so a log with wrong propensities is found out. So it is without
any rewards: weights have mean 1.

Standard errors are the true ones, from the true chances of a play. A log that seldom shows what a policy wants has
a few large weights, and seems much surer of its estimate than it is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from benchmarks.quality.audience import MEMBERS
from benchmarks.quality.feedback import Feedback, Shown, Visits
from benchmarks.quality.ours import Ours
from benchmarks.quality.policies import Oracle, Policy, Thompson, Uniform
from benchmarks.quality.worlds import BATCH, WORLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.quality.audience import Floats, Ints
    from benchmarks.quality.worlds import World


class Logging(Policy, Protocol):
    """A policy that says how likely any artwork was to be shown."""

    def propensity(self, visits: Visits, artwork: Ints) -> Floats:
        """How likely each visit is to be shown this artwork, shape (n,)."""
        ...


#: Those that keep a log.
LOGGING: dict[str, Callable[[World], Logging]] = {"uniform": Uniform, "thompson": Thompson, "ours": Ours}
#: Those that are only valued: one that always shows the same leaves a log which says nothing of others.
VALUED: dict[str, Callable[[World], Policy]] = {"oracle": Oracle}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a mean, with its standard error."""

    truth: float
    found: float
    error: float

    @classmethod
    def mean_of(cls, parts: Sequence[Estimate]) -> Estimate:
        """Of independent ones: the mean's."""
        n = len(parts)
        truth, found = (sum(values) / n for values in zip(*((p.truth, p.found) for p in parts), strict=True))
        return cls(truth, found, float(np.sqrt(sum(p.error**2 for p in parts))) / n)

    @property
    def off(self) -> float:
        """By how many standard errors it is too large."""
        return (self.found - self.truth) / self.error


def value(log: Shown, wanted: Ints, propensity: Floats) -> tuple[Estimate, Estimate]:
    """The value of showing what is wanted, by inverse propensity scoring, and the mean weight.

    Parameters
    ----------
    log
        n visits, with what was shown, how likely that was, and the reward.
    wanted
        What the policy in question would have shown, shape (n,), by draws that are not the log's.
    propensity
        How likely that was to be shown, shape (n,): errors follow from it, and the estimate does not.
    """
    n = len(log)
    chance = log.visits.chance[np.arange(n), wanted]
    weight = (log.artwork == wanted) / log.propensity
    return (
        Estimate(
            float(chance.mean()),
            float((weight * log.reward).mean()),
            float(np.sqrt((chance / propensity - chance**2).sum()) / n),
        ),
        Estimate(1.0, float(weight.mean()), float(np.sqrt((1.0 / propensity - 1.0).sum()) / n)),
    )


@dataclass(frozen=True, slots=True)
class Logs:
    """What policies showed at the same visits, and what they want at them.

    Attributes
    ----------
    shown
        By the policy that kept the log.
    wanted
        By policy: drawn anew, so it is not what the policy shows in its own log.
    propensity
        By the policy that kept the log, and by the one that wants: how likely that was to be shown.
    """

    shown: dict[str, Shown]
    wanted: dict[str, Ints]
    propensity: dict[tuple[str, str], Floats]

    @classmethod
    def keep(cls, world: str, seed: int, learn: int, count: int) -> Logs:
        """Of ``count`` visits, after every policy has learned from ``learn``."""
        trained = {name: _trained(make, world, seed, learn + count, learn) for name, make in LOGGING.items()}
        valued = {name: _trained(make, world, seed, learn + count, 0) for name, make in VALUED.items()}
        visits = _rest(world, seed, learn, count)
        others = replace(visits, member=visits.member + MEMBERS)  # the same tastes, and other people's draws
        wanted = {name: policy.choose(others)[0] for name, policy in (trained | valued).items()}
        shown = {}
        for name, policy in trained.items():
            artwork, propensity = policy.choose(visits)
            if np.isnan(propensity).any():
                propensity = policy.propensity(visits, artwork)
            shown[name] = Shown.of(visits, artwork, propensity)
        likely = {
            (by, name): policy.propensity(visits, wants)
            for by, policy in trained.items()
            for name, wants in wanted.items()
        }
        return cls(shown, wanted, likely)

    def value(self, by: str, policy: str) -> tuple[Estimate, Estimate]:
        """See :func:`value`."""
        return value(self.shown[by], self.wanted[policy], self.propensity[by, policy])


P = TypeVar("P", bound=Policy)


def _trained(make: Callable[[World], P], name: str, seed: int, length: int, learn: int) -> P:
    world = WORLDS[name](seed, length)
    policy = make(world)
    policy.meet(world)
    feedback = Feedback("at once")
    for _ in range(learn // BATCH):
        visits = world.visits()
        policy.learn(feedback.hear(Shown.of(visits, *policy.choose(visits))))
    return policy


def _rest(name: str, seed: int, learn: int, count: int) -> Visits:
    """The visits after so many."""
    world = WORLDS[name](seed, learn + count)
    parts = [world.visits() for _ in range(-(-world.length // BATCH))][learn // BATCH :]
    return Visits(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Visits)))


@dataclass(frozen=True, slots=True)
class Row:
    """What the logs of several seeds say together of one policy.

    ``weight`` is the mean weight, which should be 1; ``off`` and ``weight_off`` are in standard errors.
    """

    log: str
    policy: str
    truth: float
    found: float
    error: float
    off: float
    weight: float
    weight_off: float


def rows(kept: Sequence[Logs]) -> list[Row]:
    """Every policy from every log."""
    found = []
    for by in kept[0].shown:
        for policy in kept[0].wanted:
            values, weights = zip(*(logs.value(by, policy) for logs in kept), strict=True)
            value_, weight = Estimate.mean_of(values), Estimate.mean_of(weights)
            found.append(
                Row(by, policy, value_.truth, value_.found, value_.error, value_.off, weight.found, weight.off)
            )
    return found


def table(found: Sequence[Row], title: str) -> Table:
    """As it is printed."""
    shown = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("log of", "policy"):
        shown.add_column(name, no_wrap=True)
    for name in ("true value", "by the log", "off (errors)", "weight", "off (errors)"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in found:
        shown.add_row(
            *(row.log, row.policy, f"{row.truth:.4f}", f"{row.found:.4f} ± {row.error:.4f}", f"{row.off:+.1f}"),
            *(f"{row.weight:.3f}", f"{row.weight_off:+.1f}"),
        )
    return shown
