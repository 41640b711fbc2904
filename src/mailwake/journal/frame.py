"""The format of a journal segment: a header, then frames of length, CRC-32 and payload, then perhaps zeros."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

from mailwake.errors import MailwakeError

SEGMENT_SUFFIX = ".segment"

MAGIC = b"mailwakeJ\r\n\x1a"
"""How a segment begins; the line end and the end-of-file character show whether a copy was made as text."""

FORMAT_VERSION = 1

SEGMENT_HEADER = MAGIC + FORMAT_VERSION.to_bytes(4, "little")

MAX_PAYLOAD = 256 << 10
"""The longest payload in octets; a longer length in a frame is damage."""

UNWRITTEN = "nothing written yet"
"""Why parsing stopped at a length of 0: the zeros ahead of a writer, unless something follows them (a lost block)."""

TORN = "torn frame"
"""Why parsing stopped where the data end within a frame."""

_FRAME = struct.Struct("<II")
FRAME_OVERHEAD = _FRAME.size

unpack_head = _FRAME.unpack_from
"""A frame's length and checksum: `unpack_head(data, offset)`."""


class JournalError(MailwakeError):
    """A record was not made durable, or a journal cannot be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """A whole frame's payload, and where it stands: its segment's name and the offset after it."""

    segment: str
    end: int
    payload: bytes

    @property
    def start(self) -> int:
        """The offset of the frame."""
        return self.end - FRAME_OVERHEAD - len(self.payload)


@dataclass(frozen=True, slots=True)
class Damage:
    """Octets of a closed segment that are no whole frames: from `offset` on, `octets` of them, given up.

    They reach to the next whole frame, or to the segment's end; zeros at its end are not counted: they may have been
    written ahead.
    """

    segment: str
    offset: int
    octets: int
    reason: str

    def __str__(self) -> str:
        return f"{self.segment}: {self.reason} at {self.offset}, {self.octets} octets given up"


def frame(payload: bytes) -> bytes:
    """One frame; JournalError for an empty or an overlong payload."""
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise JournalError(f"a journal's payload has 1 to {MAX_PAYLOAD} octets, not {len(payload)}")
    return _FRAME.pack(len(payload), crc32(payload)) + payload


def parse_frames(data: bytes, max_frames: int) -> tuple[list[bytes], int, str]:
    """The whole frames at the start of `data`, the octets they take, and why it stopped there.

    The reason is "" when the data are used up or `max_frames` reached, else UNWRITTEN, `torn frame`,
    `impossible length` or `checksum mismatch`.
    """
    payloads: list[bytes] = []
    offset, size = 0, len(data)
    while offset < size and len(payloads) < max_frames:
        if offset + FRAME_OVERHEAD > size:
            return payloads, offset, TORN if any(data[offset:]) else UNWRITTEN
        length, checksum = unpack_head(data, offset)
        if length == 0:
            return payloads, offset, UNWRITTEN
        if length > MAX_PAYLOAD:
            return payloads, offset, "impossible length"
        end = offset + FRAME_OVERHEAD + length
        if end > size:
            return payloads, offset, TORN
        payload = data[offset + FRAME_OVERHEAD : end]
        if crc32(payload) != checksum:
            return payloads, offset, "checksum mismatch"
        payloads.append(payload)
        offset = end
    return payloads, offset, ""
