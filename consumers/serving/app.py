"""The node's HTTP interface.

Choosing is a matter of microseconds and happens where the request is read; events may have to wait for room and
are handed to a thread.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import structlog
from msgspec import Meta, Struct
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from consumers.serving.guard import Guard
from consumers.serving.http import Json, Refused, no_such_route, read, route
from consumers.serving.live import Live
from consumers.serving.live_metrics import LiveMetrics
from consumers.serving.look import Look
from consumers.serving.metrics import ServingMetrics
from consumers.serving.shop_window import ShopWindow
from stream.errors import TokenError
from stream.reading.event_time import wall_clock_ms
from stream.records import Context, Id  # noqa: TC001 - the structs' annotations are read at run time
from stream.topics import IMPRESSIONS, PLAYS
from stream.worth.policies import shares
from stream.worth.split import SplitWatch

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.requests import Request

    from consumers.chooser import ArtworkChooser
    from producers import EventProducer
    from stream.choosing.choice import Choice
    from stream.settings import Settings

log = structlog.get_logger("keyart")

#: The most titles one request may ask for: a page of that length takes some 20 ms of one core.
MAX_PAGE = 200

Token = Annotated[str, Meta(min_length=1)]


class ChooseBody(Struct, forbid_unknown_fields=True):
    """``POST /choose``: one title or several, for a member.

    ``own`` is the artwork that the app would show without Keyart; of several titles, by title.
    """

    member_id: Id
    title_id: Id | None = None
    title_ids: Annotated[list[Id], Meta(max_length=MAX_PAGE)] | None = None
    context: Context | None = None
    canvas: Id | None = None
    own: Id | dict[Id, Id] | None = None


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
    live = Live(chooser, SplitWatch(shares(settings)), wall_clock_ms)
    registry.register(LiveMetrics(live))
    metrics = ServingMetrics(registry, chooser, events, wall_clock_ms)
    node = _Node(chooser, events, metrics, live.split, settings.http_max_bytes)
    window, look = ShopWindow(chooser), Look(settings, chooser)

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
            add("/page/{name}", ["GET"], window.file),
            add("/titles", ["GET"], window.titles),
            add("/live", ["GET"], live.answer),
            add("/look", ["POST"], look.look),
            add("/posters/{title_and_artwork:path}", ["GET"], window.poster),
        ],
        exception_handlers={HTTPException: no_such_route},
    )


class _Node:
    """The handlers that machines call."""

    def __init__(
        self,
        chooser: ArtworkChooser,
        events: EventProducer,
        metrics: ServingMetrics,
        split: SplitWatch,
        max_bytes: int,
    ) -> None:
        self._chooser = chooser
        self._events = events
        self._metrics = metrics
        self._split = split
        self._max_bytes = max_bytes

    async def choose(self, request: Request) -> Response:
        """Choices for a member, in the order asked for, and the titles of which there is none.

        ``unknown`` are those that the catalogue does not have, ``without_canvas`` those that have no artwork for
        the canvas, ``without_own`` those that do not have the one that the app shows, where it is left to the app.
        """
        asked = await read(request, ChooseBody, self._max_bytes)
        if (asked.title_id is None) == (asked.title_ids is None):
            raise Refused(400, "the body is wrong: give title_id or title_ids, one of the two")
        if asked.own is not None and isinstance(asked.own, str) == (asked.title_id is None):
            raise Refused(400, "the body is wrong: own is an artwork's id with title_id, a mapping with title_ids")
        if not self._chooser.ready:
            raise Refused(503, "this node has not read the catalogue yet")
        try:
            choices = self._choices(asked)
        except ValueError as error:
            raise Refused(400, str(error)) from None
        found = {choice.title_id for choice in choices}
        missing = [title_id for title_id in dict.fromkeys(asked.title_ids or ()) if title_id not in found]
        served = self._chooser.follower.view.served
        unknown = [title_id for title_id in missing if title_id not in served]
        without_canvas = [title_id for title_id in missing if title_id not in unknown]
        without_own = [title_id for title_id in without_canvas if served[title_id].candidates(asked.canvas)]
        return Json(
            {
                "choices": choices,
                "unknown": unknown,
                "without_canvas": [title_id for title_id in without_canvas if title_id not in without_own],
                "without_own": without_own,
            }
        )

    def _choices(self, asked: ChooseBody) -> list[Choice]:
        if asked.title_id is not None:
            own = asked.own if isinstance(asked.own, str) else None
            return [
                self._chooser.choose(asked.member_id, asked.title_id, asked.context, canvas=asked.canvas, own=own)
            ]
        by_title = asked.own if isinstance(asked.own, dict) else None
        return self._chooser.choose_page(
            asked.member_id, asked.title_ids or (), asked.context, canvas=asked.canvas, own=by_title
        )

    async def impressions(self, request: Request) -> Response:
        """Choices that are on a screen now. Good tokens are taken in even if others are not."""
        asked = await read(request, ImpressionsBody, self._max_bytes)
        return await run_in_threadpool(self._take_impressions, asked.tokens)

    def _take_impressions(self, tokens: list[str]) -> Response:
        accepted, fault = 0, None
        for place, token in enumerate(tokens):
            try:
                impression, queued = self._events.shown(token)
            except TokenError as error:
                fault = fault or Refused(403, f"tokens[{place}]: {error}")
            else:
                if not queued:
                    fault = Refused(503, "Kafka takes no impressions at the moment")
                    break  # the next would have to wait as long as this one
                accepted += 1
                if self._split.seen(impression.member_id, impression.policy):
                    log.warning(
                        "members are not split as the settings say: what policies earn cannot be compared",
                        members=self._split.counts,
                        shares=self._split.shares,
                    )
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
        """The process answers, and follows its tables as well as it can: Kafka's being away does not fail it."""
        alive = self._chooser.follower.alive
        return Json({"live": alive}, 200 if alive else 503)

    async def readyz(self, _: Request) -> Response:
        """Send it members: it has read its tables once. It stays ready while Kafka is away."""
        follower = self._chooser.follower
        if not self._chooser.ready:
            raise Refused(503, "this node has not read its tables yet")
        return Json({"ready": True, "connected": follower.connected, "titles": len(self._chooser.titles)})
