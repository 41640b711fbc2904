"""Log lines: structlog, as JSON objects or for people, always one line each, on standard error."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import FilteringBoundLogger, Processor

LogFormat = Literal["auto", "human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

Logger = structlog.typing.FilteringBoundLogger
"""What every part takes as its `log` argument: `log.info("event", key=value)`."""


class Hidden(Protocol):
    """What lines say in the place of people; `events.privacy.RecipientHash` is one."""

    def hashed(self, address: str, /) -> str:
        """What stands in the place of a recipient."""
        ...

    def without_addresses(self, text: str, /) -> str:
        """A text with every address in it replaced."""
        ...

    def without_verp(self, sender: str, /) -> str:
        """A sender without the recipient that may be in it."""
        ...


def make_logger(
    log_format: LogFormat = "auto", level: LogLevel = "info", *, hidden: Hidden | None = None, **bound: Any
) -> FilteringBoundLogger:
    """A logger that writes to standard error; `auto` means people on a terminal and JSON elsewhere.

    With `hidden` no line names a recipient.
    """
    human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        *([_Hiding(hidden)] if hidden is not None else []),
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


class _Hiding:
    # By the names of fields (log_fields.py); texts that others wrote may quote addresses.
    def __init__(self, hidden: Hidden) -> None:
        texts = hidden.without_addresses
        self._replaced: dict[str, Callable[[str], str]] = {
            "recipient": hidden.hashed,
            "to": hidden.hashed,
            "sender": hidden.without_verp,
            **dict.fromkeys(("reply", "next_hop_reply", "reason", "detail", "error", "text"), texts),
        }

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, replaced in self._replaced.items():
            value = event.get(name)
            if isinstance(value, str):
                event[name] = replaced(value)
            elif isinstance(value, list):
                event[name] = [replaced(each) for each in value]
        return event


def _json_line(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    first = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event")}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


def _without_controls(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what would move a terminal's cursor or colour it: values come from clients. JSON does so by itself."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception" and not value.isprintable():
            event[name] = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value)
    return event
