"""`mailwake.track`: one recipient's copy of a message, by the very code that the service runs.

The opens and clicks go to any mailwake tracker that has the same keys.
"""

from __future__ import annotations

import hashlib
import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mailwake.config.scopes import ResolvedOptions, Sourced
from mailwake.events.unique_ids import EPOCH
from mailwake.flows.decisions import CLICKS_OFF
from mailwake.flows.tracked_copy import copy_urls, link_contexts, link_recipes, render_copy, unsubscribe_url
from mailwake.library.settings import LATEST, TrackError, TrackSettings
from mailwake.library.tracked_message import TrackedLink, TrackedMessage
from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import ContextTooLong, TokenCodec, message_id
from mailwake.message.headers import fields, find
from mailwake.message.mime_tree import parse
from mailwake.message.msys_header import HEADER_NAME, read_msys_header
from mailwake.policy.precedence import EngagementLimits, EngagementSettings, resolve
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import SIGNED_ON_ARRIVAL, SkippedPart, make_plan
from mailwake.rewrite.unsubscribe_fields import has_own, unsubscribe_fields
from mailwake.smtp.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from mailwake.flows.tracked_copy import CopyUrls
    from mailwake.links.keyring import Keyring
    from mailwake.links.token import LinkContext
    from mailwake.message.headers import Field
    from mailwake.rewrite.plan import MessagePlan

TOO_LONG = SkippedPart("message", "context too long for links")

_SOURCE = "settings"
_ID_BITS = 22
T = TypeVar("T")


def track(message: bytes, recipient: str, settings: TrackSettings, keys: Keyring) -> TrackedMessage:
    """The copy of `message` for one recipient, with tracked links and images of its own.

    Pure: no file, clock, network or randomness; the same arguments give the same bytes. `message` is a whole message
    (RFC 5322) with CRLF or LF line ends, which stay as they are. Its header's `cc`, `bcc` and `archive` add nobody: one
    call is for one recipient. What cannot be understood is left alone and named in `skipped`, never an error.

    Raises TrackError for an X-MSYS-API header that the service would refuse, for a campaign that is too long, and for a
    message without a usable Date where `settings.sent` is None.
    """
    _check_arguments(message, recipient)
    root = parse(message)
    header_fields = fields(message, 0, root.header_end)
    ours = find(header_fields, HEADER_NAME)
    engagement = _engagement(settings, [message[each.value_start : each.value_end] for each in ours])
    sent = _date(message, header_fields) if settings.sent is None else settings.sent
    number = settings.transmission_id
    if number is None:
        number = _transmission_id(message, recipient, sent)
    plan = make_plan(
        message, root, removed_fields=[(each.start, each.end) for each in ours], settings=settings.rewriting
    )
    codec, contexts = TokenCodec(keys), _contexts(engagement, settings, recipient, number, sent)
    urls = _urls(plan, engagement, codec, contexts)
    pieces = render(plan) if urls is None else render_copy(plan, urls, engagement)
    added = _unsubscribe_fields(plan, header_fields, engagement, codec, contexts[0], recipient)
    return TrackedMessage(
        b"".join((added, *pieces)),
        tuple(_links(plan, urls)),
        plan.skipped_parts if urls is not None else (*plan.skipped_parts, TOO_LONG),
        number,
        message_id(number, settings.recipient_index),
    )


def read_keys(path: str | PathLike[str]) -> Keyring:
    """The keys of a mailwake service, from `keys.json` in its data directory.

    Raises KeyringError, one line that says what to do, when there are none or others may read them.
    """
    return KeyringFile(Path(path)).load()


def _check_arguments(message: bytes, recipient: str) -> None:
    if not isinstance(message, bytes):
        raise TypeError(f"message must be bytes, not {type(message).__name__}; an EmailMessage has as_bytes()")
    if not isinstance(recipient, str):
        raise TypeError(f"recipient must be str, not {type(recipient).__name__}")
    if not recipient or not recipient.isprintable():
        raise TrackError(f"recipient {recipient!r}: must be an address, like 'ann@example.org'")


def _engagement(settings: TrackSettings, header_values: Sequence[bytes]) -> EngagementSettings:
    """The settings of this message: its header's, else the caller's; they are checked as the service checks them."""
    options = ResolvedOptions(
        open_tracking_enabled=_given(settings.open_tracking),
        click_tracking_enabled=_given(settings.click_tracking),
        initial_open_enabled=_given(settings.initial_open),
        honeypot_link=_given(settings.honeypot_link),
        open_tracking_scheme=_given(settings.open_tracking_scheme),
        click_tracking_scheme=_given(settings.click_tracking_scheme),
        tracking_domain=_given(settings.tracking_domain),
        tracking_link_expiry=_given(settings.tracking_link_expiry),
        list_unsubscribe=_given(settings.list_unsubscribe),
        pathway=Sourced(None, _SOURCE),
    )
    try:
        header = read_msys_header(header_values)
        context: dict[str, str] = {}
        if settings.customer_id is not None:
            context["mo_customer_id"] = settings.customer_id
        # Nothing but the header stands above the caller's values, so they take the place of policy where it is silent.
        if settings.campaign_id is not None and (header is None or header.campaign_id is None):
            context["smtpapi_campaign_id"] = settings.campaign_id
        if settings.metadata and (header is None or header.metadata is None):
            context["smtpapi_metadata"] = _as_json("metadata", dict(settings.metadata))
        if settings.tags and (header is None or header.tags is None):
            context["smtpapi_tags"] = _as_json("tags", list(settings.tags))
        return resolve(context, header, options, EngagementLimits(settings.max_metadata_len), list)
    except Refusal as refusal:
        raise TrackError(refusal.reply.text) from None


def _given(value: T) -> Sourced[T]:
    return Sourced(value, _SOURCE)


def _as_json(name: str, value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TrackError(f"{name}: cannot be written as JSON: {error}") from None


def _date(message: bytes, header_fields: Sequence[Field]) -> int:
    dates = find(header_fields, b"Date")
    if dates:
        try:
            sent = int(parsedate_to_datetime(dates[0].value(message).decode("ascii", "replace")).timestamp())
        except (ValueError, OverflowError):
            sent = -1
        if 0 <= sent <= LATEST:
            return sent
    raise TrackError("the message has no Date that can be read: give it one, or TrackSettings(sent=int(time.time()))")


def _transmission_id(message: bytes, recipient: str, sent: int) -> int:
    """A number of the form that events/unique_ids.py gives; what there is node, worker and sequence is a hash here."""
    digest = hashlib.blake2b(b"%d %b\0" % (sent, recipient.encode("utf-8", "surrogatepass")), digest_size=8)
    digest.update(message)
    drawn = int.from_bytes(digest.digest(), "big")
    milliseconds = max(sent - EPOCH, 0) * 1000 + drawn % 1000
    return milliseconds << _ID_BITS | drawn // 1000 & (1 << _ID_BITS) - 1


def _contexts(
    engagement: EngagementSettings, settings: TrackSettings, recipient: str, transmission_id: int, sent: int
) -> tuple[LinkContext, LinkContext]:
    return link_contexts(
        engagement,
        transmission_id=transmission_id,
        recipient_index=settings.recipient_index,
        recipient=recipient,
        sent=sent,
        metadata_in_clicks=settings.click_tracking_include_metadata,
    )


def _urls(
    plan: MessagePlan, engagement: EngagementSettings, codec: TokenCodec, contexts: tuple[LinkContext, LinkContext]
) -> CopyUrls | None:
    """The copy's URLs; None when what they must carry does not fit, so that the copy leaves untracked."""
    recipes = link_recipes(plan, engagement) if engagement.click_tracking.value else ()
    try:
        return copy_urls(plan, recipes, engagement, codec, contexts)
    except ContextTooLong:
        return None


def _unsubscribe_fields(
    plan: MessagePlan,
    header_fields: Sequence[Field],
    engagement: EngagementSettings,
    codec: TokenCodec,
    context: LinkContext,
    recipient: str,
) -> bytes:
    """The fields that the copy gets in front; none where the service would add none."""
    signed = any(reason == SIGNED_ON_ARRIVAL for _, reason in plan.skipped_parts)
    if signed or not engagement.list_unsubscribe.value or has_own(header_fields):
        return b""
    try:
        url = unsubscribe_url(engagement, codec, context, recipient)
    except ContextTooLong:
        return b""
    crlf = b"\r\n" in plan.content[: plan.root.body_start] or b"\n" not in plan.content
    return unsubscribe_fields(url, line_break=b"\r\n" if crlf else b"\n")


def _links(plan: MessagePlan, urls: CopyUrls | None) -> list[TrackedLink]:
    if urls is None:
        clicks, off = None, TOO_LONG.reason
    else:
        clicks, off = urls.clicks, CLICKS_OFF
    found, places = [], iter(clicks or ())
    for link in plan.links:
        tracked = link.tracked and clicks is not None
        found.append(
            TrackedLink(
                part=link.part,
                line=link.line,
                target=link.target,
                name=link.name,
                unsubscribe=link.unsubscribe,
                tracked=tracked,
                reason=link.reason or ("" if tracked else off),
                url=next(places).decode("ascii") if tracked else "",
                text_is_url=link.text_is_url,
            )
        )
    return found
