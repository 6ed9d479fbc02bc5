"""A page on which not everything looks alike.

Titles of a page are decided in order. What is on it already makes artwork that looks the same less welcome: the
mean score of an artwork is lowered by ::

    page_variety · ρ · (the mean cosine similarity of its tags to those of every artwork on the page so far)

where ρ is the mean of the scores of the title's artworks for this member (nought if that is below nought). So the
setting is relative to what the title earns, and the same for titles that are played often and seldom: at 0.5, an
artwork just like everything on the page has to earn half the title's mean more than one that is like nothing on
it. This is the trade of maximal marginal relevance (Carbonell & Goldstein 1998) with the mean in place of the
largest similarity: on a page of forty titles every theme has been shown once, and the largest would tell no more.

A shift of the means leaves the scores independent Gaussians, so propensities stay exact: each is the probability
of the choice given the choices before it, and their product is that of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Looks:
    """What K artworks show: unit vectors over the V tags that they have between them, people included.

    Attributes
    ----------
    names
        The V tags.
    unit
        Shape (K, V); an artwork without tags is a row of noughts, and like nothing.
    tags
        The same without the noughts, by name.
    """

    __slots__ = ("names", "tags", "unit")

    def __init__(self, tags: Sequence[Mapping[str, float]]) -> None:
        self.names = tuple(dict.fromkeys(name for artwork in tags for name in artwork))
        self.unit: Floats = np.array([[artwork.get(name, 0.0) for name in self.names] for artwork in tags])
        length = np.sqrt(np.einsum("kv,kv->k", self.unit, self.unit))
        self.unit /= np.where(length > 0.0, length, 1.0)[:, None]
        rows = (zip(self.names, row, strict=True) for row in self.unit.tolist())
        self.tags = tuple({name: weight for name, weight in row if weight} for row in rows)


class Page:
    """What a page shows so far.

    >>> page, looks = Page(), Looks([{"romance": 1.0}, {"comedy": 0.5}, {"romance": 0.6, "comedy": 0.8}])
    >>> page.likeness(looks)
    array([0., 0., 0.])
    >>> page.add(looks, 0)
    >>> page.likeness(looks)
    array([1. , 0. , 0.6])
    """

    __slots__ = ("_count", "_sums")

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, looks: Looks, place: int) -> None:
        """One of a title's artworks is shown."""
        self._count += 1
        for name, weight in looks.tags[place].items():
            self._sums[name] = self._sums.get(name, 0.0) + weight

    def likeness(self, looks: Looks) -> Floats:
        """How much each artwork is like the page: the mean cosine similarity to what it shows, shape (K,)."""
        if not self._count:
            return np.zeros(len(looks.unit))
        sums = self._sums
        shown = np.array([sums.get(name, 0.0) for name in looks.names])
        likeness: Floats = looks.unit @ shown / self._count
        return likeness


class Variety:
    """A page to be chosen, and how much it is to avoid what looks alike.

    Parameters
    ----------
    strength
        The setting ``page_variety``.
    looks
        Of each title, in the page's order, what its artworks show.
    given
        Of each title the place of an artwork that is shown whatever else is; None where one is to be chosen.
    """

    __slots__ = ("_given", "_looks", "_open", "_page", "_strength", "_through")

    def __init__(self, strength: float, looks: Sequence[Looks], given: Sequence[int | None]) -> None:
        self._strength, self._looks, self._given = strength, looks, given
        self._open = [number for number, place in enumerate(given) if place is None]
        self._page, self._through = Page(), 0

    def lowered(self, number: int) -> Floats:
        """By how much each artwork is less welcome, in parts of the mean of the title's scores, shape (K,).

        ``number`` counts the titles for which one is to be chosen; they are asked for in turn.
        """
        at = self._open[number]
        for before in range(self._through, at):
            place = self._given[before]
            if place is not None:
                self._page.add(self._looks[before], place)
        self._through = at + 1
        return self._strength * self._page.likeness(self._looks[at])

    def add(self, number: int, place: int) -> None:
        """What was chosen there."""
        self._page.add(self._looks[self._open[number]], place)
