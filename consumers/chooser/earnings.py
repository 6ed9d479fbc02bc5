"""What the policies have earned, over all titles of which there is a snapshot."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from stream.worth.policies import ROWS, no_sums, sums_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stream.worth.policies import Floats

_AGREED, _DISAGREED = ROWS.index("agreed"), ROWS.index("disagreed")


class Advice(Struct, frozen=True):
    """The titles of which Keyart would have shown what the app did at least once, and what they have earned.

    ``impressions`` are the app's, ``reward`` what they earned, and ``advised`` what they would have earned if
    every impression had earned what those of its title did that Keyart agreed with.
    """

    impressions: float = 0.0
    reward: float = 0.0
    advised: float = 0.0

    def changed(self, before: Advice, now: Advice) -> Advice:
        """With one title's part replaced by another."""
        return Advice(
            self.impressions - before.impressions + now.impressions,
            self.reward - before.reward + now.reward,
            self.advised - before.advised + now.advised,
        )

    @classmethod
    def of(cls, sums: Floats) -> Advice:
        """One title's, from its sums."""
        agreed, disagreed = sums[_AGREED].sum(axis=0), sums[_DISAGREED].sum(axis=0)
        if not agreed[0]:
            return _NONE
        impressions = float(agreed[0] + disagreed[0])
        return cls(impressions, float(agreed[2] + disagreed[2]), impressions * float(agreed[2] / agreed[0]))


_NONE = Advice()


class _TitleSums(Struct, frozen=True):
    impressions: float
    sums: Floats
    advice: Advice


class Earnings:
    """Follows titles' sums and adds them up. One thread puts, any thread reads, without a lock.

    What is added up is put in the place of what was, in whole.

    Attributes
    ----------
    total
        The sum over all titles, see :func:`stream.worth.policies.no_sums`.
    advice
        The same of titles' advice.
    """

    def __init__(self) -> None:
        self.total: Floats = no_sums()
        self.advice = _NONE
        self._titles: dict[str, _TitleSums] = {}

    def put(self, title_id: str, fields: Mapping[str, Sequence[Sequence[float]]]) -> None:
        """Take a title's sums, in the place of those before.

        Raises
        ------
        ValueError
            They are no sums.
        """
        sums = sums_of(fields)
        self._put(title_id, _TitleSums(float(sums[:, :, 0].sum()), sums, Advice.of(sums)))

    def drop(self, title_id: str) -> None:
        """Forget a title that was withdrawn."""
        self._put(title_id, None)

    def take_over(self, title_id: str, before: Earnings) -> None:
        """Take a title's sums as somebody else has them."""
        self._put(title_id, before._titles.get(title_id))

    def busiest(self, count: int) -> list[tuple[str, Floats]]:
        """The titles with the most impressions, and their sums."""
        titles = list(self._titles.items())
        most = nlargest(count, titles, key=lambda one: one[1].impressions)
        return [(title_id, title.sums) for title_id, title in most if title.impressions]

    def _put(self, title_id: str, now: _TitleSums | None) -> None:
        before = self._titles.get(title_id)
        total, advice = self.total, self.advice
        if before is not None:
            total, advice = total - before.sums, advice.changed(before.advice, _NONE)
        if now is not None:
            total, advice = total + now.sums, advice.changed(_NONE, now.advice)
        if now is None:
            self._titles.pop(title_id, None)
        else:
            self._titles[title_id] = now
        self.total, self.advice = np.maximum(total, 0.0), advice
