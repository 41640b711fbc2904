"""Log lines: structlog, as JSON objects or for people, always one line each, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["auto", "human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

Logger = structlog.typing.FilteringBoundLogger
"""What every part takes as its `log` argument: `log.info("event", key=value)`."""


def make_logger(log_format: LogFormat = "auto", level: LogLevel = "info", **bound: Any) -> FilteringBoundLogger:
    """A logger that writes to standard error; `auto` means people on a terminal and JSON elsewhere."""
    human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        *([_without_controls] if human else []),
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if human else _json_line
    logger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", logger.bind(**bound))


def informs(log: Logger) -> bool:
    """Whether lines of level `info` are written; where they are not, nothing that only they say needs computing."""
    return log.is_enabled_for(logging.INFO)


def _json_line(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    first = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event")}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


def _without_controls(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what would move a terminal's cursor or colour it: values come from clients. JSON does so by itself."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception" and not value.isprintable():
            event[name] = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
    return event
