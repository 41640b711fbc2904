"""What stands in the feed's frames: events, and between them checkpoints that say how far the journal was merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mailwake.events.model import Event
from mailwake.events.record import padding
from mailwake.feed.contract import FeedError

if TYPE_CHECKING:
    from mailwake.journal.reader import Cursor

encode_event = msgspec.msgpack.Encoder().encode
"""The payload of an event: a msgpack map of the fields that have a value."""

_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_cursor = msgspec.msgpack.Decoder(dict[str, dict[str, int]]).decode

_CHECKPOINT_KEY = "merged"
_ERASED = b"\x92" + msgspec.msgpack.encode("erased")
_CHECKPOINT_START = msgspec.msgpack.encode({_CHECKPOINT_KEY: {}})[:-1]
"""How a checkpoint begins: a map of one member, which no event has so few of."""


def encode_checkpoint(cursor: Cursor) -> bytes:
    """The payload that says: everything of the journal up to `cursor` stands before this."""
    return msgspec.msgpack.encode({_CHECKPOINT_KEY: cursor})


def is_checkpoint(payload: bytes) -> bool:
    """Whether it is a checkpoint."""
    return payload.startswith(_CHECKPOINT_START)


def is_event(payload: bytes) -> bool:
    """Whether it is an event; what is neither event nor checkpoint is of a later release, or was erased."""
    return (0x80 <= payload[0] <= 0x8F or payload[0] == 0xDE) and not is_checkpoint(payload)


def erased(payload: bytes) -> bytes:
    """What stands in the place of an event once it is erased: as many octets, which are no event."""
    return _ERASED + padding(len(payload) - len(_ERASED))


def decode_checkpoint(payload: bytes) -> Cursor:
    """The cursor of a checkpoint; FeedError when it makes no sense."""
    try:
        return _decode_cursor(payload)[_CHECKPOINT_KEY]
    except (msgspec.MsgspecError, KeyError, RecursionError) as error:
        raise FeedError(f"a checkpoint of the feed cannot be read: {error}") from None


def decode_event(payload: bytes) -> Event:
    """The event of a payload; FeedError when it makes no sense."""
    try:
        return _decode_event(payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FeedError(f"an event of the feed cannot be read: {error}") from None
