"""The records of the journal: versioned msgpack arrays, each beginning with its form's number, type, id and time.

    engagement: [1, type, event id, time, address, user agent, language, prefetched, the link's raw body]
    message:    [2, type, event id, time, recipient index, recipient, recipient's type, facts, outcome or absent]
    erased:     [3, type, event id, time, octets of no meaning], in the place of one of the others
    observation: [4, type, 0, time, address, user agent, the link's raw body, what was seen]

A form only ever gains elements at its end; anything else gets a new number. An observation is no event: it only helps
to judge events, and whoever reads events passes it over.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import msgspec

from mailwake.errors import MailwakeError
from mailwake.events.model import EventType

if TYPE_CHECKING:
    from collections.abc import Callable

_FORM_MESSAGE = 2
_TRUE = 0xC3
_BIN8_HEAD, _BIN16_HEAD, _BIN32_HEAD = 2, 3, 5
_SHORT_TEXT, _SHORT_TEXTS = 0xA0, 32
"""msgpack's first byte of a text of n bytes is 0xA0 + n, while n is below 32."""


class RecordError(MailwakeError):
    """A record that this release cannot read."""


class EngagementRecord(msgspec.Struct, array_like=True, tag_field="form", tag=1, frozen=True):
    """Somebody followed a link; `raw_body` is the opened token's, and says everything about the message."""

    type: EventType
    event_id: int
    time_ms: int
    address: str
    user_agent: str
    accept_language: str
    prefetched: bool
    raw_body: bytes


class MessageFacts(msgspec.Struct, array_like=True, frozen=True):
    """What the copies of a message share; times in Unix milliseconds, `metadata` compact JSON or ""."""

    transmission_id: int
    injection_time: int
    msg_size: int
    customer_id: str = ""
    campaign_id: str = ""
    tags: tuple[str, ...] = ()
    metadata: str = ""
    friendly_from: str = ""
    msg_from: str = ""
    sending_domain: str = ""
    subject: str = ""
    open_tracking: bool = False
    click_tracking: bool = False
    initial_pixel: bool = False
    amp_enabled: bool = False
    transactional: bool = False
    node_name: str = ""
    pathway: str = ""
    anonymous: bool = False
    """Nothing of the copy's events may say whose it is. `is_anonymous` needs it to be the last element."""


class Outcome(msgspec.Struct, array_like=True, frozen=True):
    """How a next hop (or our policy) answered: its reply and where it came from.

    `ip_address` is the next hop's; `queue_time` is milliseconds since injection; `num_retries` counts earlier tries.
    """

    code: int
    enhanced: str
    text: str
    ip_address: str = ""
    num_retries: int = 0
    queue_time: int = 0
    delv_method: str = "esmtp"


class MessageRecord(msgspec.Struct, array_like=True, tag_field="form", tag=_FORM_MESSAGE, frozen=True):
    """A copy was injected, delivered, bounced, delayed or refused by policy."""

    type: EventType
    event_id: int
    time_ms: int
    recipient_index: int
    recipient: str
    rcpt_type: str
    facts: MessageFacts
    outcome: Outcome | None = None


class ErasedRecord(msgspec.Struct, array_like=True, tag_field="form", tag=3, frozen=True):
    """What is left of a record whose person asked for it: that something happened, not to whom."""

    type: EventType
    event_id: int
    time_ms: int
    padding: bytes


class Observed(IntEnum):
    """What was seen that is no event; the number stands in the journal for ever."""

    HEAD = 1
    """A link was asked for with HEAD."""


class ObservationRecord(msgspec.Struct, array_like=True, tag_field="form", tag=4, frozen=True):
    """Something about a link that helps to judge events and is none.

    `type` is that of the event that a GET would have been; `event_id` is always 0, as it is none.
    """

    type: EventType
    event_id: int
    time_ms: int
    address: str
    user_agent: str
    raw_body: bytes
    observed: Observed = Observed.HEAD


Record = EngagementRecord | MessageRecord | ErasedRecord | ObservationRecord


class _Head(msgspec.Struct, array_like=True):
    form: int
    type: int
    event_id: int
    time_ms: int


_pack = msgspec.msgpack.Encoder().encode
_unpack: Callable[[bytes], Record] = msgspec.msgpack.Decoder(
    EngagementRecord | MessageRecord | ErasedRecord | ObservationRecord
).decode
_unpack_head = msgspec.msgpack.Decoder(_Head).decode

encode_engagement = _pack
"""The payload of an EngagementRecord."""


def encode_head(event_type: EventType, time_ms: int, address: str, user_agent: str, raw_body: bytes) -> bytes:
    """The payload of an ObservationRecord of a HEAD request."""
    return _pack(ObservationRecord(event_type, 0, time_ms, address, user_agent, raw_body, Observed.HEAD))


def pack_facts(facts: MessageFacts) -> bytes:
    """The facts as `encode_message` takes them: packed once for all copies and events of a message."""
    return _pack(facts)


def is_anonymous(packed_facts: bytes) -> bool:
    """Whether these are the facts of an anonymous copy, without unpacking them."""
    # The last octet is msgpack's true. Facts of earlier releases end with text, in which that octet cannot be the last.
    return packed_facts[-1] == _TRUE


def encode_message(
    event_type: EventType,
    event_id: int,
    time_ms: int,
    packed_facts: bytes,
    recipient: str,
    recipient_index: int,
    rcpt_type: str = "",
    outcome: Outcome | None = None,
) -> bytes:
    """The payload of a MessageRecord."""
    own = _pack((_FORM_MESSAGE, event_type, event_id, time_ms, recipient_index, recipient, rcpt_type))[1:]
    if outcome is None:
        return b"\x98" + own + packed_facts
    return b"\x99" + own + packed_facts + _pack(outcome)


def pack_copy_facts(packed_facts: bytes, rcpt_type: str) -> bytes:
    """What a waiting copy keeps for its later events: the facts, behind its `rcpt_type` if it has one."""
    return _pack(rcpt_type) + packed_facts if rcpt_type else packed_facts


def split_copy_facts(copy_facts: bytes) -> tuple[bytes, str]:
    """The packed facts and the `rcpt_type` that `pack_copy_facts` put together."""
    length = copy_facts[0] - _SHORT_TEXT  # facts alone begin as an array
    if not 0 <= length < _SHORT_TEXTS:
        return copy_facts, ""
    return copy_facts[1 + length :], copy_facts[1 : 1 + length].decode()


def decode_record(payload: bytes) -> Record:
    """The record of a journal's payload; RecordError when it is of an unknown form or makes no sense."""
    try:
        return _unpack(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordError(f"a record of the journal cannot be read: {error}") from None


def erased(record: EngagementRecord | MessageRecord | ObservationRecord, length: int) -> bytes:
    """The payload of `length` octets, those of the record's own, that stands in its place once it is erased."""
    head = _pack(ErasedRecord(record.type, record.event_id, record.time_ms, b""))[:-2]
    return head + padding(length - len(head))


def padding(length: int) -> bytes:
    """Zeros as binary data of msgpack that take `length` octets with their own head, at least 2."""
    if length < _BIN8_HEAD + 256:
        return b"\xc4" + (length - _BIN8_HEAD).to_bytes(1, "big") + bytes(length - _BIN8_HEAD)
    if length < _BIN16_HEAD + 65_536:
        return b"\xc5" + (length - _BIN16_HEAD).to_bytes(2, "big") + bytes(length - _BIN16_HEAD)
    return b"\xc6" + (length - _BIN32_HEAD).to_bytes(4, "big") + bytes(length - _BIN32_HEAD)


def record_time(payload: bytes) -> int:
    """The Unix milliseconds of a record without reading the rest; 0 when it cannot be read."""
    try:
        return _unpack_head(payload).time_ms
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 0
