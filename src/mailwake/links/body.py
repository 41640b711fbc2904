"""What a link carries and its packed form: the same for the token, sealed, and for the journal, as it is.

    body = transmission id (8 octets) ‖ msgpack array: kind, context (packed once a recipient), target, name

Target and name are left out when they are empty; what a later release adds goes to the end of the array.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import msgspec

from mailwake.errors import MailwakeError

MAX_BODY_OCTETS = 32 * 1024
"""The longest body, in octets; what does not fit is refused when it is packed, and never decompressed."""

RAW_URL_NAME = "Raw URL"
"""The name of a link that the sender gave none (1-injection.md, section 4)."""

HONEYPOT_NAME = "mailwake:honeypot"
"""The name of the hidden link that only machines follow; a sender's own link of that name is tracked without a name."""

ID_OCTETS = 8
"""The length of the transmission id that a body and a packed context begin with."""

_ID_EPOCH = 1_735_689_600
_DAY = 86_400


class LinkKind(IntEnum):
    """What following a link means; the names in lower case are the types of the events."""

    CLICK = 1
    OPEN = 2
    INITIAL_OPEN = 3
    LINK_UNSUBSCRIBE = 4
    AMP_CLICK = 5
    AMP_OPEN = 6
    AMP_INITIAL_OPEN = 7
    LIST_UNSUBSCRIBE = 8

    @property
    def family(self) -> str:
        """The letter that begins the URL's path."""
        return _FAMILIES[self]


_FAMILIES = {
    LinkKind.CLICK: "f",
    LinkKind.OPEN: "q",
    LinkKind.INITIAL_OPEN: "o",
    LinkKind.LINK_UNSUBSCRIBE: "f",
    LinkKind.AMP_CLICK: "f",
    LinkKind.AMP_OPEN: "q",
    LinkKind.AMP_INITIAL_OPEN: "o",
    LinkKind.LIST_UNSUBSCRIBE: "u",
}

FAMILIES = frozenset(_FAMILIES.values())
"""The path letters of tracked links."""

BadTokenReason = Literal["length", "encoding", "version", "key", "forged", "body"]


class BadToken(MailwakeError):  # noqa: N818  # the field's term; nothing went wrong on our side
    """A token that is none of ours, damaged or forged; `reason` is one word, for the metrics."""

    def __init__(self, reason: BadTokenReason) -> None:
        super().__init__(_REASONS[reason])
        self.reason: BadTokenReason = reason


_REASONS: dict[BadTokenReason, str] = {
    "length": "this is no link of ours: its token is too short or too long",
    "encoding": "this is no link of ours: its token is not base64url",
    "version": "this link's format is unknown: it is damaged, or of a later release",
    "key": "this link was sealed with a key that is not in the keyring",
    "forged": "this link is damaged or forged: it does not open with its key",
    "body": "this link opens but makes no sense: it was sealed by another program",
}


class ContextTooLong(MailwakeError):  # noqa: N818  # as BadToken
    """A recipient's context (tags, metadata, …) that does not fit a token; such a copy cannot be tracked."""


class LinkContext(msgspec.Struct, frozen=True):
    """What all links of one recipient's copy share.

    `sent` is Unix seconds and `expires` the link's life from then on, in seconds; `metadata` is compact JSON or "";
    `message_id` is the transmission id in 16 hex digits and the recipient's index in 4.
    """

    customer_id: str
    transmission_id: int
    message_id: str
    sent: int
    expires: int
    recipient: str
    campaign_id: str = ""
    tags: tuple[str, ...] = ()
    metadata: str = ""


class _Body(msgspec.Struct, array_like=True, frozen=True):
    # New fields go to the end, with a default.
    kind: LinkKind
    customer_id: str
    recipient_index: int
    sent_after_id: int  # seconds from the transmission id's own time, nearly always 0 and then one octet
    life: int  # whole days as a negative number, else seconds
    recipient: str
    campaign_id: str
    tags: tuple[str, ...]
    metadata: str
    target: str = ""
    name: str = ""


class Link(msgspec.Struct, frozen=True):
    """An opened token; `raw_body` is what the journal keeps, and `decode_body` reads without a key."""

    transmission_id: int
    body: _Body
    raw_body: bytes

    @property
    def kind(self) -> LinkKind:
        """What following the link means."""
        return self.body.kind

    @property
    def target(self) -> str:
        """Where a click leads, exactly as the sender wrote it; empty for opens."""
        return self.body.target

    @property
    def name(self) -> str:
        """The link's name; `Raw URL` for a target without one, empty for opens."""
        return self.body.name or (RAW_URL_NAME if self.body.target else "")

    @property
    def expires_at(self) -> int:
        """Unix seconds after which following the link is no event any more."""
        # Not by way of `context`: every click asks this.
        body = self.body
        life = -body.life * _DAY if body.life < 0 else body.life
        return _id_seconds(self.transmission_id) + body.sent_after_id + life

    @property
    def context(self) -> LinkContext:
        """What the link shares with the others of its message's copy."""
        body = self.body
        return LinkContext(
            customer_id=body.customer_id,
            transmission_id=self.transmission_id,
            message_id=message_id(self.transmission_id, body.recipient_index),
            sent=body.sent_after_id + _id_seconds(self.transmission_id),
            expires=_seconds_of_life(body.life),
            recipient=body.recipient,
            campaign_id=body.campaign_id,
            tags=body.tags,
            metadata=body.metadata,
        )


NOBODY = 0xFFFF
"""The recipient's place in links that name none, and in their message ids; no message has so many recipients."""


def message_id(transmission_id: int, recipient_index: int) -> str:
    """The id of a recipient's copy: 20 lower-case hex digits, unique because the transmission id is."""
    return f"{transmission_id:016x}{recipient_index:04x}"


def with_recipient(link: Link, recipient: str) -> bytes:
    """The `raw_body` of the same link for another spelling of its recipient."""
    body = _pack(msgspec.structs.replace(link.body, recipient=recipient))
    return link.transmission_id.to_bytes(ID_OCTETS, "big") + body


def _id_seconds(transmission_id: int) -> int:
    # events/unique_ids.py puts milliseconds since 2025 above 22 other bits. Should that ever change, links only
    # become a little longer: the difference to `sent` is stored, not assumed.
    return (transmission_id >> 22) // 1000 + _ID_EPOCH


def _seconds_of_life(life: int) -> int:
    return -life * _DAY if life < 0 else life


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Body).decode


def pack_context(context: LinkContext) -> bytes:
    """The part of the body that all links of one copy share.

    Raises ContextTooLong, and ValueError for a message id that is not made of the transmission id.
    """
    index = int(context.message_id[16:], 16)
    if context.message_id != message_id(context.transmission_id, index):
        raise ValueError(f"message id {context.message_id} does not belong to {context.transmission_id}")
    days, seconds = divmod(context.expires, _DAY)
    packed = _pack(
        (
            context.customer_id,
            index,
            context.sent - _id_seconds(context.transmission_id),
            context.expires if seconds else -days,
            context.recipient,
            context.campaign_id,
            context.tags,
            context.metadata,
        )
    )[1:]
    if len(packed) > MAX_BODY_OCTETS - _LINK_ALLOWANCE:
        raise ContextTooLong(f"the context of {context.message_id} has {len(packed)} octets and fits no link")
    return context.transmission_id.to_bytes(ID_OCTETS, "big") + packed


def link_array(kind: LinkKind, packed_context: bytes, target: str = "", name: str = "") -> bytes:
    """The body of one link's token without the transmission id that precedes it: what is compressed."""
    context = packed_context[ID_OCTETS:]
    if name and name != RAW_URL_NAME:
        return b"\x9b" + _KIND_OCTETS[kind] + context + _pack(target) + _pack(name)
    if target:
        return b"\x9a" + _KIND_OCTETS[kind] + context + _pack(target)
    return b"\x99" + _KIND_OCTETS[kind] + context


_KIND_OCTETS = [bytes((number,)) for number in range(16)]  # a small msgpack integer is its own octet

_LINK_ALLOWANCE = 12 * 1024
# what target (4,096 octets), name and framing may take beside the context, with much to spare


def decode_body(raw_body: bytes) -> Link:
    """The link whose `raw_body` this is; BadToken when it is none. Needs no key: the journal is not encrypted."""
    try:
        return Link(int.from_bytes(raw_body[:ID_OCTETS], "big"), _unpack(raw_body[ID_OCTETS:]), raw_body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadToken("body") from None
