"""Other libraries' contextual bandits, given their true chance: the settings in ``roster`` are the best of a grid.

Each learns from the same batches as Keyart does: at once where it can, one by one where it must.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.quality.audience import Floats, Ints
    from benchmarks.quality.feedback import Heard, Visits
    from benchmarks.quality.worlds import World


class River:
    """``river.bandit.LinUCBDisjoint``, one for each title.

    Parameters
    ----------
    world
        Where.
    ridge
        The prior precision of a weight, in impressions.
    width
        Of the confidence bound, as a share of the textbook's with noise of variance 1: River adds one standard
        deviation, and takes its size from ``beta``.
    """

    def __init__(self, world: World, ridge: float, width: float) -> None:
        from river.bandit import LinUCBDisjoint

        beta = width**-2
        self._make: Any = lambda title: LinUCBDisjoint(alpha=ridge * beta, beta=beta, seed=world.seed + title)
        self._titles: dict[int, Any] = {}

    def meet(self, world: World) -> None:
        """Arms are named at each choice; a new one starts from nothing."""
        self._arms = [np.flatnonzero(offered).tolist() for offered in world.offered]
        self._names = ["bias", *(f"theme{j}" for j in range(world.truth.tags.shape[2]))]
        for title in range(len(world.offered)):
            if title not in self._titles:
                self._titles[title] = self._make(title)

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """The largest upper confidence bound."""
        rows = zip(visits.title.tolist(), self._contexts(visits), strict=True)
        artwork = [self._titles[title].pull(self._arms[title], context=context) for title, context in rows]
        return np.array(artwork, dtype=np.intp), np.ones(len(visits))

    def _contexts(self, visits: Visits) -> list[dict[str, float]]:
        return [dict(zip(self._names, row, strict=True)) for row in _with_bias(visits.taste).tolist()]

    def learn(self, heard: Heard) -> None:
        """One by one: it has no other way."""
        shown = heard.shown
        rows = zip(shown.visits.title.tolist(), shown.artwork.tolist(), shown.reward.tolist(), strict=True)
        for (title, artwork, reward), context in zip(rows, self._contexts(shown.visits), strict=True):
            self._titles[title].update(artwork, context, reward)


class MabWiser:
    """``mabwiser.MAB`` with a linear policy, one for each title, learning in batches.

    Parameters
    ----------
    world
        Where.
    policy
        ``LinTS`` or ``LinUCB``.
    alpha
        Width of the exploration.
    l2_lambda
        Ridge.
    """

    def __init__(self, world: World, policy: str, alpha: float, l2_lambda: float) -> None:
        from mabwiser.mab import MAB, LearningPolicy

        self._learning = getattr(LearningPolicy, policy)(alpha=alpha, l2_lambda=l2_lambda)
        self._make: Any = lambda arms, title: MAB(arms, self._learning, seed=world.seed * 100_000 + title)
        self._rng = np.random.default_rng([world.seed, 3])
        self._titles: dict[int, Any] = {}

    def meet(self, world: World) -> None:
        """A new artwork is a new arm; a new title chooses at random until it has learned something."""
        self._arms = [np.flatnonzero(offered) for offered in world.offered]
        for title, mab in self._titles.items():
            for arm in set(self._arms[title].tolist()).difference(mab.arms):
                mab.add_arm(arm)

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """By title."""
        artwork = np.empty(len(visits), dtype=np.intp)
        contexts = _with_bias(visits.taste)
        for title, rows in _by_title(visits.title):
            mab = self._titles.get(title)
            if mab is None:
                artwork[rows] = self._rng.choice(self._arms[title], size=len(rows))
            else:
                artwork[rows] = mab.predict(contexts[rows])
        return artwork, np.ones(len(visits))

    def learn(self, heard: Heard) -> None:
        """By title, a batch at a time."""
        shown = heard.shown
        contexts = _with_bias(shown.visits.taste)
        for title, rows in _by_title(shown.visits.title):
            batch = shown.artwork[rows], shown.reward[rows], contexts[rows]
            if title in self._titles:
                self._titles[title].partial_fit(*batch)
            else:
                self._titles[title] = self._make(self._arms[title].tolist(), title)
                self._titles[title].fit(*batch)


class VowpalWabbit:
    """Vowpal Wabbit's ``--cb_explore_adf``: one model for all titles.

    The shared features are the member's taste (namespace u), an action's is its name (a); they meet by ``-q ua``.
    Given the tags, an action has for each theme it shows taste times tag (m): the very features by which themes
    work alike across titles. The tags themselves are left out, alone or paired with taste: it did worse with
    them.

    Parameters
    ----------
    world
        Where.
    options
        How it explores and learns.
    tags
        Whether it is told what artworks show.
    """

    def __init__(self, world: World, options: str, *, tags: bool = False) -> None:
        from vowpalwabbit import LabelType, Workspace

        self._kind = LabelType.CONTEXTUAL_BANDIT
        self._told = tags
        costs = "--cb_min_cost -1 --cb_max_cost 0"  # a play costs -1
        self._vw: Any = Workspace(
            f"--cb_explore_adf -q ua -b 22 --power_t 0 {costs} {options} --random_seed {world.seed} --quiet"
        )
        self._rng = np.random.default_rng([world.seed, 3])

    def meet(self, world: World) -> None:
        """Write down the actions of each title, and which themes each shows how much."""
        self._arms = [np.flatnonzero(offered).tolist() for offered in world.offered]
        tags = world.truth.tags
        self._names = [[f"|a {title}_{arm}" for arm in arms] for title, arms in enumerate(self._arms)]
        if self._told:
            self._shows = [
                [[(j, float(tags[title, arm, j])) for j in np.flatnonzero(tags[title, arm])] for arm in arms]
                for title, arms in enumerate(self._arms)
            ]

    def choose(self, visits: Visits) -> tuple[Ints, Floats]:
        """From the probabilities that it gives."""
        artwork, propensity = np.empty(len(visits), dtype=np.intp), np.empty(len(visits))
        draws = self._rng.random(len(visits))
        for i, title in enumerate(visits.title.tolist()):
            examples = self._vw.parse(self._lines(visits.taste[i], title), self._kind)
            given = self._vw.predict(examples)
            self._vw.finish_example(examples)
            chosen = min(int(np.searchsorted(np.cumsum(given), draws[i])), len(given) - 1)
            artwork[i], propensity[i] = self._arms[title][chosen], given[chosen]
        return artwork, propensity

    def _lines(self, taste: Floats, title: int) -> list[str]:
        lines = [f"shared{_features('u', taste)}", *self._names[title]]
        if self._told:
            values = taste.tolist()
            for place, shows in enumerate(self._shows[title], 1):
                lines[place] += " |m " + " ".join(f"{j}:{tag * values[j]:.4g}" for j, tag in shows)
        return lines

    def learn(self, heard: Heard) -> None:
        """One by one, with the logged propensity; a play costs -1."""
        shown = heard.shown
        visits = shown.visits
        rows = zip(visits.title.tolist(), shown.artwork.tolist(), shown.propensity.tolist(), strict=True)
        for i, (title, artwork, propensity) in enumerate(rows):
            lines = self._lines(visits.taste[i], title)
            place = 1 + self._arms[title].index(artwork)
            lines[place] = f"0:{-shown.reward[i]:g}:{propensity:.6g} {lines[place]}"
            examples = self._vw.parse(lines, self._kind)
            self._vw.learn(examples)
            self._vw.finish_example(examples)


def _features(namespace: str, values: Floats) -> str:
    return f" |{namespace} " + " ".join(f"{j}:{value:.4g}" for j, value in enumerate(values.tolist()) if value)


def _with_bias(taste: Floats) -> Floats:
    return np.concatenate([np.ones((len(taste), 1)), taste], axis=1)


def _by_title(title: Ints) -> Iterable[tuple[int, Ints]]:
    order = np.argsort(title, kind="stable")
    found, starts = np.unique(title[order], return_index=True)
    return zip(found.tolist(), np.split(order, starts[1:]), strict=True)
