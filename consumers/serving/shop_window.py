"""What people see of a node: a page, the titles it shows, and posters drawn from what artworks show."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import orjson
from starlette.responses import Response

from consumers.serving.http import Refused
from stream.posters import poster

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from consumers.chooser import ArtworkChooser
    from stream.records import Artwork, Title

#: Posters kept in memory, at some 10 KB each.
_MAX_POSTERS = 1024
_KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
#: The page may show pictures of its node, talk to it, and be styled and run by its files alone,
#: so that a title's name that is a script is shown and not run.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'self'; script-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}
_POSTER_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


class ShopWindow:
    """The handlers that the page needs. Nothing here writes an event.

    Parameters
    ----------
    chooser
        Where the titles are.
    """

    def __init__(self, chooser: ArtworkChooser) -> None:
        self._chooser = chooser
        page = files("consumers.serving").joinpath("page")
        self._page = page.joinpath("index.html").read_bytes()
        self._files = {
            file.name: (file.read_bytes(), kind)
            for file in page.iterdir()
            if (kind := _KINDS.get(PurePath(file.name).suffix)) is not None
        }
        self._listed: tuple[Mapping[str, Title], bytes] | None = None
        self._posters: OrderedDict[tuple[str, str], tuple[Title, bytes]] = OrderedDict()

    async def page(self, request: Request) -> Response:
        """The page itself."""
        return _cacheable(request, self._page, "text/html; charset=utf-8", _PAGE_HEADERS)

    async def file(self, request: Request) -> Response:
        """What the page is made of: ``/page/{name}``, its styles and scripts."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise Refused(404, "the page has no such file")
        return _cacheable(request, *found, {})

    async def titles(self, request: Request) -> Response:
        """The catalogue as the page needs it."""
        titles = self._chooser.titles  # the view puts another mapping in its place when it changes
        if self._listed is None or self._listed[0] is not titles:
            self._listed = titles, orjson.dumps({"titles": [_listed(title) for title in titles.values()]})
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
