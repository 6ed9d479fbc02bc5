"""What a log is about: its titles, their artworks, the features of its contexts, and how long it runs.

Evaluation is arithmetic on columns, so names become numbers once: titles from 0, artworks from 0 within their
title and, in one row for all titles, from the title's start.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stream.features import BIAS, CAST_PREFIX, RESERVED
from stream.records import MAX_ARTWORKS, MAX_FEATURES, Artwork, Title

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.evaluation.log import Logged

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]
    Milliseconds = NDArray[np.int64]

#: Without a catalogue a title has no runtime; nothing here depends on it.
_RUNTIME_SECONDS = 6000.0


class Offer(NamedTuple):
    """The artworks of a title that compete for one canvas (None: for any)."""

    title_id: str
    canvas: str | None
    artwork_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """T offers of A artworks in all, and F features; made by a :class:`Survey`.

    Attributes
    ----------
    offers
        What titles have to choose from.
    titles
        As the catalogue has them, artworks that it no longer lists put at their ends; made of what was shown where
        there is no catalogue.
    features
        The bias, and what contexts hold; affinity to people is left out: a log has it of what was shown alone.
    starts, counts
        Of each offer the number of its first artwork, and how many it has: shapes (T,).
    first_ms, last_ms
        When each artwork was shown first and last, shapes (A,); an artwork that never was has -1.
    begun_ms
        When each offer was first made, shape (T,).
    rows, first, last
        Impressions in the log, and from when to when.
    """

    offers: tuple[Offer, ...]
    titles: Mapping[str, Title]
    features: tuple[str, ...]
    starts: Ints
    counts: Ints
    first_ms: Milliseconds
    last_ms: Milliseconds
    begun_ms: Milliseconds
    rows: int
    first: int
    last: int
    places: Mapping[tuple[str, str | None, str], int]

    @property
    def artworks(self) -> int:
        """A."""
        return len(self.first_ms)

    @property
    def most(self) -> int:
        """The largest number of artworks that a title has."""
        return int(self.counts.max(initial=0))

    @property
    def offer_of(self) -> Ints:
        """The offer of each artwork, shape (A,)."""
        return np.repeat(np.arange(len(self.offers)), self.counts)


class _Shown:
    """When an artwork was shown."""

    __slots__ = ("first", "last")

    def __init__(self, at_ms: int) -> None:
        self.first = self.last = at_ms


class Survey:
    """Reads a log through, so that it can be put into columns the second time."""

    def __init__(self) -> None:
        self.rows = 0
        self._first, self._last = (1 << 62), -1
        self._shown: dict[tuple[str, str | None], dict[str, _Shown]] = {}
        self._names: Counter[str] = Counter()
        self._kinds: dict[tuple[str, ...], int] = {}
        self._catalogue: dict[str, Title] = {}

    def list(self, title: Title) -> None:
        """Take in a title of the catalogue; a later record replaces an earlier one."""
        self._catalogue[title.title_id] = title

    @property
    def catalogue(self) -> Mapping[str, Title]:
        """The titles that were listed."""
        return self._catalogue

    @property
    def last_ms(self) -> int:
        """When the last impression was shown."""
        return self._last

    def see(self, impression: Logged) -> None:
        """Take in an impression."""
        self.rows += 1
        at_ms = impression.shown_ms
        self._first = min(self._first, at_ms)
        self._last = max(self._last, at_ms)
        offer = self._shown.setdefault((impression.title_id, impression.canvas), {})
        shown = offer.get(impression.artwork_id)
        if shown is None:
            offer[impression.artwork_id] = _Shown(at_ms)
        elif at_ms > shown.last:
            shown.last = at_ms
        elif at_ms < shown.first:
            shown.first = at_ms
        names = tuple(impression.context)
        self._kinds[names] = self._kinds.get(names, 0) + 1
        if len(self._kinds) > 4096:
            self._tidy()

    def _tidy(self) -> None:
        for names, count in self._kinds.items():
            for name in names:
                self._names[name] += count
        self._kinds.clear()

    def roster(self) -> Roster:
        """What it has found."""
        self._tidy()
        usable = ((count, name) for name, count in self._names.items() if _is_feature(name))
        features = (BIAS, *sorted(name for _, name in sorted(usable, reverse=True)[:MAX_FEATURES]))
        offers = [self._offer(*key, shown) for key, shown in sorted(self._shown.items(), key=_order)]
        counts = np.array([len(offer.artwork_ids) for offer in offers], dtype=np.intp)
        never = _Shown(-1)
        found = [
            self._shown[offer.title_id, offer.canvas].get(name, never)
            for offer in offers
            for name in offer.artwork_ids
        ]
        starts = np.cumsum(counts) - counts
        first = np.array([shown.first for shown in found], dtype=np.int64)
        begun = [
            min(shown.first for shown in self._shown[offer.title_id, offer.canvas].values()) for offer in offers
        ]
        places = {
            (offer.title_id, offer.canvas, name): int(start) + i
            for offer, start in zip(offers, starts, strict=True)
            for i, name in enumerate(offer.artwork_ids)
        }
        return Roster(
            offers=tuple(offers),
            titles=self._titles(offers),
            features=features,
            starts=starts,
            counts=counts,
            first_ms=first,
            last_ms=np.array([shown.last for shown in found], dtype=np.int64),
            begun_ms=np.array(begun, dtype=np.int64),
            rows=self.rows,
            first=min(self._first, max(self._last, 0)),
            last=max(self._last, 0),
            places=places,
        )

    def _offer(self, title_id: str, canvas: str | None, shown: Mapping[str, _Shown]) -> Offer:
        """Those that the catalogue lists for the canvas, in its order; then those that it no longer lists."""
        title = self._catalogue.get(title_id)
        listed = [] if title is None else [one.artwork_id for one in title.artworks if one.fits(canvas)]
        return Offer(title_id, canvas, (*listed, *sorted(set(shown) - set(listed))))

    def _titles(self, offers: Sequence[Offer]) -> dict[str, Title]:
        found: dict[str, Title] = {}
        for offer in offers:
            before = found.get(offer.title_id) or self._catalogue.get(offer.title_id)
            artworks = () if before is None else before.artworks
            known = {artwork.artwork_id for artwork in artworks}
            more = (Artwork(name, {}, offer.canvas) for name in offer.artwork_ids if name not in known)
            artworks = (*artworks, *more)[:MAX_ARTWORKS]
            found[offer.title_id] = (
                Title(offer.title_id, offer.title_id[:256], _RUNTIME_SECONDS, {}, artworks)
                if before is None
                else Title(before.title_id, before.name, before.runtime_seconds, before.themes, artworks)
            )
        return found


def roster_of(impressions: Iterable[Logged], titles: Iterable[Title] = ()) -> Roster:
    """The roster of a log in memory."""
    survey = Survey()
    for title in titles:
        survey.list(title)
    for impression in impressions:
        survey.see(impression)
    return survey.roster()


def _is_feature(name: str) -> bool:
    return name not in RESERVED and not name.startswith(CAST_PREFIX)


def _order(item: tuple[tuple[str, str | None], object]) -> tuple[str, str]:
    (title_id, canvas), _ = item
    return title_id, canvas or ""
