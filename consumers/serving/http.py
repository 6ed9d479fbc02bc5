"""Reading requests and answering them: JSON in, JSON out, every fault one sentence."""

from __future__ import annotations

import asyncio
import time
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from consumers.chooser import UnknownArtwork, UnknownCanvas, UnknownTitle
from consumers.serving.guard import is_from_elsewhere, protect
from stream.errors import TokenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from consumers.serving.guard import Guard
    from consumers.serving.metrics import ServingMetrics

    Handler = Callable[[Request], Awaitable[Response]]

T = TypeVar("T", bound=msgspec.Struct)

#: How long a caller may take to send a body: whoever sends a byte a minute holds a connection for nothing.
BODY_SECONDS = 10.0

log = structlog.get_logger("keyart")


class Json(Response):
    """An answer in JSON; records are written as the objects they are."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body's bytes."""
        return orjson.dumps(content, default=msgspec.structs.asdict)


class Refused(Exception):
    """A request cannot be granted: what to answer instead.

    Attributes
    ----------
    status
        The HTTP status.
    sentence
        What is wrong, for whoever wrote the request.
    more
        Further fields of the answer.
    """

    def __init__(self, status: int, sentence: str, **more: object) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.more = more


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


async def read(request: Request, kind: type[T], limit: int) -> T:
    """Read a request's body.

    Parameters
    ----------
    kind
        What it must be.
    limit
        The most bytes that are read, whatever the request says its length is.

    Raises
    ------
    Refused
        413: it is longer. 408: it does not end. 400: it is not JSON, or not what it must be; the sentence names
        the field.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_long(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_long(limit)
    except TimeoutError:
        raise Refused(408, f"the body did not end within {BODY_SECONDS:g} s") from None
    try:
        found: T = _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, f"the body is wrong: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    return found


def _too_long(limit: int) -> Refused:
    return Refused(413, f"the body is longer than {limit} bytes")


def route(
    path: str, methods: list[str], handler: Handler, metrics: ServingMetrics, guard: Guard | None = None
) -> Route:
    """A route whose every answer is timed and whose every fault is answered in JSON, never with a stack trace.

    Metrics and log lines name it by what comes before its first parameter: ids stay out of both. With a guard it
    is for those alone whom the guard admits.
    """
    name = path.split("{", maxsplit=1)[0].rstrip("/") or "/"
    metrics.expect(name)

    async def answer(request: Request) -> Response:
        started = time.perf_counter()
        try:
            if guard is not None and not guard.admits(request.headers):
                raise Refused(401, "show one of the node's keys: Authorization: Bearer …")
            if request.method not in {"GET", "HEAD"} and is_from_elsewhere(request.headers):
                raise Refused(403, "a page of another site may not ask this of the node")
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not show its inside to a caller
            response = _fault(name, error)
        protect(response.headers)
        metrics.answered(name, response.status_code, time.perf_counter() - started)
        return response

    return Route(path, answer, methods=methods)


def _fault(name: str, error: Exception) -> Json:
    """The answer to a request that failed."""
    status, more = 500, {}
    match error:
        case Refused():
            status, sentence, more = error.status, error.sentence, error.more
        case TokenError():
            status, sentence = 403, str(error)
        case UnknownTitle() | UnknownCanvas() | UnknownArtwork():
            status, sentence = 404, str(error)
        case ClientDisconnect():
            status, sentence = 400, "the request ended before its body did"  # nobody is there to read it
        case _:
            # Where it happened, but not what was in hand: a message may hold a member's id.
            log.error("request failed", route=name, error=type(error).__name__, where=_where(error))
            sentence = "something went wrong in the serving node; its log says where"
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status)
    return Json({"error": sentence, **more}, status, headers)


def _where(error: Exception) -> str:
    """The innermost line of our own code, or of whoever raised."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else f"{last.tb_frame.f_code.co_qualname}:{last.tb_lineno}"


async def no_such_route(request: Request, error: Exception) -> Response:
    """The answer to a path or method that there is not."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: Mapping[str, str] | None = error.headers if isinstance(error, HTTPException) else None
    sentence = {404: "there is nothing at this path", 405: f"{request.method} is not possible here"}
    answer = Json({"error": sentence.get(status, "the request cannot be answered")}, status, headers)
    protect(answer.headers)
    return answer
