"""Log lines: readable on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from stream.settings import Settings


def configure(settings: Settings) -> None:
    """Decide once, at start, how this process logs.

    Lines go to standard error; standard output is for what a command was asked to print. A JSON line has
    ``event``, ``level``, ``timestamp`` (ISO 8601, UTC) and what else is known, an exception as one field. What
    libraries log comes in the same shape.
    """
    level = getattr(logging, settings.log_level.upper())
    readable = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    known: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shown: list[Any]
    if readable:
        # Plain tracebacks: the pretty ones print local variables, and those hold member ids.
        shown = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    else:
        shown = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    structlog.configure(
        processors=known + shown,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Loggers are not kept: one used before this was called would go on as it began.
        logger_factory=lambda *_: structlog.PrintLogger(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*known, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown],
        )
    )
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    # The Kafka client logs each retry; what matters of it reaches us as an error.
    logging.getLogger("kafka").setLevel(logging.CRITICAL if level > logging.DEBUG else logging.INFO)
