"""From a journal's record to the event it stands for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from mailwake.events.bounce_class import bounce_class
from mailwake.events.model import Event, EventType
from mailwake.events.record import EngagementRecord, ErasedRecord, MessageRecord, RecordError, decode_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.events.record import MessageFacts, Outcome


class _LinkContext(Protocol):
    @property
    def customer_id(self) -> str: ...
    @property
    def transmission_id(self) -> int: ...
    @property
    def message_id(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def campaign_id(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def metadata(self) -> str: ...


class LinkFacts(Protocol):
    """What an event needs to know of a link; `links.token.Link` is such a thing."""

    @property
    def context(self) -> _LinkContext:
        """The message's facts."""
        ...

    @property
    def target(self) -> str:
        """Where a click leads."""
        ...

    @property
    def name(self) -> str:
        """The link's name."""
        ...


class ErasedError(RecordError):
    """There is no event any more: its person asked for that."""


class EventReader:
    """Makes events of payloads; `decode_link` reads a link's raw body (`links.token.decode_body`)."""

    def __init__(self, decode_link: Callable[[bytes], LinkFacts]) -> None:
        self._decode_link = decode_link

    def read(self, payload: bytes) -> Event | None:
        """The event of a payload, None for an observation.

        RecordError, or what `decode_link` raises, when the payload cannot be read.
        """
        record = decode_record(payload)
        if isinstance(record, ErasedRecord):
            raise ErasedError("this record was erased")
        if isinstance(record, EngagementRecord):
            return engagement_event(record, self._decode_link(record.raw_body))
        return message_event(record) if isinstance(record, MessageRecord) else None


def engagement_event(record: EngagementRecord, link: LinkFacts) -> Event:
    """The event of somebody following a link."""
    context = link.context
    return Event(
        type=record.type,
        event_id=record.event_id,
        timestamp=record.time_ms,
        message_id=context.message_id if context.transmission_id else "",  # leaving an anonymous message's list
        transmission_id=context.transmission_id,
        customer_id=context.customer_id,
        campaign_id=context.campaign_id,
        rcpt_meta=_metadata(context.metadata),
        rcpt_tags=context.tags,
        delv_method="esmtp",
        ip_address=record.address,
        user_agent=record.user_agent,
        accept_language=record.accept_language,
        is_prefetched=record.prefetched,
        target_link_url=link.target,
        target_link_name=link.name,
        **_recipient(context.recipient),
    )


def completed(event: Event, facts: MessageFacts) -> Event:
    """An engagement event with what its link does not carry, out of the facts of its message (2-tracking.md, §3)."""
    shared = _shared_facts(facts)
    if not event.raw_rcpt_to:  # anonymous; the facts may be those of a copy that is not, and name somebody
        shared["msg_from"] = ""
    return msgspec.structs.replace(event, **shared)


def _shared_facts(facts: MessageFacts) -> dict[str, Any]:
    # What only the message knows, and no link carries.
    return {
        "friendly_from": facts.friendly_from,
        "msg_from": facts.msg_from,
        "sending_domain": facts.sending_domain,
        "subject": facts.subject,
        "msg_size": facts.msg_size,
        "injection_time": facts.injection_time,
        "open_tracking": facts.open_tracking,
        "click_tracking": facts.click_tracking,
        "initial_pixel": facts.initial_pixel,
        "amp_enabled": facts.amp_enabled,
        "transactional": facts.transactional,
        "node_name": facts.node_name,
        "pathway": facts.pathway,
    }


def message_event(record: MessageRecord) -> Event:
    """The event of what became of a copy."""
    facts = record.facts
    return Event(
        type=record.type,
        event_id=record.event_id,
        timestamp=record.time_ms,
        message_id=f"{facts.transmission_id:016x}{record.recipient_index:04x}",
        transmission_id=facts.transmission_id,
        customer_id=facts.customer_id,
        campaign_id=facts.campaign_id,
        rcpt_meta=_metadata(facts.metadata),
        rcpt_tags=facts.tags,
        rcpt_type=record.rcpt_type,
        **_shared_facts(facts),
        **_recipient(record.recipient),
        **(_outcome(record.type, record.outcome) if record.outcome else {}),
    )


def _recipient(address: str) -> dict[str, Any]:
    lower = address.lower()
    domain = lower.rpartition("@")[2] if "@" in lower else ""
    return {"rcpt_to": lower, "raw_rcpt_to": address, "recipient_domain": domain, "routing_domain": domain}


def _outcome(event_type: EventType, outcome: Outcome) -> dict[str, Any]:
    fields: dict[str, Any] = {"ip_address": outcome.ip_address, "delv_method": outcome.delv_method}
    if event_type is not EventType.POLICY_REJECTION:
        fields |= {"num_retries": outcome.num_retries, "queue_time": outcome.queue_time}
    raw = " ".join(part for part in (str(outcome.code), outcome.enhanced, outcome.text) if part)
    fields["raw_reason"] = raw
    if event_type is not EventType.DELIVERY:
        fields |= {
            "reason": " ".join(raw.split()),
            "error_code": outcome.code,
            "bounce_class": bounce_class(outcome.code, outcome.enhanced),
        }
    return fields


def _metadata(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        raise RecordError("a record of the journal cannot be read: its metadata is not JSON") from None
    return value if isinstance(value, dict) else {}
