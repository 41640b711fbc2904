"""The `X-MSYS-API` header: a JSON object in which a sender says how its message is tracked (1-injection §2, §3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailwake.message.encoded_words import decode_words
from mailwake.message.headers import unfold
from mailwake.message.json_value import NotJSON, read_json
from mailwake.message.msys_recipients import AddedRecipients, read_added
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADER_NAME = b"X-MSYS-API"

CAMPAIGN_LIMIT = 64
"""Octets of UTF-8 in a campaign id, whatever its source."""

CAMPAIGN_TOO_LONG = Reply(550, "5.6.0", f"smtpapi_campaign_id context is limited to {CAMPAIGN_LIMIT} bytes")
"""The refusal of a longer one, the same for the header and for policy (1-injection §3)."""

TRACKING_LEVELS = ("off", "anonymous", "identified")
"""How much tracking may know of a recipient, from nothing to all."""

_IP_POOL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TYPE_NAMES: Mapping[type, str] = {str: "string", bool: "boolean", list: "json array", dict: "json object"}


@dataclass(frozen=True, slots=True)
class MsysHeader:
    """What the header says; None for what it does not. The values are shared between recipients: do not change them."""

    open_tracking: bool | None = None
    click_tracking: bool | None = None
    campaign_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None
    added: AddedRecipients | None = None
    transactional: bool | None = None
    ip_pool: str | None = None
    tracking_level: str | None = None
    list_unsubscribe: bool | None = None


def read_msys_header(raw_values: Sequence[bytes]) -> MsysHeader | None:
    """What the message's `X-MSYS-API` header says, None without one; `raw_values` are as they stand, folded.

    Raises Refusal with the exact reply of 1-injection §3 for a second header, for what is no JSON object or no UTF-8,
    and for a known field of the wrong type. Choices where the specification is silent: `null` is the wrong type for
    every field; one tag that is no string makes `tags` the wrong type; unknown fields are ignored whatever they hold;
    of a field that stands there twice the last one counts, as in JSON libraries; a campaign that is too long is refused
    even where policy sets another; empty text is a value like any other.
    """
    if not raw_values:
        return None
    if len(raw_values) > 1:
        raise _wrong_type("", dict, f"{len(raw_values)} X-MSYS-API headers")
    value = unfold(raw_values[0])
    fields, decoded = _read_object(value)
    if not decoded and b"=?" in value:
        fields = _decode_strings(fields)
    return _header_of(fields)


def _read_object(value: bytes) -> tuple[dict[str, Any], bool]:
    """The JSON object, and whether RFC 2047 had to be undone to get it: that is done once, never twice."""
    decoded = False
    try:
        read = read_json(value)
    except NotJSON as error:
        read, decoded = _read_decoded(value, error), True
    if not isinstance(read, dict):
        raise _wrong_type("", dict, f"X-MSYS-API is a JSON {type(read).__name__}, not an object")
    return read, decoded


def _read_decoded(value: bytes, first_error: NotJSON) -> Any:
    """The value of a header that is, or has, encoded-words around more than the inside of a string."""
    try:
        text = value.decode("utf-8")
        if "=?" not in text:
            raise first_error
        return read_json(decode_words(text).encode("utf-8"))
    except (NotJSON, UnicodeError) as error:
        raise _wrong_type("", dict, f"X-MSYS-API: {error}") from None


def _decode_strings(value: Any) -> Any:
    """`value` with the encoded-words inside its strings and names decoded; read_json has limited its depth."""
    if isinstance(value, str):
        return decode_words(value)
    if isinstance(value, list):
        return [_decode_strings(item) for item in value]
    if isinstance(value, dict):
        return {decode_words(name): _decode_strings(item) for name, item in value.items()}
    return value


def _header_of(fields: dict[str, Any]) -> MsysHeader:
    options = _field(fields, "options", dict) or {}
    campaign = _field(fields, "campaign_id", str)
    if campaign is not None and too_long_for_campaign(campaign):
        raise Refusal(CAMPAIGN_TOO_LONG, f"X-MSYS-API campaign_id has {len(campaign.encode())} bytes")
    tags = _field(fields, "tags", list)
    if tags is not None and not all(isinstance(tag, str) for tag in tags):
        raise _wrong_type("tags", list, "X-MSYS-API: a tag is no string")
    return MsysHeader(
        open_tracking=_field(options, "open_tracking", bool, "options."),
        click_tracking=_field(options, "click_tracking", bool, "options."),
        campaign_id=campaign,
        metadata=_field(fields, "metadata", dict),
        tags=tags,
        added=read_added(fields),
        transactional=_field(options, "transactional", bool, "options."),
        ip_pool=_ip_pool(options),
        tracking_level=_tracking_level(options),
        list_unsubscribe=_field(options, "list_unsubscribe", bool, "options."),
    )


def _ip_pool(options: dict[str, Any]) -> str | None:
    pool: str | None = _field(options, "ip_pool", str, "options.")
    if pool is not None and not _IP_POOL.fullmatch(pool):
        text = "X-MSYS-API 'options.ip_pool' must be 1 to 64 letters, digits, _ . or -"
        raise Refusal(Reply(550, "5.6.0", text), f"X-MSYS-API options.ip_pool is {pool[:100]!r}")
    return pool


def _tracking_level(options: dict[str, Any]) -> str | None:
    level: str | None = _field(options, "tracking_level", str, "options.")
    if level is not None and level not in TRACKING_LEVELS:
        text = "X-MSYS-API 'options.tracking_level' must be 'off', 'anonymous' or 'identified'"
        raise Refusal(Reply(550, "5.6.0", text), f"X-MSYS-API options.tracking_level is {level[:100]!r}")
    return level


def too_long_for_campaign(campaign: str) -> bool:
    """Whether a campaign id has more than 64 octets of UTF-8; UnicodeEncodeError for what is no Unicode text."""
    return len(campaign) > CAMPAIGN_LIMIT or (not campaign.isascii() and len(campaign.encode()) > CAMPAIGN_LIMIT)


def _field(fields: dict[str, Any], name: str, wanted: type, prefix: str = "") -> Any:
    """The field's value, None when it is absent; Refusal when it is of another type (1 is no boolean)."""
    if name not in fields:
        return None
    value = fields[name]
    if type(value) is not wanted:
        raise _wrong_type(prefix + name, wanted, f"X-MSYS-API {prefix}{name} is a {type(value).__name__}")
    return value


def _wrong_type(name: str, wanted: type, log: str) -> Refusal:
    quoted = f" '{name}'" if name else ""
    return Refusal(Reply(550, "5.6.0", f"X-MSYS-API{quoted} must be of type '{_TYPE_NAMES[wanted]}'"), log)
