"""Three sources, one precedence: context variables, the X-MSYS-API header, the configuration (1-injection §1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mailwake.config.kinds import is_authority
from mailwake.config.scopes import ResolvedOptions, Sourced
from mailwake.message.json_value import NotJSON, compact_json, read_json
from mailwake.message.msys_header import CAMPAIGN_TOO_LONG, TRACKING_LEVELS, MsysHeader, too_long_for_campaign
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.config.schema import Settings

LONGEST_TAG = 255
"""Characters; a longer tag is ignored as one over the limit is, for every link and event of the message carries it."""

CONTEXT_VARIABLES = (
    "smtpapi_open_tracking",
    "smtpapi_click_tracking",
    "smtpapi_open_tracking_scheme",
    "smtpapi_click_tracking_scheme",
    "smtpapi_tracking_domain",
    "smtpapi_tracking_link_expiry",
    "smtpapi_list_unsubscribe",
    "smtpapi_campaign_id",
    "smtpapi_metadata",
    "smtpapi_tags",
    "smtpapi_tracking_level",
    "mo_customer_id",
    "pathway",
    "mailwake_relay",
)
"""Every context variable that decides about a copy; recipients for whom these are the same are treated alike."""

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_SCHEMES = ("http", "https")
_NO_HEADER = MsysHeader()
_NONE: Sourced[Any] = Sourced(None, "none")
_IDENTIFIED = Sourced("identified", "default")
_NO_METADATA: Sourced[Mapping[str, Any]] = Sourced({}, "none")
_NO_TAGS: Sourced[tuple[str, ...]] = Sourced((), "none")


@dataclass(frozen=True, slots=True)
class EngagementLimits:
    """How much of what senders give travels in links and events."""

    max_metadata_len: int = 200
    """Octets of compact JSON."""
    max_tags_per_recipient: int = 10
    level_ceilings: Mapping[str, str] = field(default_factory=dict)
    """The highest tracking level by tracking domain, for those that have a ceiling."""

    @classmethod
    def of(cls, settings: Settings) -> EngagementLimits:
        """The configured limits."""
        ceilings = {name.lower(): domain.max_tracking_level for name, domain in settings.tracking_domains.items()}
        return cls(settings.max_metadata_len, settings.max_tags_per_recipient, ceilings)


@dataclass(frozen=True, slots=True)
class EngagementSettings:
    """How a recipient's copy is tracked: every setting with its source; shared by recipients with the same context."""

    open_tracking: Sourced[bool]
    click_tracking: Sourced[bool]
    initial_open: Sourced[bool]
    honeypot_link: Sourced[bool]
    """Whether the copy gets a hidden link that only machines follow."""
    open_scheme: Sourced[str]
    click_scheme: Sourced[str]
    tracking_domain: Sourced[str]
    link_expiry: Sourced[int]
    """Seconds."""
    list_unsubscribe: Sourced[bool]
    """Whether the copy gets header fields for unsubscribing."""
    campaign_id: Sourced[str | None]
    metadata: Sourced[Mapping[str, Any]]
    """All of it, for policy."""
    tags: Sourced[tuple[str, ...]]
    """Those that travel: within both limits."""
    customer_id: Sourced[str | None]
    tracking_level: Sourced[str]
    """"identified"; "anonymous": links name no recipient; "off": nothing is tracked."""
    metadata_text: str
    """The metadata that travels, as compact JSON; empty when there is none."""
    metadata_trimmed: bool
    """Whether some pairs did not fit max_metadata_len."""
    tags_over_recipient_limit: int
    """Tags left out because the message has too many."""
    tags_unknown: int
    """Tags left out because the system-wide set is full."""


def resolve(
    context: Mapping[str, str],
    header: MsysHeader | None,
    options: ResolvedOptions,
    limits: EngagementLimits,
    known: Callable[[Sequence[str]], Sequence[str]],
) -> EngagementSettings:
    """The settings for recipients with this context; each is taken from the first source that has it.

    `known` says which of some tags the system-wide set admits. Raises Refusal with the exact reply of 1-injection §3
    for a context variable that cannot be read. Choices where the specification is silent: an empty campaign in a
    context variable means no campaign; a tag that stands there twice counts once; one of over 255 characters is
    ignored.
    """
    header = header or _NO_HEADER
    read = context.get
    metadata = _metadata(read("smtpapi_metadata"), header)
    metadata_text, trimmed = trim_metadata(metadata.value, limits.max_metadata_len)
    tags, over, unknown = _tags(read("smtpapi_tags"), header, limits.max_tags_per_recipient, known)
    domain = _domain(read("smtpapi_tracking_domain"), options.tracking_domain)
    level = _level(read("smtpapi_tracking_level"), header, domain.value, limits.level_ceilings)
    return EngagementSettings(
        _unless_off(level, _tracking(context, "open_tracking", header, options.open_tracking_enabled)),
        _unless_off(level, _tracking(context, "click_tracking", header, options.click_tracking_enabled)),
        options.initial_open_enabled,
        options.honeypot_link,
        _scheme(read("smtpapi_open_tracking_scheme"), "smtpapi_open_tracking_scheme", options.open_tracking_scheme),
        _scheme(read("smtpapi_click_tracking_scheme"), "smtpapi_click_tracking_scheme", options.click_tracking_scheme),
        domain,
        _expiry(read("smtpapi_tracking_link_expiry"), options.tracking_link_expiry),
        _list_unsubscribe(context, header, options.list_unsubscribe),
        _campaign(read("smtpapi_campaign_id"), header),
        metadata,
        tags,
        _customer(read("mo_customer_id")),
        level,
        metadata_text,
        trimmed,
        over,
        unknown,
    )


def trim_metadata(metadata: Mapping[str, Any], limit: int) -> tuple[str, bool]:
    """The compact JSON of the first pairs that fit `limit` octets together, and whether any were left out.

    A pair is never cut in half, and after the first that does not fit none is taken: what travels is the beginning.
    """
    if not metadata:
        return "", False
    whole = compact_json(metadata)
    if len(whole) <= limit:
        return whole.decode(), False
    kept: list[bytes] = []
    length = 1  # each pair costs itself and one octet more: the comma before it, or the closing brace
    for name, value in metadata.items():
        pair = compact_json({name: value})[1:-1]
        length += len(pair) + 1
        if length > limit:
            break
        kept.append(pair)
    return (b"{" + b",".join(kept) + b"}").decode() if kept else "", True


def _refused(name: str, wanted: str, value: str) -> Refusal:
    reply = Reply(550, "5.6.0", f"{name} context must be of type '{wanted}'")
    return Refusal(reply, f"context variable {name} is {value[:100]!r}")


def _tracking(context: Mapping[str, str], name: str, header: MsysHeader, option: Sourced[bool]) -> Sourced[bool]:
    value = context.get(f"smtpapi_{name}")
    if value is not None:
        chosen = _BOOLEANS.get(value.lower())
        if chosen is None:
            raise _refused(f"smtpapi_{name}", "boolean", value)
        return Sourced(chosen, f"context smtpapi_{name}")
    from_header: bool | None = getattr(header, name)
    if from_header is not None:
        return Sourced(from_header, f"X-MSYS-API options.{name}")
    return option


def _list_unsubscribe(context: Mapping[str, str], header: MsysHeader, option: Sourced[bool]) -> Sourced[bool]:
    # What is sent because somebody ordered or lost something has no list to leave, unless its sender says so.
    if header.transactional and option.value:
        option = Sourced(False, "X-MSYS-API options.transactional")
    return _tracking(context, "list_unsubscribe", header, option)


def _scheme(value: str | None, name: str, option: Sourced[str]) -> Sourced[str]:
    if value is None:
        return option
    if value.lower() not in _SCHEMES:
        raise _refused(name, "http or https", value)
    return Sourced(value.lower(), f"context {name}")


def _domain(value: str | None, option: Sourced[str]) -> Sourced[str]:
    if value is None:
        return option
    if not is_authority(value):
        raise _refused("smtpapi_tracking_domain", "host[:port]", value)
    return Sourced(value, "context smtpapi_tracking_domain")


def _level(value: str | None, header: MsysHeader, domain: str, ceilings: Mapping[str, str]) -> Sourced[str]:
    if value is not None:
        if value not in TRACKING_LEVELS:
            raise _refused("smtpapi_tracking_level", "off, anonymous or identified", value)
        asked = Sourced(value, "context smtpapi_tracking_level")
    elif header.tracking_level is not None:
        asked = Sourced(header.tracking_level, "X-MSYS-API options.tracking_level")
    else:
        asked = _IDENTIFIED
    ceiling = ceilings.get(domain.lower())
    if ceiling is None or TRACKING_LEVELS.index(asked.value) <= TRACKING_LEVELS.index(ceiling):
        return asked
    return Sourced(ceiling, f"the ceiling of tracking domain {domain}")


def _unless_off(level: Sourced[str], tracking: Sourced[bool]) -> Sourced[bool]:
    if level.value == "off" and tracking.value:
        return Sourced(False, f"tracking_level off, from {level.source}")
    return tracking


def _expiry(value: str | None, option: Sourced[int]) -> Sourced[int]:
    if value is None:
        return option
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise _refused("smtpapi_tracking_link_expiry", "integer", value)
    return Sourced(int(value), "context smtpapi_tracking_link_expiry")


def _campaign(value: str | None, header: MsysHeader) -> Sourced[str | None]:
    if value is not None:
        try:
            too_long = too_long_for_campaign(value)
        except UnicodeEncodeError:
            raise _refused("smtpapi_campaign_id", "string", value) from None
        if too_long:
            raise Refusal(CAMPAIGN_TOO_LONG, f"context variable smtpapi_campaign_id is {value[:100]!r}")
        return Sourced(value or None, "context smtpapi_campaign_id")
    if header.campaign_id is not None:
        return Sourced(header.campaign_id or None, "X-MSYS-API campaign_id")
    return _NONE


def _customer(value: str | None) -> Sourced[str | None]:
    return _NONE if value is None else Sourced(value, "context mo_customer_id")


def _metadata(value: str | None, header: MsysHeader) -> Sourced[Mapping[str, Any]]:
    if value is not None:
        return Sourced(_context_json("smtpapi_metadata", value, dict, "json object"), "context smtpapi_metadata")
    if header.metadata is not None:
        return Sourced(header.metadata, "X-MSYS-API metadata")
    return _NO_METADATA


def _context_json(name: str, value: str, wanted: type, type_name: str) -> Any:
    try:
        read = read_json(value.encode())
    except (NotJSON, UnicodeEncodeError):
        raise _refused(name, type_name, value) from None
    if type(read) is not wanted:
        raise _refused(name, type_name, value)
    return read


def _tags(
    value: str | None, header: MsysHeader, limit: int, known: Callable[[Sequence[str]], Sequence[str]]
) -> tuple[Sourced[tuple[str, ...]], int, int]:
    """The tags that travel, how many were over the recipient's limit, and how many the full system-wide set refused."""
    if value is not None:
        given: Sequence[str] = _context_json("smtpapi_tags", value, list, "json array")
        if not all(isinstance(tag, str) for tag in given):
            raise _refused("smtpapi_tags", "json array", value)
        source = "context smtpapi_tags"
    elif header.tags is not None:
        given, source = header.tags, "X-MSYS-API tags"
    else:
        return _NO_TAGS, 0, 0
    distinct = list(dict.fromkeys(given))
    within = [tag for tag in distinct if len(tag) <= LONGEST_TAG][:limit]
    admitted = tuple(known(within)) if within else ()
    return Sourced(admitted, source), len(distinct) - len(within), len(within) - len(admitted)
