"""What somebody would see: shares of each artwork and what decided, for tastes that are made up.

Nothing here is logged, counted or written: it is a question about people who do not exist. It is what the page
asks; an app asks ``POST /choose``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool

from consumers.chooser.contexts import merge
from consumers.serving.http import Json, Refused, read
from stream.explanation import Learned, standings
from stream.features import cast_affinity
from stream.plays.taste import added, shares, tidied
from stream.records import Id  # noqa: TC001 - the struct's annotation is read at run time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.chooser import ArtworkChooser
    from consumers.chooser.candidates import Candidates
    from stream.records import Title
    from stream.settings import Settings

#: The most titles one question may be about, and the most that somebody may have watched.
MAX_TITLES, MAX_WATCHED = 60, 10


class LookBody(Struct, forbid_unknown_fields=True):
    """``POST /look``: somebody has watched the former and looks at the latter."""

    watched: Annotated[list[Id], Meta(max_length=MAX_WATCHED)]
    title_ids: Annotated[list[Id], Meta(max_length=MAX_TITLES)]


class Reason(Struct, frozen=True):
    """What one feature adds to an artwork's expected reward, beyond what it adds to the others' on average.

    ``bias`` is what holds whoever looks, ``cast`` the people whom the artworks show. ``sure`` is the probability
    that the effect has the sign that it has; see :class:`stream.explanation.Pull`.
    """

    feature: str
    effect: float
    sure: float


class Looked(Struct, frozen=True):
    """What members with such a taste would see of a title, and why.

    Attributes
    ----------
    title_id, artwork_id
        The artwork that most of them see.
    shares
        Of such members who see each artwork, the most first; they sum to 1. Empty where nothing was published
        yet: then everybody sees the first.
    why
        What speaks for ``artwork_id`` and what against it, the largest effects first. They sum to what its
        expected reward is above the average of the others.
    version, learned_through_ms
        Of the snapshot; None where there is none.
    """

    title_id: str
    artwork_id: str
    shares: dict[str, float]
    why: tuple[Reason, ...]
    version: int | None
    learned_through_ms: int | None


class Look:
    """The handler of ``POST /look``.

    Parameters
    ----------
    settings
        How artworks are chosen.
    chooser
        Where the titles are, and what was learned of them.
    """

    def __init__(self, settings: Settings, chooser: ArtworkChooser) -> None:
        self._chooser = chooser
        self._max_bytes = settings.http_max_bytes
        self._floor, self._exploration = settings.uniform_floor, settings.exploration

    async def look(self, request: Request) -> Response:
        """``{"taste": {theme: share}, "titles": [Looked…], "unknown": [title ids]}``, in the order asked for."""
        asked = await read(request, LookBody, self._max_bytes)
        if not self._chooser.ready:
            raise Refused(503, "this node has not read the catalogue yet")
        return await run_in_threadpool(self._look, asked)

    def _look(self, asked: LookBody) -> Response:
        titles, served = self._chooser.titles, self._chooser.follower.view.served
        taste = taste_of([titles[title_id] for title_id in asked.watched if title_id in titles])
        looked, unknown = [], [title_id for title_id in asked.watched if title_id not in titles]
        for title_id in dict.fromkeys(asked.title_ids):
            one = served.get(title_id)
            if one is None:
                unknown.append(title_id)
                continue
            candidates = one.require(None)
            looked.append(look_at(one.title, candidates, taste, floor=self._floor, exploration=self._exploration))
        return Json({"taste": taste, "titles": looked, "unknown": list(dict.fromkeys(unknown))})


def taste_of(watched: Iterable[Title]) -> dict[str, float]:
    """The taste of somebody who has watched these titles and no others, all of them well and just now.

    >>> from stream.records import Title
    >>> film = Title("film", "A Film", 6000.0, {"comedy": 0.75, "drama": 0.25}, ())
    >>> taste_of([film, film])
    {'comedy': 0.75, 'drama': 0.25}
    """
    weights: dict[str, float] = {}
    for title in watched:
        weights = added(weights, 1.0, title.themes, fade=1.0)
    return shares(tidied(weights))


def look_at(
    title: Title, candidates: Candidates, taste: Mapping[str, float], *, floor: float, exploration: float
) -> Looked:
    """What members of a taste would see of a title; see :class:`Looked`."""
    snapshot, people = candidates.snapshot, candidates.people
    if snapshot is None:
        return Looked(title.title_id, candidates.artwork_ids[0], {}, (), None, None)
    cast = None if people is None else [cast_affinity(taste, tags) for tags in people]
    found = standings(Learned.of_servable(snapshot), merge(taste, {}), cast, floor=floor, exploration=exploration)
    ranked = sorted(found, key=lambda standing: -round(standing.chance, 9))  # equals in the catalogue's order
    return Looked(
        title_id=title.title_id,
        artwork_id=ranked[0].artwork_id,
        shares={standing.artwork_id: standing.chance for standing in ranked},
        why=tuple(Reason(pull.feature, pull.effect, pull.sure) for pull in ranked[0].pulls if pull.effect),
        version=snapshot.version,
        learned_through_ms=snapshot.learned_through_ms,
    )
