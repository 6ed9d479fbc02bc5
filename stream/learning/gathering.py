"""The sums of titles' artworks beside what each artwork shows: what posteriors and lessons are worked out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.features import CAST
from stream.learning.prior import TitleSums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from stream.learning.book import TitleBook
    from stream.learning.title_state import TitleState
    from stream.records import Title

    Floats = NDArray[np.float64]


def gather(book: TitleBook, titles: Sequence[Title]) -> TitleSums:
    """The sums of titles' artworks, as of each title's ``learned_through_ms``.

    Of each title those that the catalogue lists come first, in its order. After them come those that it listed
    once and that were learned of: how members respond to the title was learned from them too, and withdrawing
    them must not change what is thought of the others.
    """
    columns = book.sums.space.columns
    d, index = len(columns), {name: i for i, name in enumerate(columns) if i}
    starts, here, slots, fades = [], [], [], []
    tags: list[Floats] = []
    for title in titles:
        starts.append(len(tags))
        state = book.titles.get(title.title_id)
        for artwork_id, shows in _shown(title, state):
            slot = None if state is None else state.slots.get(artwork_id)
            # A reward may overtake its impression (a learner that catches up reads one topic ahead of the
            # other). Until it comes there are rewards for what was never shown: the prior is what can be said.
            if state is not None and slot is not None and book.sums.plays[slot] <= book.sums.impressions[slot]:
                here.append(len(tags))
                slots.append(slot)
                fades.append(book.fade(state))
            row = np.zeros(d)
            if CAST in index:
                row[index[CAST]] = 1.0  # the feature is about what this artwork shows already
            for theme, weight in shows.items():
                if theme in index:
                    row[index[theme]] = weight
            tags.append(row)
    gram, moment = np.zeros((len(tags), d, d)), np.zeros((len(tags), d))
    fade = np.array(fades)
    gram[here] = book.sums.gram[slots] * fade[:, None, None]
    moment[here] = book.sums.moment[slots] * fade[:, None]
    return TitleSums(gram, moment, np.array(tags).reshape(-1, d), np.array(starts, dtype=np.intp))


def _shown(title: Title, state: TitleState | None) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Each artwork with what it shows; what was learned of is noted, in case that it is withdrawn."""
    for artwork in title.artworks:
        if state is not None and artwork.artwork_id in state.slots:
            state.shows[artwork.artwork_id] = artwork.themes
        yield artwork.artwork_id, artwork.themes
    if state is not None and len(state.slots) > 0:
        listed = {artwork.artwork_id for artwork in title.artworks}
        yield from ((name, shows) for name, shows in state.shows.items() if name not in listed)
