"""Parameters of URLs: each is declared once, with what it allows; reading, errors and the OpenAPI document follow."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from mailwake.api.errors import ApiError, Fault

MOST_FIELDS = 100
"""Parameters in one URL, those that are given several times counted each time."""

SHOWN_LENGTH = 60
"""Characters of a wrong value that its error quotes."""

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+ -]\d\d:?\d\d)?)?"  # a plus in a URL comes as a space
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: what is allowed, in words and as a JSON schema, and how its text is read (ValueError)."""

    allowed: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    many: bool = False
    """Whether it is a list, of which `read` reads each item."""
    split: bool = True
    """Whether the items of a list are separated by commas; if not, the parameter is repeated."""


def whole(minimum: int, maximum: int) -> Kind:
    """A whole number within limits, both included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", text) or not minimum <= int(text) <= maximum:
            raise ValueError
        return int(text)

    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Kind(f"a whole number from {minimum} to {maximum}", read, schema)


def text(*, maximum: int = 1000) -> Kind:
    """Text without control characters."""

    def read(value: str) -> str:
        if not 0 < len(value) <= maximum or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise ValueError
        return value

    return Kind(
        f"text of 1 to {maximum} characters without control characters", read, {"type": "string", "maxLength": maximum}
    )


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: str) -> str:
        if value not in words:
            raise ValueError
        return value

    return Kind(f"one of {', '.join(words)}", read, {"type": "string", "enum": list(words)})


def list_of(kind: Kind) -> Kind:
    """Items of one kind, separated by commas, or by the parameter `delimiter`; the parameter may also be repeated."""
    schema = {"type": "array", "items": dict(kind.schema)}
    return Kind(f"a list separated by commas, each item {kind.allowed}", kind.read, schema, many=True)


def repeated(kind: Kind) -> Kind:
    """Items of one kind, which may have commas in them, as the parameter is given once for each."""
    schema = {"type": "array", "items": dict(kind.schema)}
    return Kind(f"{kind.allowed}; given once for each", kind.read, schema, many=True, split=False)


def time() -> Kind:
    """A point in time; without an offset it is of the time zone that another parameter names."""

    def read(value: str) -> datetime:
        if not _TIME.fullmatch(value):
            raise ValueError
        found = datetime.fromisoformat(value.replace(" ", "+"))
        if found.year < 1970 or found.year > 9998:
            raise ValueError
        return found

    allowed = "a time like 2026-03-01T12:00, 2026-03-01T12:00:00.000Z or 2026-03-01T12:00+01:00, from 1970 on"
    return Kind(allowed, read, {"type": "string", "examples": ["2026-03-01T12:00"]})


def time_zone() -> Kind:
    """A time zone of the IANA database."""

    def read(value: str) -> ZoneInfo:
        if not re.fullmatch(r"[A-Za-z0-9_+-]{1,30}(?:/[A-Za-z0-9_+-]{1,30}){0,2}", value):
            raise ValueError
        try:
            return ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            raise ValueError from None

    return Kind("a time zone like UTC or America/New_York", read, {"type": "string", "examples": ["America/New_York"]})


def unix_ms(value: datetime, zone: ZoneInfo | None) -> int:
    """Unix milliseconds of a time that `time` has read."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=zone or UTC)
    return round(aware.timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a URL."""

    name: str
    kind: Kind
    doc: str
    default: Any = None
    """What holds without it; None: the sentence says it."""
    required: bool = False
    aliases: tuple[str, ...] = ()
    """Other names that the vendor has for it."""


DELIMITER = Parameter(
    name="delimiter", kind=text(maximum=10), doc="What separates the items of lists, instead of a comma."
)


def read_query(
    parameters: Sequence[Parameter], query: bytes, unsupported: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The values by the parameters' names, defaults included; absent ones without a default are not in it.

    Raises ApiError, which names the parameter, its value and what is allowed, for whatever is not understood: a
    filter that is passed over would answer a question that nobody has asked. `unsupported` are parameters of the
    vendor's that mailwake does not have, with the reason.
    """
    return read_pairs(parameters, query_pairs(query), unsupported)


def read_pairs(
    parameters: Sequence[Parameter], pairs: Iterable[tuple[str, str]], unsupported: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The same for names and values that `query_pairs` has given."""
    names = {name: each for each in parameters for name in (each.name, *each.aliases)}
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in names:
            raise _bad(_unknown(name, names, unsupported or {}))
        given.setdefault(names[name].name, []).append(value)
    delimiter = given[DELIMITER.name][0] if DELIMITER.name in given else ","
    values = {each.name: each.default for each in parameters if each.default is not None}
    values.update({name: _read(names[name], texts, delimiter) for name, texts in given.items()})
    for each in parameters:
        if each.required and each.name not in values:
            raise ApiError(Fault.MISSING_PARAMETER, f"parameter '{each.name}' is required; it is {each.kind.allowed}")
    return values


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a URL's query, in its order; ApiError when it is none."""
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS, separator="&"
        )
    except ValueError:
        raise _bad(f"the query of the URL is not UTF-8, or has more than {MOST_FIELDS} parameters") from None


def _read(parameter: Parameter, texts: list[str], delimiter: str) -> Any:
    if not parameter.kind.many:
        if len(texts) > 1:
            raise _bad(f"parameter '{parameter.name}' is given {len(texts)} times; give it once")
        return _read_item(parameter, texts[0])
    if parameter.kind.split:
        texts = [item for each in texts for item in each.split(delimiter or ",")]
    return tuple(_read_item(parameter, item.strip()) for item in texts)


def _read_item(parameter: Parameter, value: str) -> Any:
    if not value:
        raise _bad(f"parameter '{parameter.name}' is empty, or has an empty item; leave it out")
    try:
        return parameter.kind.read(value)
    except ValueError:
        allowed = parameter.kind.allowed
        raise _bad(f"parameter '{parameter.name}' cannot be {shown(value)}; it is {allowed}") from None


def shown(value: str) -> str:
    """A value in an error's text: quoted, not too long, without control characters."""
    cut = value if len(value) <= SHOWN_LENGTH else value[:SHOWN_LENGTH] + "…"
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut) + "'"


def _unknown(name: str, names: Mapping[str, Parameter], unsupported: Mapping[str, str]) -> str:
    if name in unsupported:
        return f"parameter '{name}' is not supported: {unsupported[name]}"
    near = difflib.get_close_matches(name[:100], names, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names) or 'none here'}"
    return f"there is no parameter {shown(name)}; {hint}"


def _bad(description: str) -> ApiError:
    return ApiError(Fault.BAD_PARAMETER, description)
