"""From sums to snapshots: the posterior of every artwork that the catalogue lists, if it is fit to be seen."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.learning.gathering import gather
from stream.learning.posterior import pack, solve
from stream.learning.prior import independent, priors
from stream.learning.soundness import SoundnessGate, Unsound
from stream.learning.title_state import TitleState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from stream.learning.book import TitleBook
    from stream.learning.lessons import Taught
    from stream.learning.prior import TitlePriors, TitleSums
    from stream.records import Title

    Floats = NDArray[np.float64]

#: So many members are drawn to see what it would cost to choose as before.
_MEMBERS = 128
#: Added to the variances of contexts, so that a feature which nobody has leaves the covariance positive definite.
_LEAST_VARIANCE = 1e-9


class Publication:
    """What there is to publish of a book's titles.

    Parameters
    ----------
    book
        Their sums, and the rules.
    """

    def __init__(self, book: TitleBook) -> None:
        self._book = book
        self._gate = SoundnessGate(book.rules.max_jump)

    def snapshots(
        self, titles: Sequence[Title], published_ms: int, taught: Taught | None = None
    ) -> Iterator[tuple[Title, dict[str, Any] | Unsound]]:
        """Each title's snapshot record's fields: the posterior of every artwork that the catalogue lists.

        Parameters
        ----------
        titles
            Which.
        published_ms
            When.
        taught
            What the catalogue teaches, for the book's columns; None: every artwork learns by itself.

        Yields
        ------
        Each title with its snapshot, or with the reason for which the last one should stay: the posterior is not
        finite, not positive definite, or has jumped.
        """
        if not titles:
            return
        rules, sums = self._book.rules, gather(self._book, titles)
        if taught is None:
            start = independent(sums, rules.prior_precision, rules.noise_precision)
        else:
            start = priors(sums, taught)
        of = sums.title_of
        try:
            mean, factor = solve(
                sums.gram, sums.moment, start.prior_precision[of], start.noise_precision[of], start.prior_mean
            )
        except np.linalg.LinAlgError:
            if len(titles) > 1:  # one of them; the others are sound
                for title in titles:
                    yield from self.snapshots([title], published_ms, taught)
            else:
                yield titles[0], Unsound("not positive definite")
            return
        popular = np.stack(without_context(sums, start), axis=1)
        packed = pack(factor)
        to_hold = self._to_hold(titles, sums, mean)
        for number, title in enumerate(titles):
            part = slice(sums.starts[number], sums.starts[number] + len(title.artworks))
            state = self._book.titles.get(title.title_id)
            try:
                self._gate.check(
                    title, sums.gram[part], mean[part], factor[part], held=None if state is None else state.held
                )
            except Unsound as reason:
                yield title, reason
                continue
            fields = {
                "prior_mean": start.prior_mean[part],
                "mean": mean[part],
                "factor": packed[part],
                "popular": popular[part],
            }
            held = to_hold[number]
            if state is not None and held is not None:
                fields["held"] = held
                names = (artwork.artwork_id for artwork in title.artworks)
                state.held, state.held_version = dict(zip(names, held, strict=True)), state.version
            model = {
                "prior_precision": start.prior_precision[number],
                "noise_precision": float(start.noise_precision[number]),
                "half_life_days": rules.half_life_days or None,
            }
            yield (
                title,
                self._fields(title, published_ms)
                | {
                    "model": model,
                    "artworks": self._artworks(title, fields),
                },
            )

    def snapshot(self, title: Title, published_ms: int, taught: Taught | None = None) -> dict[str, Any]:
        """One title's snapshot record's fields.

        Raises
        ------
        Unsound
            The last one should stay.
        """
        ((_, found),) = self.snapshots([title], published_ms, taught)
        if isinstance(found, Unsound):
            raise found
        return found

    def _to_hold(self, titles: Sequence[Title], sums: TitleSums, mean: Floats) -> list[Floats | None]:
        """The means that each title is chosen by, shape (K, d): today's, or those of before, while these will do.

        They do until members would lose more than ``hold`` of the title's take rate by them, as far as today's can
        tell; then all of them move at once. While nothing is learned of the title nothing moves. An artwork of
        which nothing is held comes in with its mean.

        None: nothing was ever learned of the title, so there is nothing that could go back and forth.
        """
        hold, d = self._book.rules.hold, mean.shape[1]
        found: list[Floats | None] = [None] * len(titles)
        moved, most = [], max(len(title.artworks) for title in titles)
        today, before = np.zeros((2, len(titles), most, d))
        listed = np.zeros((len(titles), most), dtype=np.bool_)
        for number, title in enumerate(titles):
            state = self._book.titles.get(title.title_id)
            if state is None or not hold:
                continue
            names = [artwork.artwork_id for artwork in title.artworks]
            rows = [i for i, name in enumerate(names) if len(state.held.get(name, ())) == d]
            start = sums.starts[number]
            held = mean[start : start + len(names)].copy()
            if rows:
                held[rows] = [state.held[names[i]] for i in rows]
                if state.held_version != state.version:
                    moved.append(number)
                    today[number, : len(names)] = mean[start : start + len(names)]
                    before[number, : len(names)], listed[number, : len(names)] = held, True
            found[number] = held
        if moved:
            gram = np.stack([self._of_listed(titles[number], sums.gram, sums.starts[number]) for number in moved])
            reward = np.array(
                [self._of_listed(titles[number], sums.moment[:, 0], sums.starts[number]) for number in moved]
            )
            bearable = hold * reward / np.maximum(gram[:, 0, 0], 1.0)
            lost = losses(gram, today[moved], before[moved], listed[moved])
            for number in np.array(moved)[lost > bearable].tolist():
                found[number] = today[number, listed[number]]
        return found

    @staticmethod
    def _of_listed(title: Title, of_artworks: Floats, start: int) -> Floats:
        """The sum over the artworks of a title that the catalogue lists."""
        total: Floats = of_artworks[start : start + len(title.artworks)].sum(axis=0)
        return total

    def _fields(self, title: Title, published_ms: int) -> dict[str, Any]:
        state = self._book.titles.get(title.title_id, TitleState({}))
        return {
            "title_id": title.title_id,
            "version": state.version,
            "published_ms": published_ms,
            "learned_through_ms": state.learned_through_ms,
            "features": self._book.sums.space.columns,
            "policies": self._book.policies.fields(state.place) if state.place >= 0 else {},
        }

    def _artworks(self, title: Title, fields: dict[str, Floats]) -> list[dict[str, Any]]:
        """Of each artwork its counts, and its row of each of the fields."""
        slots = self._book.titles.get(title.title_id, TitleState({})).slots
        whole = {name: np.ascontiguousarray(rows) for name, rows in fields.items()}
        found = []
        for i, artwork in enumerate(title.artworks):
            about = self._book.counts(artwork.artwork_id, slots.get(artwork.artwork_id))
            if artwork.canvas is not None:
                about["canvas"] = artwork.canvas
            found.append(about | {name: rows[i] for name, rows in whole.items()})
        return found


def without_context(sums: TitleSums, start: TitlePriors) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each artwork's reward, whoever looks: both of shape (A,).

    The same Gaussian model with the bias as its only feature. An artwork starts from its title's mean reward: the
    bias of the prior alone says what a member without any taste would do.
    """
    of = sums.title_of
    count, reward = sums.gram[:, 0, 0], sums.moment[:, 0]
    shown = sums.by_title(count)[of]
    title_mean = sums.by_title(reward)[of] / np.maximum(shown, 1e-300)
    prior_mean = np.where(shown > 0, title_mean, start.prior_mean[:, 0])
    noise, prior = start.noise_precision[of], start.prior_precision[of, 0]
    precision = prior + noise * count
    return (prior * prior_mean + noise * reward) / precision, 1.0 / np.sqrt(precision)


def losses(gram: Floats, mean: Floats, held: Floats, listed: NDArray[np.bool_]) -> Floats:
    """How much reward a member loses on average who is chosen for by ``held``, if ``mean`` is right.

    Members are taken to be as those who were shown the title: normal, with the mean and covariance of the contexts
    that its S sums up.

    Parameters
    ----------
    gram
        S of n titles, shape (n, d, d).
    mean, held
        Weights of their artworks, shape (n, K, d).
    listed
        Which of the K a title has, shape (n, K).

    Returns
    -------
    Shape (n,).
    """
    n, d = len(gram), gram.shape[-1]
    count = gram[:, 0, 0]
    shown = np.maximum(count, np.finfo(np.float64).tiny)[:, None]
    centre = gram[:, 0] / shown
    spread = gram / shown[:, :, None] - centre[:, :, None] * centre[:, None, :]
    # Of very large features that hardly differ, rounding leaves more than that, and of either sign.
    largest = (np.diagonal(gram, axis1=1, axis2=2) / shown).max(axis=1)
    spread[:, np.arange(d), np.arange(d)] += _LEAST_VARIANCE * np.maximum(1.0, largest)[:, None]
    contexts = centre[:, None] + _draws(d) @ np.swapaxes(np.linalg.cholesky(spread), 1, 2)
    contexts[:, :, 0] = 1.0
    scores, by_held = (
        np.where(listed[:, None], contexts @ np.swapaxes(weights, 1, 2), -np.inf) for weights in (mean, held)
    )
    chosen = np.take_along_axis(scores, by_held.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
    lost: Floats = (scores.max(axis=2) - chosen).mean(axis=1)
    return np.where(count > 0.0, lost, np.zeros(n))


@cache
def _draws(d: int) -> Floats:
    return np.random.default_rng(d).standard_normal((_MEMBERS, d))
