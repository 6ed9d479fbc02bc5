"""How often live intervals fail while somebody looks at them all the time.

Impressions come one after the other, of members who were split among policies, with rewards as sparse as ours. The
truth is known. A sequence of intervals has failed once the truth lies outside of one of them, at any of the times
at which it is looked at: every :data:`EVERY` impressions. Compared are

naive
    The textbook's 95 % interval, Wald's for a rate and by the delta method for a ratio: right for who looks once.
asymptotic
    The asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Ann. Stat. 52,
    "Time-uniform central limit theory and asymptotic confidence sequences", equation 6), from mean and variance.
independent
    Ours (:mod:`stream.worth.live`), if impressions are taken to be independent.
keyart
    Ours as a serving node has it: members come back, and groups of them say what that does.

The first two are nonsense while nothing has been played, so they are looked at from :data:`BURN_IN` plays of the
smallest policy on; the others from the first impression on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from stream.worth.confidence_sequences import ALPHA, rate_interval, ratio_interval
from stream.worth.live import design_effect
from stream.worth.policies import GROUPS
from stream.worth.split import SplitWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

EVERY = 20
BURN_IN = 10
SEQUENCES = ("naive", "asymptotic", "independent", "keyart")
#: What is estimated: the last two are of personal over popular.
TARGETS = ("take rate", "mean reward", "lift")
#: Shares of members with the policies personal, popular and explore, and what each makes of a member's take rate.
SHARES = (0.93, 0.05, 0.02)
FACTORS = (1.2, 1.0, 0.8)
#: A play earns everything, or half of it on average.
_FULL = 0.7
_EARNS = _FULL + (1.0 - _FULL) / 2
#: Shares of popular's members who are never seen, to find out whether that is noticed.
LOST = (0.0, 0.1, 0.3)
_ASYMPTOTIC_AT = 2000.0  # impressions at which the asymptotic sequence is made to be narrow


@dataclass(frozen=True)
class Audience:
    """Who comes.

    Attributes
    ----------
    name
        For the table.
    rate
        The take rate of popular.
    looks
        Impressions of each member on average, in all; 1: nobody comes back.
    alike
        The correlation of what two impressions of one member earn (of plays: yes or no).
    """

    name: str
    rate: float
    looks: float = 1.0
    alike: float = 0.0


AUDIENCES = (
    Audience("nobody comes back, 3 %", 0.03),
    Audience("nobody comes back, 10 %", 0.10),
    Audience("members come back, 5 %", 0.05, looks=20.0, alike=0.02),
    Audience("members come back, all day", 0.05, looks=50.0, alike=0.05),
)


class Row(NamedTuple):
    """How one sequence did: the share of repetitions in which it failed, and its width at the end.

    ``width`` is relative to the naive interval's, the median over repetitions.
    """

    audience: str
    target: str
    sequence: str
    failed: float
    width: float


def measure(
    audience: Audience, repetitions: int, impressions: int, seed: int, watch: Callable[[int, int], None]
) -> list[Row]:
    """Let an audience come so many times, and see what becomes of each sequence."""
    failed = dict.fromkeys(((target, name) for target in TARGETS for name in SEQUENCES), 0)
    widths: dict[tuple[str, str], list[float]] = {key: [] for key in failed}
    truth = {"take rate": audience.rate, "mean reward": audience.rate * _EARNS, "lift": FACTORS[0] / FACTORS[1]}
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        for (target, name), (low, high, looked) in _sequences(*_come(audience, impressions, rng)).items():
            failed[target, name] += bool((looked & ((low > truth[target]) | (high < truth[target]))).any())
            width = np.log(high[-1] / max(low[-1], 1e-9)) if target == "lift" else high[-1] - low[-1]
            widths[target, name].append(float(width))
        watch(repetition + 1, repetitions)
    return [
        Row(
            audience.name,
            *key,
            failed[key] / repetitions,
            float(np.median(widths[key]) / np.median(widths[key[0], "naive"])),
        )
        for key in failed
    ]


def _come(audience: Audience, impressions: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Sums after every so many impressions, shape (times, 3 policies, groups, 3), and Σ X² of popular's reward."""
    members = impressions if audience.looks == 1 else round(impressions / audience.looks)
    policy = rng.choice(3, members, p=SHARES)
    group = rng.integers(GROUPS, size=members)
    rate = np.full(members, audience.rate)
    if audience.alike:
        both = 1.0 / audience.alike - 1.0
        rate = rng.beta(audience.rate * both, (1.0 - audience.rate) * both, members)
    who = np.arange(impressions)
    if audience.looks != 1:
        activity = rng.gamma(1.0, size=members)
        who = rng.choice(members, impressions, p=activity / activity.sum())
    plays = rng.random(impressions) < rate[who] * np.array(FACTORS)[policy[who]]
    reward = plays * np.where(rng.random(impressions) < _FULL, 1.0, rng.random(impressions))
    times = impressions // EVERY
    cell = ((np.arange(impressions) // EVERY) * 3 + policy[who]) * GROUPS + group[who]
    size = times * 3 * GROUPS
    sums = np.stack([np.bincount(cell, weights, size)[:size] for weights in (None, plays, reward)], axis=1)
    squared = np.bincount(cell // GROUPS, reward**2, times * 3)[: times * 3].reshape(times, 3)
    return np.cumsum(sums.reshape(times, 3, GROUPS, 3), axis=0), np.cumsum(squared, axis=0)


def _sequences(
    grouped: Floats, squared: Floats
) -> dict[tuple[str, str], tuple[Floats, Floats, NDArray[np.bool_]]]:
    """Low and high of each sequence at every time, and whether it is looked at then."""
    sums = grouped.sum(axis=2)
    n, plays, reward = sums[:, 1].T
    ours, theirs = sums[:, 0], sums[:, 1]
    always = np.ones(len(n), dtype=bool)
    warm = (plays >= BURN_IN) & (ours[:, 1] >= BURN_IN)
    found = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for target, total, squares in (("take rate", plays, plays), ("mean reward", reward, squared[:, 1])):
            mean = total / n
            deviation = np.sqrt(squares / n - mean**2)
            for name, reach in (("naive", 1.96 / np.sqrt(n)), ("asymptotic", _asymptotic(n))):
                found[target, name] = mean - reach * deviation, mean + reach * deviation, warm
        log_ratio = np.log(ours[:, 2] / ours[:, 0]) - np.log(theirs[:, 2] / theirs[:, 0])
        variance = sum(squared[:, i] / sums[:, i, 2] ** 2 - 1.0 / sums[:, i, 0] for i in range(2))
        everything = ours[:, 0] + theirs[:, 0]
        for name, reach in (("naive", 1.96), ("asymptotic", _asymptotic(everything) * np.sqrt(everything))):
            spread = reach * np.sqrt(variance)
            found["lift", name] = np.exp(log_ratio - spread), np.exp(log_ratio + spread), warm
    for name, effect in (("independent", np.ones(len(n))), ("keyart", design_effect(grouped))):
        found["take rate", name] = *rate_interval(plays / effect, n / effect), always
        found["mean reward", name] = *rate_interval(reward / effect, n / effect), always
        counts = (ours[:, 2], ours[:, 0], theirs[:, 2], theirs[:, 0])
        found["lift", name] = *ratio_interval(*(count / effect for count in counts)), always
    return found


def _asymptotic(n: Floats) -> Floats:
    """How many standard deviations the asymptotic sequence reaches to either side after n impressions."""
    tune = (-2.0 * math.log(ALPHA) + math.log(-2.0 * math.log(ALPHA) + 1.0)) / _ASYMPTOTIC_AT
    scaled = n * tune
    found: Floats = np.sqrt(2.0 * (scaled + 1.0) / (n * scaled) * np.log(np.sqrt(scaled + 1.0) / ALPHA))
    return found


def alarms(repetitions: int, members: int, seed: int, lost: float) -> float:
    """How often the split is said to be another one, if this share of popular's members is never seen."""
    shares = dict(zip(("personal", "popular", "explore"), SHARES, strict=True))
    raised = 0
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        watch = SplitWatch(shares)
        policies = rng.choice(list(shares), members, p=SHARES)
        dropped = (policies == "popular") & (rng.random(members) < lost)
        for number in np.flatnonzero(~dropped):
            if watch.seen(f"{repetition}-{number}", str(policies[number])):
                raised += 1
                break
    return raised / repetitions


def table(rows: Sequence[Row], title: str) -> Table:
    """For people."""
    found = Table(title=title, box=SIMPLE, title_justify="left")
    found.add_column("audience")
    found.add_column("of")
    for name in SEQUENCES:
        found.add_column(name, justify="right")
    kept = {(row.audience, row.target, row.sequence): row for row in rows}
    for audience, target in dict.fromkeys((row.audience, row.target) for row in rows):
        here = [kept[audience, target, name] for name in SEQUENCES]
        found.add_row(audience, target, *(f"{row.failed:.1%} ({row.width:.2f})" for row in here))
    return found
