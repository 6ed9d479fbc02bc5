"""What is kept of one title beside its sums."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from stream.records import Context, RewardChange

    Floats = NDArray[np.float64]


@dataclass(slots=True)
class TitleState:
    """Where a title's sums are, and how far it has come.

    ``since`` holds, for each feature that became a column after the title had begun to learn, how far it had come.
    Impressions up to then are in S without the feature, so their rewards must be in c without it too: c alone
    would say that the feature is rewarded and was never shown.

    ``weighed_ms`` is the moment whose impressions weigh 1 in the sums: a whole number of half-lives, so that
    moving it on scales the sums by a power of two, which loses nothing.

    ``lapses`` are the moments at which the title's reward turned, each with what was left then of the weight of
    the impressions up to it.

    ``place`` is where the sums of its policies are.

    ``shows`` has the tags of the artworks that were learned of, as the catalogue had them last, and ``held`` the
    weights that the title is chosen by, found last at ``held_version``, see :mod:`stream.learning.publication`.
    """

    slots: dict[str, int]
    version: int = 0
    learned_through_ms: int = 0
    since: dict[str, int] = field(default_factory=dict)
    weighed_ms: int = 0
    lapses: list[tuple[int, float]] = field(default_factory=list)
    shows: dict[str, Mapping[str, float]] = field(default_factory=dict)
    held: dict[str, Floats] = field(default_factory=dict)
    held_version: int = -1
    place: int = -1

    def remembered(self, shown_ms: int) -> float:
        """What is left of the weight of an impression of that time."""
        return math.prod(left for through_ms, left in self.lapses if shown_ms <= through_ms)

    def context(self, record: RewardChange) -> Context:
        """What the impression of a reward was learned with."""
        if not self.since:
            return record.context
        since, shown_ms = self.since, record.shown_ms
        return {name: value for name, value in record.context.items() if shown_ms > since.get(name, -1)}
