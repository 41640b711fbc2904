"""One recipient's copy: tokens made from the plan's links, rendered into the message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mailwake.links.body import HONEYPOT_NAME, NOBODY, RAW_URL_NAME
from mailwake.links.token import ContextTooLong, LinkContext, LinkKind, message_id
from mailwake.links.tracked_url import click_prefix, initial_open_url, open_url, tracked_url
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.unsubscribe_fields import LONGEST_URL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.links.token import TokenCodec
    from mailwake.policy.precedence import EngagementSettings
    from mailwake.rewrite.plan import MessagePlan


_DAY = 86_400
_LESS_AND_LESS: tuple[dict[str, Any], ...] = ({}, {"metadata": ""}, {"tags": ()})


@dataclass(frozen=True, slots=True)
class LinkRecipe:
    """A distinct tracked link of a message, and the places in the plan's order where it stands."""

    prefix: bytes
    kind: LinkKind
    target: str
    name: str
    places: tuple[int, ...]


def link_recipes(plan: MessagePlan, settings: EngagementSettings) -> list[LinkRecipe]:
    """The message's tracked links, each distinct one once: newsletters repeat theirs, and tokens cost time."""
    places: dict[tuple[bytes, LinkKind, str, str], list[int]] = {}
    prefixes: dict[str, bytes] = {}
    scheme, domain = settings.click_scheme.value, settings.tracking_domain.value
    for place, link in enumerate(plan.tracked):
        prefix = prefixes.get(link.sub_path)
        if prefix is None:
            prefix = prefixes[link.sub_path] = click_prefix(scheme, domain, link.sub_path)
        # A sender cannot name a link as the hidden one is named: people's clicks would count as machines'.
        name = link.name if link.name != HONEYPOT_NAME else RAW_URL_NAME
        key = prefix, _kind(link.part, unsubscribe=link.unsubscribe), link.target, name
        places.setdefault(key, []).append(place)
    return [LinkRecipe(*key, tuple(where)) for key, where in places.items()]


def _kind(part: str, *, unsubscribe: bool) -> LinkKind:
    if unsubscribe:
        return LinkKind.LINK_UNSUBSCRIBE
    return LinkKind.AMP_CLICK if part == "amp" else LinkKind.CLICK


def link_contexts(
    settings: EngagementSettings,
    *,
    transmission_id: int,
    recipient_index: int,
    recipient: str,
    sent: int,
    metadata_in_clicks: bool,
) -> tuple[LinkContext, LinkContext]:
    """What the links of one copy carry, those of opens and those of clicks: only the metadata may differ.

    Anonymous links name nobody: no recipient, no metadata, and the same number for all recipients.
    """
    anonymous = settings.tracking_level.value == "anonymous"
    if anonymous:
        recipient, recipient_index = "", NOBODY
    full = LinkContext(
        customer_id=settings.customer_id.value or "",
        transmission_id=transmission_id,
        message_id=message_id(transmission_id, recipient_index),
        sent=sent,
        expires=settings.link_expiry.value,
        recipient=recipient,
        campaign_id=settings.campaign_id.value or "",
        tags=settings.tags.value,
        metadata="" if anonymous else settings.metadata_text,
    )
    if metadata_in_clicks or not full.metadata:
        return full, full
    return full, msgspec.structs.replace(full, metadata="")


def unsubscribe_url(settings: EngagementSettings, codec: TokenCodec, context: LinkContext, recipient: str) -> bytes:
    """The URL for leaving the list; `context` is that of the copy's opens.

    It names the recipient whatever the tracking level: leaving is no tracking. An anonymous copy's names no message, so
    that it does not tell whose the copy's other links are. What makes the URL too long for a header line is left out:
    metadata, then tags. Raises ContextTooLong when that is not enough.
    """
    if not context.recipient:
        nothing = message_id(0, NOBODY)
        day = context.sent - context.sent % _DAY
        context = msgspec.structs.replace(context, recipient=recipient, transmission_id=0, message_id=nothing, sent=day)
    for less in _LESS_AND_LESS:
        context = msgspec.structs.replace(context, **less)
        token = codec.encode(LinkKind.LIST_UNSUBSCRIBE, codec.pack_context(context))
        url = tracked_url("https", settings.tracking_domain.value, LinkKind.LIST_UNSUBSCRIBE.family, token)
        if len(url) <= LONGEST_URL:
            return url
    raise ContextTooLong(f"the List-Unsubscribe of {context.message_id} would be longer than a line may be")


class CopyUrls(NamedTuple):
    """The tracked URLs of one copy."""

    clicks: list[bytes] | None
    """One for each of the plan's tracked links; None when clicks are not tracked."""
    images: dict[str, bytes]
    """By the name of `render`'s argument."""
    honeypot: bytes | None = None
    """Of the link that only machines follow; None when there is none."""


def copy_urls(
    plan: MessagePlan,
    recipes: Sequence[LinkRecipe],
    settings: EngagementSettings,
    codec: TokenCodec,
    contexts: tuple[LinkContext, LinkContext],
) -> CopyUrls:
    """Make the URLs of a copy; `contexts` are those of `link_contexts`. Raises ContextTooLong."""
    open_context, click_context = contexts
    packed_open = codec.pack_context(open_context)
    packed_click = packed_open if click_context is open_context else codec.pack_context(click_context)
    click_urls: list[bytes] | None = None
    if settings.click_tracking.value:
        click_urls = [b""] * len(plan.tracked)
        encode = codec.encode
        for recipe in recipes:
            url = recipe.prefix + encode(recipe.kind, packed_click, recipe.target, recipe.name)
            for place in recipe.places:
                click_urls[place] = url
    images = _image_urls(plan, settings, codec, packed_open) if settings.open_tracking.value else {}
    return CopyUrls(click_urls, images, _honeypot_url(plan, settings, codec, packed_click))


def render_copy(plan: MessagePlan, urls: CopyUrls, settings: EngagementSettings) -> list[bytes]:
    """The pieces of a copy with these URLs."""
    return render(
        plan,
        click_urls=urls.clicks,
        honeypot_url=urls.honeypot,
        clean_up=settings.open_tracking.value,
        **urls.images,
    )


def _honeypot_url(
    plan: MessagePlan, settings: EngagementSettings, codec: TokenCodec, packed_context: bytes
) -> bytes | None:
    if not (settings.honeypot_link.value and settings.click_tracking.value and plan.can_open):
        return None
    scheme, domain = settings.click_scheme.value, settings.tracking_domain.value
    # It leads to the tracker's own start page, which is its small "not found": nothing that a machine could do there.
    token = codec.encode(LinkKind.CLICK, packed_context, f"{scheme}://{domain}/", HONEYPOT_NAME)
    return click_prefix(scheme, domain) + token


def _image_urls(plan: MessagePlan, settings: EngagementSettings, codec: TokenCodec, packed: bytes) -> dict[str, bytes]:
    scheme, domain = settings.open_scheme.value, settings.tracking_domain.value
    urls: dict[str, bytes] = {}
    if plan.can_open:
        urls["open_url"] = open_url(scheme, domain, codec.encode(LinkKind.OPEN, packed))
        if settings.initial_open.value:
            token = codec.encode(LinkKind.INITIAL_OPEN, packed)
            urls["initial_open_url"] = initial_open_url(scheme, domain, token)
    if plan.can_amp_open and scheme == "https":  # AMP for Email refuses a whole part for an image over http
        urls["amp_open_url"] = open_url(scheme, domain, codec.encode(LinkKind.AMP_OPEN, packed))
        if settings.initial_open.value:
            token = codec.encode(LinkKind.AMP_INITIAL_OPEN, packed)
            urls["amp_initial_open_url"] = initial_open_url(scheme, domain, token)
    return urls
