"""The node's HTTP interface.

Choosing is a matter of microseconds and happens where the request is read; events may have to wait for room and
are handed to a thread.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from consumers.serving.guard import Guard
from consumers.serving.http import Json, Refused, no_such_route, read, route
from consumers.serving.metrics import ServingMetrics
from consumers.serving.shop_window import ShopWindow
from stream.errors import TokenError
from stream.records import Context, Id  # noqa: TC001 - the structs' annotations are read at run time
from stream.topics import IMPRESSIONS, PLAYS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from consumers.chooser import ArtworkChooser
    from producers import EventProducer
    from stream.settings import Settings

#: The most titles one request may ask for: a page of that length takes some 20 ms of one core.
MAX_PAGE = 200

Token = Annotated[str, Meta(min_length=1)]


class ChooseBody(Struct, forbid_unknown_fields=True):
    """``POST /choose``: one title or several, for a member."""

    member_id: Id
    title_id: Id | None = None
    title_ids: Annotated[list[Id], Meta(max_length=MAX_PAGE)] | None = None
    context: Context | None = None
    canvas: Id | None = None


class ImpressionsBody(Struct, forbid_unknown_fields=True):
    """``POST /impressions``: the tokens of choices that are on a screen now."""

    tokens: list[Token]


class PlayBody(Struct, forbid_unknown_fields=True):
    """``POST /plays``: somebody has watched something for so long."""

    token: Token | None
    watched_seconds: float
    play_id: Id | None = None
    member_id: Id | None = None
    title_id: Id | None = None
    played_ms: int | None = None


def build_app(
    settings: Settings, chooser: ArtworkChooser, events: EventProducer, registry: CollectorRegistry
) -> Starlette:
    """The application; it starts nothing and owns nothing that needs an end.

    Parameters
    ----------
    settings
        Limits, and how members are split.
    chooser
        What chooses; the application answers 503 until it is ready.
    events
        Where impressions and plays go.
    registry
        Where its metrics are registered.
    """
    metrics = ServingMetrics(registry, chooser, events, lambda: time.time_ns() // 1_000_000)
    node = _Node(chooser, events, metrics, settings.http_max_bytes)
    window = ShopWindow(settings, chooser)

    async def exposition(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    add = partial(route, metrics=metrics, guard=Guard(settings.http_api_keys))
    probe = partial(route, metrics=metrics)  # who asks whether a node lives has no key, and is told nothing else
    return Starlette(
        routes=[
            add("/choose", ["POST"], node.choose),
            add("/impressions", ["POST"], node.impressions),
            add("/plays", ["POST"], node.plays),
            probe("/livez", ["GET"], node.livez),
            probe("/readyz", ["GET"], node.readyz),
            add("/metrics", ["GET"], exposition),
            add("/", ["GET"], window.page),
            add("/titles", ["GET"], window.titles),
            add("/posters/{title_and_artwork:path}", ["GET"], window.poster),
        ],
        exception_handlers={HTTPException: no_such_route},
    )


class _Node:
    """The handlers that machines call."""

    def __init__(
        self, chooser: ArtworkChooser, events: EventProducer, metrics: ServingMetrics, max_bytes: int
    ) -> None:
        self._chooser = chooser
        self._events = events
        self._metrics = metrics
        self._max_bytes = max_bytes

    async def choose(self, request: Request) -> Response:
        """Choices for a member, in the order asked for, and the titles of which there is none.

        ``unknown`` are those that the catalogue does not have, ``without_canvas`` those that have no artwork for
        the canvas.
        """
        asked = await read(request, ChooseBody, self._max_bytes)
        if (asked.title_id is None) == (asked.title_ids is None):
            raise Refused(400, "the body is wrong: give title_id or title_ids, one of the two")
        if not self._chooser.ready:
            raise Refused(503, "this node has not read the catalogue yet")
        try:
            if asked.title_id is not None:
                choices = [
                    self._chooser.choose(asked.member_id, asked.title_id, asked.context, canvas=asked.canvas)
                ]
            else:
                choices = self._chooser.choose_page(
                    asked.member_id, asked.title_ids or (), asked.context, canvas=asked.canvas
                )
        except ValueError as error:
            raise Refused(400, str(error)) from None
        found = {choice.title_id for choice in choices}
        missing = [title_id for title_id in dict.fromkeys(asked.title_ids or ()) if title_id not in found]
        titles = self._chooser.titles
        unknown = [title_id for title_id in missing if title_id not in titles]
        without_canvas = [title_id for title_id in missing if title_id in titles]
        return Json({"choices": choices, "unknown": unknown, "without_canvas": without_canvas})

    async def impressions(self, request: Request) -> Response:
        """Choices that are on a screen now. Good tokens are taken in even if others are not."""
        asked = await read(request, ImpressionsBody, self._max_bytes)
        return await run_in_threadpool(self._take_impressions, asked.tokens)

    def _take_impressions(self, tokens: list[str]) -> Response:
        accepted, fault = 0, None
        for place, token in enumerate(tokens):
            try:
                queued = self._events.impression_token(token)
            except TokenError as error:
                fault = fault or Refused(403, f"tokens[{place}]: {error}")
            else:
                if not queued:
                    fault = Refused(503, "Kafka takes no impressions at the moment")
                    break  # the next would have to wait as long as this one
                accepted += 1
        self._metrics.accepted.labels(IMPRESSIONS.name).inc(accepted)
        if fault is not None:
            raise Refused(fault.status, fault.sentence, accepted=accepted)
        return Json({"accepted": accepted}, 202)

    async def plays(self, request: Request) -> Response:
        """Somebody has watched something for so long."""
        asked = await read(request, PlayBody, self._max_bytes)
        return await run_in_threadpool(self._take_play, asked)

    def _take_play(self, asked: PlayBody) -> Response:
        try:
            queued = self._events.play(
                asked.token,
                asked.watched_seconds,
                play_id=asked.play_id,
                played_ms=asked.played_ms,
                member_id=asked.member_id,
                title_id=asked.title_id,
            )
        except ValueError as error:
            raise Refused(400, str(error)) from None
        if not queued:
            raise Refused(503, "Kafka takes no plays at the moment")
        self._metrics.accepted.labels(PLAYS.name).inc()
        return Json({"accepted": 1}, 202)

    async def livez(self, _: Request) -> Response:
        """The process answers."""
        return Json({"live": True})

    async def readyz(self, _: Request) -> Response:
        """Send it members: it has read its tables once. It stays ready while Kafka is away."""
        follower = self._chooser.follower
        if not self._chooser.ready:
            raise Refused(503, "this node has not read its tables yet")
        return Json({"ready": True, "connected": follower.connected, "titles": len(self._chooser.titles)})
