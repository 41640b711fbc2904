"""Bodies of requests: bytes to typed values, or the vendor's errors that name the field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mailwake.api.errors import ApiError, Fault

if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")

SWALLOWED = 16
"""A body up to so many times the limit is read and dropped before 413: clients look for an answer only behind it."""

_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_JSON_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


async def read_body(request: Request, limit: int, *, wanted: str = "application/json") -> bytes:
    """The body; ApiError when it is larger than `limit` octets or is of another media type than is `wanted`.

    Raises ClientDisconnect (starlette's) when the client has gone.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != wanted:
        raise ApiError(
            Fault.WRONG_MEDIA_TYPE,
            f"the body has to be of this type, and the request to say so: Content-Type: {wanted}",
            headers={"connection": "close"},
        )
    announced = request.headers.get("content-length", "0")
    if int(announced) > SWALLOWED * limit:
        raise _too_large(limit)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > SWALLOWED * limit:
            break
    if size > limit:
        raise _too_large(limit)
    return b"".join(parts)


def _too_large(limit: int) -> ApiError:
    return ApiError(
        Fault.TOO_LARGE, f"a body may have {limit} octets (setting api.max_body)", headers={"connection": "close"}
    )


def decode_body(body: bytes, kind: type[T]) -> T:
    """The typed value; ApiError in the vendor's words for what is no JSON, lacks a field or has the wrong type."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ApiError(Fault.NOT_UTF8, f"the body is not UTF-8: octet {error.start} cannot stand there") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ApiError(Fault.NOT_JSON, f"problems parsing request as json: {error}") from None


def _invalid(text: str) -> ApiError:
    if found := _MISSING.fullmatch(text):
        return ApiError(Fault.MISSING_FIELD, f"field '{_joined(found)}' is required")
    if found := _UNKNOWN.fullmatch(text):
        return ApiError(Fault.NOT_JSON, f"there is no field '{_joined(found)}'")
    if found := _WRONG_TYPE.fullmatch(text):
        where = f"field '{found['path']}'" if found["path"] else "the body"
        return ApiError(
            Fault.NOT_JSON,
            f"{where} is of type '{_json(found['got'])}', but needs to be of type '{_json(found['wanted'])}'",
        )
    found = _PLACE.fullmatch(text)
    assert found is not None
    where = f"field '{found['path']}': " if found["path"] else ""
    return ApiError(Fault.NOT_JSON, where + found["what"])


def _joined(found: re.Match[str]) -> str:
    return ".".join(part for part in (found["path"], found["name"]) if part)


def _json(names: str) -> str:
    return " or ".join(_JSON_NAMES.get(name, name) for name in names.split(" | "))
