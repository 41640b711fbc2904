"""What stands in the feed's frames: events, and between them checkpoints that say how far the journal was merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mailwake.events.model import Event
from mailwake.events.record import padding
from mailwake.feed.contract import FeedError

if TYPE_CHECKING:
    from collections.abc import Collection

    from mailwake.journal.reader import Cursor

encode_event = msgspec.msgpack.Encoder().encode
"""The payload of an event: a msgpack map of the fields that have a value."""

_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_unclaimed = msgspec.msgpack.Decoder(tuple[str, list[int]]).decode
_decode_cursor = msgspec.msgpack.Decoder(dict[str, dict[str, int]]).decode

_CHECKPOINT_KEY = "merged"
_ERASED = b"\x92" + msgspec.msgpack.encode("erased")
_CHECKPOINT_START = msgspec.msgpack.encode({_CHECKPOINT_KEY: {}})[:-1]
"""How a checkpoint begins: a map of one member, which no event has so few of."""


_UNCLAIMED_START = b"\x92" + msgspec.msgpack.encode("unclaimed")
_UNCLAIMED_IDS = 20_000
"""Ids in one payload: at most 9 octets each."""


def encode_unclaimed(event_ids: Collection[int]) -> list[bytes]:
    """The payloads that say, before a checkpoint: these events stand in the feed beyond its cursor."""
    ids = sorted(event_ids)
    runs = [ids[start : start + _UNCLAIMED_IDS] for start in range(0, len(ids), _UNCLAIMED_IDS)]
    return [msgspec.msgpack.encode(("unclaimed", run)) for run in runs]


def is_unclaimed(payload: bytes) -> bool:
    """Whether it is one of `encode_unclaimed`."""
    return payload.startswith(_UNCLAIMED_START)


def decode_unclaimed(payload: bytes) -> list[int]:
    """The event ids of such a payload; FeedError when it makes no sense."""
    try:
        return _decode_unclaimed(payload)[1]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FeedError(f"a list of events in the feed cannot be read: {error}") from None


def encode_checkpoint(cursor: Cursor) -> bytes:
    """The payload that says: everything of the journal up to `cursor` stands before this."""
    return msgspec.msgpack.encode({_CHECKPOINT_KEY: cursor})


def is_checkpoint(payload: bytes) -> bool:
    """Whether it is a checkpoint."""
    return payload.startswith(_CHECKPOINT_START)


def is_event(payload: bytes) -> bool:
    """Whether it is an event; what else is there belongs to a checkpoint or a later release, or was erased."""
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
