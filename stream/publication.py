"""From sums to snapshots: the posterior of every artwork that the catalogue lists, if it is fit to be seen."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.gathering import gather
from stream.posterior import pack, solve
from stream.prior import independent, priors
from stream.soundness import SoundnessGate, Unsound
from stream.title_state import TitleState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from stream.learning import TitleBook
    from stream.lessons import Taught
    from stream.prior import TitlePriors, TitleSums
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
            held = self._hold(title, sums.gram[part], sums.moment[part], mean[part])
            if held is not None:
                fields["held"] = held
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

    def _hold(self, title: Title, gram: Floats, moment: Floats, mean: Floats) -> Floats | None:
        """The means that a title is chosen by, shape (K, d): today's, or those of before, while these will do.

        They do until members would lose more than ``hold`` of the title's take rate by them, as far as today's can
        tell; then all of them move at once. While nothing is learned of the title nothing moves. An artwork of
        which nothing is held comes in with its mean.

        None: nothing was ever learned of the title, so there is nothing that could go back and forth.
        """
        state, hold = self._book.titles.get(title.title_id), self._book.rules.hold
        if state is None or not hold:
            return None
        names = [artwork.artwork_id for artwork in title.artworks]
        rows = [i for i, name in enumerate(names) if len(state.held.get(name, ())) == mean.shape[1]]
        held = mean.copy()
        if rows:
            held[rows] = [state.held[names[i]] for i in rows]
            earned = float(moment[:, 0].sum() / max(gram[:, 0, 0].sum(), 1.0))
            if state.held_version != state.version and _loss(gram.sum(axis=0), mean, held) > hold * earned:
                held = mean
        state.held, state.held_version = dict(zip(names, held, strict=True)), state.version
        return held

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
        found = []
        for i, artwork in enumerate(title.artworks):
            about = self._book.counts(artwork.artwork_id, slots.get(artwork.artwork_id))
            if artwork.canvas is not None:
                about["canvas"] = artwork.canvas
            found.append(about | {name: np.ascontiguousarray(rows[i]) for name, rows in fields.items()})
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


def _loss(gram: Floats, mean: Floats, held: Floats) -> float:
    """How much reward a member loses on average who is chosen for by ``held``, if ``mean`` is right.

    Members are taken to be as those who were shown the title: normal, with the mean and covariance of the contexts
    that its S sums up.
    """
    d, count = len(gram), gram[0, 0]
    if count <= 0.0:
        return 0.0
    centre = gram[0] / count
    spread = gram / count - np.outer(centre, centre)
    # Of very large features that hardly differ, rounding leaves more than that, and of either sign.
    spread[np.arange(d), np.arange(d)] += _LEAST_VARIANCE * max(1.0, float(np.diagonal(gram).max() / count))
    contexts = centre + _draws(d) @ np.linalg.cholesky(spread).T
    contexts[:, 0] = 1.0
    scores = contexts @ mean.T
    chosen = np.argmax(contexts @ held.T, axis=1)
    return float((scores.max(axis=1) - scores[np.arange(len(scores)), chosen]).mean())


@cache
def _draws(d: int) -> Floats:
    return np.random.default_rng(d).standard_normal((_MEMBERS, d))
