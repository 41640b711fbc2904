"""Made-up events as a worker would have written them into the journal: for events that happen while somebody looks."""

from __future__ import annotations

import json

from mailwake.events.model import Event, EventType
from mailwake.events.record import (
    EngagementRecord,
    MessageFacts,
    Outcome,
    encode_engagement,
    encode_message,
    pack_facts,
)
from mailwake.links.body import ID_OCTETS, LinkContext, LinkKind, link_array, pack_context

_LIFE = 30 * 86_400


def facts_of(event: Event) -> MessageFacts:
    """What the copies of its message share."""
    return MessageFacts(
        transmission_id=event.transmission_id,
        injection_time=event.injection_time or 0,
        msg_size=event.msg_size or 0,
        customer_id=event.customer_id,
        campaign_id=event.campaign_id,
        tags=event.rcpt_tags,
        metadata=_metadata(event),
        friendly_from=event.friendly_from,
        msg_from=event.msg_from,
        sending_domain=event.sending_domain,
        subject=event.subject,
        open_tracking=bool(event.open_tracking),
        click_tracking=bool(event.click_tracking),
        initial_pixel=bool(event.initial_pixel),
        amp_enabled=bool(event.amp_enabled),
        transactional=bool(event.transactional),
        node_name=event.node_name,
        pathway=event.pathway,
        anonymous=not event.rcpt_to,
    )


def record_of(event: Event) -> bytes:
    """The payload of its record. What the enrichment finds out is not in it, and the place is lost."""
    return _message(event) if event.type.group == "message_event" else _engagement(event)


def _message(event: Event) -> bytes:
    outcome = None
    if event.type is not EventType.INJECTION:
        code, enhanced, *text = event.raw_reason.split(" ", 2)
        outcome = Outcome(
            int(code),
            enhanced,
            "".join(text),
            event.ip_address,
            event.num_retries or 0,
            event.queue_time or 0,
            event.delv_method,
        )
    index = int(event.message_id[2 * ID_OCTETS :], 16)
    facts = pack_facts(facts_of(event))
    return encode_message(
        event.type, event.event_id, event.timestamp, facts, event.raw_rcpt_to, index, event.rcpt_type, outcome
    )


def _engagement(event: Event) -> bytes:
    context = LinkContext(
        customer_id=event.customer_id,
        transmission_id=event.transmission_id,
        message_id=event.message_id,
        sent=(event.injection_time or 0) // 1000,
        expires=_LIFE,
        recipient=event.raw_rcpt_to,
        campaign_id=event.campaign_id,
        tags=event.rcpt_tags,
        metadata=_metadata(event),
    )
    packed = pack_context(context)
    link = link_array(LinkKind(event.type), packed, event.target_link_url, event.target_link_name)
    return encode_engagement(
        EngagementRecord(
            event.type,
            event.event_id,
            event.timestamp,
            event.ip_address,
            event.user_agent,
            event.accept_language,
            False,
            packed[:ID_OCTETS] + link,
        )
    )


def _metadata(event: Event) -> str:
    return json.dumps(event.rcpt_meta, separators=(",", ":")) if event.rcpt_meta else ""
