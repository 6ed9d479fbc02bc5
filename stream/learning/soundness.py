"""Whether a posterior may be published: what would mislead every serving node stays here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stream.records import Title

    Floats = NDArray[np.float64]


class Unsound(Exception):
    """A posterior must not be published; the message says why."""


class SoundnessGate:
    """Compares a title's posterior with the one that passed last.

    What passed is in memory alone. A learner that starts, or is given a title, compares the first posterior with
    the weights that the title was chosen by when it was last stored (setting ``hold``), and takes it that nothing
    was learned since: what was refused before a restart is refused after it.

    Parameters
    ----------
    max_jump
        The most that an artwork's expected reward may move at once, unless more was learned since than before.
    """

    def __init__(self, max_jump: float) -> None:
        self._max_jump = max_jump
        self._passed: dict[str, tuple[tuple[str, ...], Floats, Floats]] = {}

    def check(
        self, title: Title, gram: Floats, mean: Floats, factor: Floats, held: Mapping[str, Floats] | None = None
    ) -> None:
        """Let a posterior pass, and remember it.

        Parameters
        ----------
        title
            Whose K artworks, in the catalogue's order.
        gram, mean, factor
            S, posterior means and Cholesky factors, shapes (K, d, d), (K, d) and (K, d, d).
        held
            The weights that the title is chosen by, by artwork: to compare with where none has passed yet.

        Raises
        ------
        Unsound
            It is not finite, or has jumped.
        """
        if not (np.isfinite(mean).all() and np.isfinite(factor).all()):
            raise Unsound("not finite")
        ids = tuple(artwork.artwork_id for artwork in title.artworks)
        evidence = gram[:, 0, 0].copy()
        typical = gram[:, 0, :] / np.maximum(evidence, 1e-9)[:, None]  # the mean context each was shown in
        expected = np.einsum("kd,kd->k", typical, mean)
        known = held or {}
        if title.title_id not in self._passed and all(len(known.get(name, ())) == mean.shape[1] for name in ids):
            self._passed[title.title_id] = ids, np.array([known[name] for name in ids]), evidence
        before = self._passed.get(title.title_id)
        if before is not None and before[0] == ids and before[1].shape == mean.shape:
            moved = np.abs(expected - np.einsum("kd,kd->k", typical, before[1]))
            moved[evidence > 2.0 * before[2]] = 0.0
            if moved.max() > self._max_jump:
                worst = ids[int(np.argmax(moved))]
                raise Unsound(f"the expected reward of artwork {worst!r} moved by {moved.max():.3g}")
        self._passed[title.title_id] = (ids, mean, evidence)
