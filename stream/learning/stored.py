"""A title's sums as they lie in the learner's changelog. Private to learners, and versioned."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from stream.errors import StateMismatch
from stream.worth.policies import sums_of

FORMAT = 1


class StoredArtwork(Struct):
    """An artwork's sums: S packed (lower triangle, row by row), c, the exact counts, and the tags it had last."""

    artwork_id: str
    impressions: int
    plays: int
    reward: float
    gram: list[float]
    moment: list[float]
    shows: dict[str, float] = {}


class StoredTitle(Struct):
    """A title; what is not said here is that of :class:`stream.learning.title_state.TitleState`.

    ``policies`` are the sums of :mod:`stream.worth.policies`.
    """

    format: int
    title_id: str
    version: int
    learned_through_ms: int
    features: list[str]
    artworks: list[StoredArtwork]
    since: dict[str, int] = {}
    weighed_ms: int = 0
    held: dict[str, list[float]] = {}
    lapses: list[tuple[int, float]] = []
    policies: dict[str, list[list[float]]] = {}

    @classmethod
    def read(cls, value: bytes) -> StoredTitle:
        """From a changelog record.

        Raises
        ------
        StateMismatch
            Another version of Keyart wrote it, or it is damaged.
        """
        try:
            stored = msgspec.json.decode(value, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateMismatch(f"a record of the learner's changelog cannot be read: {error}") from error
        if stored.format != FORMAT:
            raise StateMismatch(
                f"the learner's changelog holds format {stored.format}, this version reads {FORMAT}: "
                "run the version that wrote it"
            )
        d = len(stored.features)
        if len(set(stored.features)) < d or any(
            (len(artwork.gram), len(artwork.moment)) != (d * (d + 1) // 2, d) for artwork in stored.artworks
        ):
            raise StateMismatch(
                f"the learner's changelog record of title {stored.title_id!r} has sums of the wrong size"
            )
        try:
            sums_of(stored.policies)
        except ValueError as error:
            raise StateMismatch(
                f"the learner's changelog record of title {stored.title_id!r} cannot be used: {error}"
            ) from error
        return stored
