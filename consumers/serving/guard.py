"""Who may ask the node, and what a browser may do with its answers."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr
    from starlette.datastructures import Headers, MutableHeaders

#: Of every answer that does not say otherwise: it is what it says it is, runs nothing, is framed by nobody and is
#: kept by nobody, as it may be about a member.
ANSWER_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """Knows the keys that callers must show.

    Parameters
    ----------
    keys
        Any of them will do, so that they can be changed one after the other; none: anybody may call.
    """

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        self._keys = [key.get_secret_value().encode() for key in keys]

    def admits(self, headers: Headers) -> bool:
        """Whether a request shows a key: ``Authorization: Bearer`` and the key.

        How long it takes says nothing about the keys.
        """
        if not self._keys:
            return True
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        given = shown.strip().encode("latin-1")  # as Starlette decodes headers
        found = [hmac.compare_digest(given, key) for key in self._keys]
        return scheme.lower() == "bearer" and any(found)


def is_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser asks for another site's page.

    A page anywhere could make the browser of somebody inside a network send what it likes to a node there.
    Browsers say where a request comes from; whatever is no browser does not.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def protect(headers: MutableHeaders) -> None:
    """Give an answer the headers that it does not have."""
    for name, value in ANSWER_HEADERS.items():
        headers.setdefault(name, value)
