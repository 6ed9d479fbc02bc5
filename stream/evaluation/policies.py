"""Policies to be valued: how likely each is to show each artwork, having learned from earlier rows alone."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stream.errors import InputError
from stream.evaluation.chances import win_chances
from stream.evaluation.reward_model import worth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch, Heard
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

#: How far artworks' rates are thought to spread around their title's, and titles' around the log's: shares of it.
_ARTWORKS, _TITLES = 0.5, 1.0
#: The log's rate is thought to be 1 in 20 until it has been seen.
_FIRST_REWARD, _FIRST_ROWS = 1.0, 20.0


class Policy(Protocol):
    """What can be valued.

    Attributes
    ----------
    name
        As it is reported.
    learns
        Whether it has a learning curve.
    """

    name: str
    learns: bool

    def chances(self, batch: Batch) -> Floats:
        """How likely each artwork is to be shown, shape (n, K); 0 where there is none; rows sum to 1."""
        ...

    def learn(self, heard: Heard) -> None:
        """Take in what was heard by the end of a batch that has been judged."""
        ...


class Uniform:
    """Any artwork, equally likely."""

    learns = False

    def __init__(self, name: str = "uniform") -> None:
        self.name = name

    def chances(self, batch: Batch) -> Floats:
        """One over their number."""
        there = np.arange(batch.most) < batch.count[:, None]
        found: Floats = there / batch.count[:, None]
        return found

    def learn(self, heard: Heard) -> None:
        """Nothing."""


class _Counting:
    """Keeps of every artwork how often it was shown and what it has earned."""

    learns = True

    def __init__(self, name: str, roster: Roster) -> None:
        self.name = name
        self._roster = roster
        self.shown: Floats = np.zeros(roster.artworks)
        self.earned: Floats = np.zeros(roster.artworks)
        self._by_artwork: Floats | None = None

    def learn(self, heard: Heard) -> None:
        """Count impressions at once and rewards as they come."""
        artworks = self._roster.artworks
        self.shown += np.bincount(heard.artwork, minlength=artworks)
        self.earned += np.bincount(heard.rewarded_artwork, heard.rewarded.reward, artworks)
        self._by_artwork = None

    def chances(self, batch: Batch) -> Floats:
        """The same for everybody."""
        if self._by_artwork is None:
            self._by_artwork = self._work_out()
        places = np.arange(batch.most)
        there = places < batch.count[:, None]
        artwork = self._roster.starts[batch.offer][:, None] + np.where(there, places, 0)
        return np.where(there, self._by_artwork[artwork], 0.0)

    def _work_out(self) -> Floats:
        """How likely each artwork is to be shown, shape (A,)."""
        raise NotImplementedError

    def _padded(self, values: Floats, empty: float) -> Floats:
        """Values of artworks as a row for each offer, shape (T, K)."""
        roster = self._roster
        there = np.arange(roster.most) < roster.counts[:, None]
        found = np.full(there.shape, empty)
        found[there] = values
        return found

    def _rates(self) -> tuple[Floats, Floats]:
        """What each artwork is thought to earn a look, and how many looks that is worth: shapes (A,)."""
        of, offers = self._roster.offer_of, len(self._roster.offers)
        overall = float((self.earned.sum() + _FIRST_REWARD) / (self.shown.sum() + _FIRST_ROWS))
        prior = worth(overall, _TITLES)
        earned = np.bincount(of, self.earned, offers) + prior * overall
        title = (earned / (np.bincount(of, self.shown, offers) + prior))[of]
        prior = worth(overall, _ARTWORKS)
        return (self.earned + prior * title) / (self.shown + prior), self.shown + prior


class BestSingle(_Counting):
    """The artwork of each title that has earned most a look so far, for everybody."""

    def _work_out(self) -> Floats:
        by_offer = self._padded(self._rates()[0], -1.0)
        best = by_offer == by_offer.max(axis=1, keepdims=True)  # before anything is known, each is as good
        found: Floats = (best / best.sum(axis=1, keepdims=True))[by_offer >= 0]
        return found


class Thompson(_Counting):
    """Thompson sampling without context (Chapelle & Li 2011): the artwork of the largest draw.

    Draws are normal, with mean and variance of the Beta distribution of each artwork's rate, so that the chance of
    each is known exactly.
    """

    def _work_out(self) -> Floats:
        rate, n = self._rates()
        mean = np.clip(rate, 1e-6, 1.0 - 1e-6)
        sd = np.sqrt(mean * (1.0 - mean) / (n + 1.0))
        found = np.empty(self._roster.artworks)
        for count in np.unique(self._roster.counts).tolist():
            offers = np.flatnonzero(self._roster.counts == count)
            artwork = self._roster.starts[offers][:, None] + np.arange(count)
            found[artwork] = win_chances(mean[artwork], sd[artwork])
        return found


class Custom:
    """A function of the app's own: what it would show of a title in a context.

    Parameters
    ----------
    name
        As it is reported.
    choose
        Called with ``title_id, artwork_ids, context``; returns an artwork's id, or the probability of each of them
        in their order. If it has methods ``shown(title_id, artwork_id, context)`` and ``rewarded(title_id,
        artwork_id, context, reward)``, these are called with earlier rows, when they would have been heard of.
    """

    def __init__(self, name: str, choose: Callable[..., Any], roster: Roster) -> None:
        self.name = name
        self._choose = choose
        self._roster = roster
        self._shown = getattr(choose, "shown", None)
        self._rewarded = getattr(choose, "rewarded", None)
        self.learns = self._shown is not None or self._rewarded is not None

    def chances(self, batch: Batch) -> Floats:
        """Ask for each row."""
        found = np.zeros((len(batch), batch.most))
        for row, (record, offer) in enumerate(zip(batch.records, batch.offer.tolist(), strict=True)):
            ids = self._roster.offers[offer].artwork_ids
            found[row, : len(ids)] = self._answer(record.title_id, ids, record.context)
        return found

    def _answer(self, title_id: str, ids: Sequence[str], context: Mapping[str, float]) -> Floats:
        answer = self._choose(title_id, ids, context)
        if isinstance(answer, str):
            if answer not in ids:
                raise InputError(f"policy {self.name}: {answer!r} is no artwork of {title_id!r}: {', '.join(ids)}")
            certain: Floats = (np.array(ids) == answer).astype(np.float64)
            return certain
        try:
            given = np.array(answer, dtype=np.float64)
        except (TypeError, ValueError):
            given = np.empty(0)
        if given.shape != (len(ids),) or not (given >= 0).all() or abs(given.sum() - 1.0) > 1e-6:
            raise InputError(
                f"policy {self.name}: of {title_id!r} it must say an artwork's id, or {len(ids)} probabilities "
                f"that sum to 1, and says {answer!r}"
            )
        return given

    def learn(self, heard: Heard) -> None:
        """Tell it."""
        if self._shown is not None:
            for record in heard.shown.records:
                self._shown(record.title_id, record.artwork_id, record.context)
        if self._rewarded is not None:
            for record, reward in zip(heard.rewarded.records, heard.rewarded.reward.tolist(), strict=True):
                self._rewarded(record.title_id, record.artwork_id, record.context, reward)


def custom(name: str, roster: Roster) -> Custom:
    """The policy that a dotted name means: a function, or a class that is made without arguments.

    Raises
    ------
    InputError
        There is no such thing, or it cannot be called.
    """
    module, separator, attribute = name.replace(":", ".").rpartition(".")
    if not separator:
        raise InputError(f"{name!r} is no policy: name one of keyart's, or your own as module.function")
    try:
        found = getattr(importlib.import_module(module), attribute)
        made = found() if isinstance(found, type) else found
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(f"policy {name}: {error}") from None
    if not callable(made):
        raise InputError(f"policy {name}: it cannot be called")
    return Custom(name, made, roster)


def drawn(chances: Floats, uniform: Floats) -> Ints:
    """The artwork that each row's policy shows, given a uniform draw: shapes (n, K) and (n,) to (n,)."""
    cumulative = np.cumsum(chances, axis=1)
    # The last one with any chance takes what rounding leaves.
    found: Ints = (cumulative < (uniform * cumulative[:, -1])[:, None]).sum(axis=1)
    return found
