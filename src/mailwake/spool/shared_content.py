"""The copies of one message differ in a few links: what they have in common is stored once.

A copy comes in pieces. Those that stand in the first copy at the same place, too, are referred to; the others are kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_Span = tuple[int, int]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes | _Span]).decode


class Base(NamedTuple):
    """A content that others may refer to."""

    content_id: int
    pieces: Sequence[bytes]


def difference(base: Sequence[bytes], pieces: Sequence[bytes]) -> bytes | None:
    """`pieces` in terms of `base`, for `joined`; None when they have too little in common to be worth it."""
    if len(base) != len(pieces):
        return None
    parts: list[bytes | _Span] = []
    own = offset = 0
    for theirs, ours in zip(base, pieces, strict=True):
        last = parts[-1] if parts else None
        if theirs is ours or theirs == ours:
            if isinstance(last, tuple) and sum(last) == offset:
                parts[-1] = (last[0], last[1] + len(ours))
            else:
                parts.append((offset, len(ours)))
        else:
            parts.append(ours)
            own += len(ours)
        offset += len(theirs)
    if 4 * own > 3 * sum(map(len, pieces)):
        return None
    return _encode(parts)


def joined(base: bytes, parts: bytes) -> bytes:
    """The content that `difference` described."""
    return b"".join(part if isinstance(part, bytes) else base[part[0] : part[0] + part[1]] for part in _decode(parts))
