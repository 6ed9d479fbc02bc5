"""How often intervals hold the truth: many small logs of a world that is known exactly.

Four titles of four artworks, members with four traits and a liveliness of their own: a lively member plays more,
whatever is shown, so the rows of a member are not independent. Which artwork is best depends on the traits. Every
repetition draws other members, and the truth is that of all members there could be.

``uniform`` logs show any artwork; ``skewed`` logs show what members are thought to like, by chances between 0.1
and 0.7. Two policies are valued that differ from both: one that draws and one that is certain. Replay is for
uniform logs, and is left out of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from scipy.special import bdtr, bdtrc

from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Batch
from stream.evaluation.results import ESTIMATORS
from stream.evaluation.roster import Offer, Roster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.log import Heard

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

TITLES, ARTWORKS, TRAITS = 4, 4, 4
LOGS = ("uniform", "skewed")
#: The least chance of any artwork in a skewed log.
LEAST = 0.1
_LOOKS, _BATCH = 3, 500
#: Members that the truth is worked out from; its error is a hundredth of an interval's width.
_EVERYBODY = 1_000_000


@dataclass(frozen=True)
class World:
    """What is true: weights of traits, shape (T, K, 1 + F)."""

    weights: Floats
    taste: Floats

    @classmethod
    def make(cls, seed: int = 1) -> World:
        """One world for all repetitions."""
        rng = np.random.default_rng([seed, 31])
        rate = rng.uniform(0.1, 0.25, TITLES)
        pull = rng.uniform(-0.16, 0.16, (TITLES, ARTWORKS, TRAITS))
        level = 1.0 + rng.uniform(-0.3, 0.3, (TITLES, ARTWORKS))
        weights = rate[:, None, None] * np.concatenate([level[:, :, None], pull], axis=2)
        return cls(weights, rng.normal(0.0, 1.0, (TITLES, ARTWORKS, TRAITS)))

    def chance(self, title: Ints, context: Floats) -> Floats:
        """The expected reward of each artwork for a member of middling liveliness: shape (n, K)."""
        found: Floats = np.einsum("nkf,nf->nk", self.weights[title], context)
        return found

    def logging(self, kind: str, title: Ints, context: Floats) -> Floats:
        """How likely a log is to show each artwork: shape (n, K)."""
        if kind == "uniform":
            return np.full((len(title), ARTWORKS), 1.0 / ARTWORKS)
        scores = np.exp(1.5 * np.einsum("nkf,nf->nk", self.taste[title], context[:, 1:]))
        found: Floats = LEAST + (1.0 - LEAST * ARTWORKS) * scores / scores.sum(axis=1, keepdims=True)
        return found

    def drawing(self, title: Ints, context: Floats) -> Floats:
        """A policy that draws, by traits it sees well enough."""
        scores = np.exp(12.0 * self.chance(title, context))
        found: Floats = scores / scores.sum(axis=1, keepdims=True)
        return found

    def certain(self, title: Ints, context: Floats) -> Floats:
        """A policy that is certain, by traits it sees in part."""
        half = context * np.array([1.0, 1.0, 1.0, 0.0, 0.0])
        found: Floats = np.eye(ARTWORKS)[self.chance(title, half).argmax(axis=1)]
        return found

    def truth(self, choose: Callable[[Ints, Floats], Floats]) -> float:
        """What a policy earns a look."""
        title, context, _ = _people(np.random.default_rng([9, 32]), _EVERYBODY, 1)
        return float(np.einsum("nk,nk->n", choose(title, context), self.chance(title, context)).mean())


def _people(rng: np.random.Generator, members: int, looks: int) -> tuple[Ints, Floats, Floats]:
    """The titles that members look at, their traits and how lively they are: shapes (n,), (n, 1 + F), (n,)."""
    traits = np.clip(rng.normal(0.0, 0.5, (members, TRAITS)), -1.0, 1.0)
    lively = rng.choice([0.2, 1.0, 1.8], size=members)
    of = np.repeat(np.arange(members), looks)
    title = rng.integers(TITLES, size=len(of))
    context = np.concatenate([np.ones((len(of), 1)), traits[of]], axis=1)
    return title, context, lively[of]


class Fixed:
    """A policy that does not learn."""

    learns = False

    def __init__(self, name: str, choose: Callable[[Ints, Floats], Floats]) -> None:
        self.name = name
        self.choose = choose

    def chances(self, batch: Batch) -> Floats:
        """By title and context."""
        return self.choose(batch.offer, batch.context)

    def learn(self, heard: Heard) -> None:
        """Nothing."""


def roster(rows: int) -> Roster:
    """The world's titles."""
    offers = [Offer(f"t{t}", None, tuple(f"a{a}" for a in range(ARTWORKS))) for t in range(TITLES)]
    return Roster(
        offers=tuple(offers),
        titles={},
        features=("bias", *(f"f{j}" for j in range(TRAITS))),
        starts=np.arange(TITLES) * ARTWORKS,
        counts=np.full(TITLES, ARTWORKS),
        first_ms=np.zeros(TITLES * ARTWORKS, dtype=np.int64),
        last_ms=np.full(TITLES * ARTWORKS, rows, dtype=np.int64),
        begun_ms=np.zeros(TITLES, dtype=np.int64),
        rows=rows,
        first=0,
        last=rows,
        places={},
    )


def batches(world: World, kind: str, seed: int, members: int) -> Iterator[Batch]:
    """One log."""
    rng = np.random.default_rng([seed, 33, LOGS.index(kind)])
    title, context, lively = _people(rng, members, _LOOKS)
    of = np.repeat(np.arange(members), _LOOKS)
    n = len(title)
    chances = world.logging(kind, title, context)
    place = (np.cumsum(chances, axis=1) < rng.random(n)[:, None]).sum(axis=1)
    rows = np.arange(n)
    expected = world.chance(title, context)[rows, place] * lively
    reward = (rng.random(n) < expected).astype(np.float64)
    order = rng.permutation(n)
    member = rng.integers(1 << 62, size=members).astype(np.uint64)[of]
    for begin in range(0, n, _BATCH):
        some = order[begin : begin + _BATCH]
        yield Batch(
            records=[None] * len(some),  # type: ignore[list-item]
            offer=title[some],
            place=place[some],
            count=np.full(len(some), ARTWORKS),
            context=context[some],
            propensity=chances[rows, place][some],
            reward=reward[some],
            reward_ms=np.arange(begin, begin + len(some)),
            shown_ms=np.arange(begin, begin + len(some)),
            member=member[some],
            identity=np.arange(begin, begin + len(some)),
            policy=np.zeros(len(some), dtype=np.intp),
        )


class Row(NamedTuple):
    """What repetitions say of one estimator.

    ``covered`` is the share of intervals that hold the truth; ``bias`` the mean error, in its standard errors;
    ``relative`` the same as a share of the truth.
    """

    log: str
    policy: str
    estimator: str
    truth: float
    mean: float
    bias: float
    relative: float
    covered: float
    repetitions: int


def measure(
    repetitions: int, members: int, watch: Callable[[int, int], None] = lambda _done, _of: None
) -> list[Row]:
    """Value both policies by so many logs of either kind."""
    world = World.make()
    policies = {"drawing": world.drawing, "certain": world.certain}
    truth = {name: world.truth(choose) for name, choose in policies.items()}
    found: dict[tuple[str, str, str], list[tuple[float, bool]]] = {}
    about = roster(members * _LOOKS)
    for kind in LOGS:
        for repetition in range(repetitions):
            evaluation = Evaluation(about, [Fixed(*one) for one in policies.items()], seed=repetition)
            result = evaluation.run(batches(world, kind, repetition, members))
            for name in policies:
                for estimator in _estimators(kind):
                    value, low, high = result.estimate(name, estimator).interval
                    holds = low <= truth[name] <= high
                    found.setdefault((kind, name, estimator), []).append((value, holds))
            watch(LOGS.index(kind) * repetitions + repetition + 1, len(LOGS) * repetitions)
    rows = []
    for (kind, name, estimator), values in found.items():
        estimates = np.array([value for value, _ in values])
        error = estimates.std(ddof=1) / np.sqrt(len(values))
        off = float(estimates.mean() - truth[name])
        covered = float(np.mean([holds for _, holds in values]))
        rows.append(
            Row(
                *(kind, name, estimator, truth[name], float(estimates.mean())),
                *(off / float(error), off / truth[name], covered, len(values)),
            )
        )
    return rows


def _estimators(kind: str) -> Iterable[str]:
    return (name for name in ESTIMATORS if kind == "uniform" or name != "replay")


def outside(rows: Sequence[Row]) -> str:
    """How many rows hold the truth in less than 93 % or more than 97 %, and how many right ones would."""
    n, covered = rows[0].repetitions, np.array([row.covered for row in rows])
    off = ((covered < 0.93) | (covered > 0.97)).sum()
    chance = len(rows) * (bdtr(np.ceil(0.93 * n) - 1.0, n, 0.95) + bdtrc(np.floor(0.97 * n), n, 0.95))
    return (
        f"{off} of {len(rows)} lie outside of 93 to 97 %, right ones would in {chance:.1f} cases by chance; "
        f"on average they hold {100 * covered.mean():.1f} %"
    )


def table(rows: Iterable[Row], title: str) -> Table:
    """As it is printed."""
    shown = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for name in ("log", "policy", "by"):
        shown.add_column(name, no_wrap=True)
    for name in ("truth", "mean estimate", "off (errors)", "intervals that hold it"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            *(row.log, row.policy, row.estimator, f"{row.truth:.4f}", f"{row.mean:.4f}"),
            *(f"{row.bias:+.1f}", f"{100 * row.covered:.1f} %"),
        )
    return shown
