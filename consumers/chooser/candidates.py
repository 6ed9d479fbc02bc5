"""The artworks of a title that compete for a place on a screen: its canvas."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotation
from typing import TYPE_CHECKING

from msgspec import Struct

from stream.choosing.choice import artwork_keys, key_of
from stream.choosing.variety import Looks
from stream.errors import KeyartError
from stream.features import CAST_PREFIX

if TYPE_CHECKING:
    from stream.choosing.choice import Keys
    from stream.choosing.servable import ServableTitle
    from stream.records import Artwork, Title


class UnknownCanvas(KeyartError):
    """The title has no artwork for the canvas."""


class UnknownArtwork(KeyartError):
    """The artwork that the app shows is not in the catalogue, or not for the canvas."""


class Candidates(Struct, frozen=True, dict=True):
    """K artworks that compete, ready to choose from.

    Attributes
    ----------
    artwork_ids
        In the snapshot's order, in the catalogue's where there is none.
    canvases
        The canvas that an impression of each is logged with.
    snapshot
        What was learned of them; None: nothing is known yet.
    keys
        Their hashed names, shape (K,): for a uniform choice without a snapshot.
    people
        Each one's ``cast:`` tags; None if none of them shows anybody.
    tags
        What each shows.
    """

    artwork_ids: tuple[str, ...]
    canvases: tuple[str | None, ...]
    snapshot: ServableTitle | None
    keys: Keys
    people: tuple[dict[str, float], ...] | None
    tags: tuple[Mapping[str, float], ...]

    @property
    def looks(self) -> Looks:
        """The same, ready to compare: made when first asked for, as it takes much memory and few nodes need it.

        Of two threads that ask at the same moment both make it, and one is kept.
        """
        found: Looks | None = self.__dict__.get("looks")
        return found or self.__dict__.setdefault("looks", Looks(self.tags))


class Own(Struct, frozen=True):
    """The artwork that the app shows itself.

    Attributes
    ----------
    artwork_id
        Which.
    canvas
        The canvas that its impression is logged with.
    people
        Its ``cast:`` tags.
    """

    artwork_id: str
    canvas: str | None
    people: dict[str, float]


class ServedTitle:
    """A title as a node serves it: replaced in whole when the catalogue or what was learned changes.

    Parameters
    ----------
    title
        From the catalogue.
    published
        The title's last snapshot, whatever artworks it has; None: nothing is known yet.

    Attributes
    ----------
    title
        As given.
    key
        Its hashed name.
    snapshot
        What was learned of the artworks that the catalogue lists; None: nothing is known yet.
    """

    __slots__ = ("_artworks", "_candidates", "key", "snapshot", "title")

    def __init__(self, title: Title, published: ServableTitle | None) -> None:
        self.title = title
        self.key = key_of(title.title_id)
        self._artworks = {artwork.artwork_id: artwork for artwork in title.artworks}
        self.snapshot = None if published is None else published.only(self._artworks)
        self._candidates: dict[str | None, Candidates] = {}

    def candidates(self, canvas: str | None) -> Candidates | None:
        """Those that fit a canvas, None if there are none.

        An artwork without a canvas fits every one, and every artwork fits where no canvas is named. They are
        worked out when first asked for. Two threads that ask at the same moment both do so and find the same; a
        dictionary's own step settles which is kept, so nobody waits for a lock.
        """
        found = self._candidates.get(canvas)
        if found is None:
            fitting = {name: one for name, one in self._artworks.items() if one.fits(canvas)}
            if fitting:  # else nothing is kept: callers may name any number of canvases that there are not
                found = self._candidates.setdefault(canvas, self._work_out(fitting, canvas))
        return found

    def require(self, canvas: str | None) -> Candidates:
        """Those that fit a canvas.

        Raises
        ------
        UnknownCanvas
            There are none; the sentence says for which canvases there are some.
        """
        found = self.candidates(canvas)
        if found is None:
            known = ", ".join(dict.fromkeys(repr(artwork.canvas) for artwork in self.title.artworks))
            raise UnknownCanvas(
                f"title {self.title.title_id!r} has no artwork for canvas {canvas!r}, only for {known}"
            )
        return found

    def own(self, artwork_id: str | None, canvas: str | None) -> Own | None:
        """The artwork that the app shows, if it is listed for the canvas; without an id the first that is."""
        for one in self.title.artworks:
            if one.fits(canvas) and artwork_id in {None, one.artwork_id}:
                return Own(one.artwork_id, one.canvas or canvas, _people(one.themes))
        return None

    def _work_out(self, fitting: dict[str, Artwork], canvas: str | None) -> Candidates:
        snapshot = None if self.snapshot is None else self.snapshot.only(fitting)
        ids = tuple(fitting) if snapshot is None else snapshot.artwork_ids
        tags = tuple(fitting[name].themes for name in ids)
        people = tuple(_people(one) for one in tags)
        return Candidates(
            artwork_ids=ids,
            canvases=tuple(fitting[name].canvas or canvas for name in ids),
            snapshot=snapshot,
            keys=artwork_keys(self.title.title_id, ids),
            people=people if any(people) else None,
            tags=tags,
        )


def _people(tags: Mapping[str, float]) -> dict[str, float]:
    return {name: tag for name, tag in tags.items() if name.startswith(CAST_PREFIX)}
