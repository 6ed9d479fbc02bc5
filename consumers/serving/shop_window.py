"""What people see of a node: a page, the titles it shows, and posters drawn from what artworks show."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import OrderedDict
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import orjson
from starlette.responses import Response

from consumers.serving.http import Refused
from stream.choice import key_of, policy_of
from stream.posters import poster

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from consumers.chooser import ArtworkChooser
    from stream.records import Artwork, Title
    from stream.settings import Settings

#: Posters kept in memory, at some 10 KB each.
_MAX_POSTERS = 1024
_MAX_VIEWERS = 12
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_POSTER_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class ShopWindow:
    """The handlers that the page needs. Nothing here writes an event.

    Parameters
    ----------
    settings
        How members are split: the page asks for people who get a personal choice.
    chooser
        Where the titles are.
    """

    def __init__(self, settings: Settings, chooser: ArtworkChooser) -> None:
        self._chooser = chooser
        self._page = files("consumers.serving").joinpath("page.html").read_bytes()
        self._page_headers = {"Content-Security-Policy": page_policy(self._page)}
        self._viewers = personal_members(settings.explore_share, settings.popular_share)
        self._listed: tuple[Mapping[str, Title], bytes] | None = None
        self._posters: OrderedDict[tuple[str, str], tuple[Title, bytes]] = OrderedDict()

    async def page(self, request: Request) -> Response:
        """The page itself."""
        return _cacheable(request, self._page, "text/html; charset=utf-8", self._page_headers)

    async def titles(self, request: Request) -> Response:
        """The catalogue as the page needs it, and members that it may ask choices for."""
        titles = self._chooser.titles  # the view puts another mapping in its place when it changes
        if self._listed is None or self._listed[0] is not titles:
            fields = {"titles": [_listed(title) for title in titles.values()], "viewers": self._viewers}
            self._listed = titles, orjson.dumps(fields)
        return _cacheable(request, self._listed[1], "application/json", {})

    async def poster(self, request: Request) -> Response:
        """A poster: ``/posters/{title_id}/{artwork_id}.svg``, both with ``%2F`` for a slash."""
        parts = [unquote(part) for part in _raw_path(request).split("/")]
        title = self._chooser.title(parts[2]) if len(parts) == 4 else None
        artworks = {} if title is None else {f"{artwork.artwork_id}.svg": artwork for artwork in title.artworks}
        artwork = artworks.get(parts[-1])
        if title is None or artwork is None:
            raise Refused(404, "there is no such artwork in the catalogue")
        return _cacheable(request, self._drawn(title, artwork), "image/svg+xml", _POSTER_HEADERS)

    def _drawn(self, title: Title, artwork: Artwork) -> bytes:
        """A poster, drawn once for as long as its title stays as it is."""
        name = title.title_id, artwork.artwork_id
        kept = self._posters.get(name)
        if kept is None or kept[0] is not title:
            kept = self._posters[name] = title, poster(title, artwork).encode()
            if len(self._posters) > _MAX_POSTERS:
                self._posters.popitem(last=False)
        self._posters.move_to_end(name)
        return kept[1]


def page_policy(page: bytes) -> str:
    """What a page may do: talk to its own node, and run the scripts that it came with, known by their hashes."""
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _SCRIPT.findall(page))
    scripts = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
        f"script-src {scripts}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )


def personal_members(explore_share: float, popular_share: float) -> list[str]:
    """Made-up members who get a personal choice; none if nobody does."""
    names = (f"page-viewer-{i}" for i in range(1000))
    found = (name for name in names if policy_of(key_of(name), explore_share, popular_share) == "personal")
    return [name for name, _ in zip(found, range(_MAX_VIEWERS), strict=False)]


def _listed(title: Title) -> dict[str, object]:
    return {
        "title_id": title.title_id,
        "name": title.name,
        "themes": title.themes,
        "artworks": [
            {
                "artwork_id": artwork.artwork_id,
                "themes": artwork.themes,
                "poster": f"/posters/{quote(title.title_id, safe='')}/{quote(artwork.artwork_id, safe='')}.svg",
            }
            for artwork in title.artworks
        ],
    }


def _raw_path(request: Request) -> str:
    """The path as it was sent: an id may hold a slash, which only its escaped form tells from a separator."""
    raw: bytes = request.scope.get("raw_path") or b""
    return raw.split(b"?")[0].decode("ascii", "replace")


def _cacheable(request: Request, body: bytes, kind: str, headers: Mapping[str, str]) -> Response:
    """An answer that a browser may keep and ask about: 304 if it has this very one."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    kept = {**headers, "ETag": tag, "Cache-Control": "no-cache"}
    asked = request.headers.get("if-none-match", "")
    if tag in (part.strip().removeprefix("W/") for part in asked.split(",")):
        return Response(status_code=304, headers=kept)
    return Response(body, media_type=kind, headers=kept)
