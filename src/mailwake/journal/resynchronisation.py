"""Where whole frames begin again behind damage, in time linear in the octets, whatever they hold."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from zlib import crc32

from mailwake.journal.crc_shift import part_crc
from mailwake.journal.frame import FRAME_OVERHEAD, MAX_PAYLOAD, unpack_head

if TYPE_CHECKING:
    from collections.abc import Iterator

_WINDOW = 64 << 10
"""Octets in which frames may begin that are looked at together; those behind are read along."""

_BEGINNING = re.compile(rb"\0{2,}(?=\0\0)|[\s\S](?=[\s\S][\0-\4]\0)")
assert MAX_PAYLOAD == 4 << 16  # a length's third octet is 4 at most, its fourth is 0
# A run of zeros but for its last two is passed over at once: a length that begins there is 0 or begins too high.


def find_frame(descriptor: int, start: int, size: int) -> int | None:
    """The offset, at or behind `start`, of the first whole frame of a file of `size` octets; None when there is none.

    A frame is whole when its length is possible and its checksum right, so that chance makes one out of other octets
    once in four thousand million lengths that look possible.
    """
    while start < size:
        data = os.pread(descriptor, min(_WINDOW + FRAME_OVERHEAD + MAX_PAYLOAD, size - start), start)
        found = _first_whole(data)
        if found is not None:
            return start + found
        start += _WINDOW
    return None


def _first_whole(data: bytes) -> int | None:
    possible = list(_possible(data))
    marks = {place for begin, length, _ in possible for place in (begin, begin + length)}
    sums = _running_sums(data, sorted(marks))
    for begin, length, checksum in possible:
        if part_crc(sums[begin], sums[begin + length], length) == checksum:
            return begin - FRAME_OVERHEAD
    return None


def _possible(data: bytes) -> Iterator[tuple[int, int, int]]:
    # Where a payload might begin in the window, with its length and checksum.
    for match in _BEGINNING.finditer(data, 0, min(len(data), _WINDOW + 3)):
        begin = match.start()
        if begin >= _WINDOW or begin + FRAME_OVERHEAD >= len(data):
            return
        length, checksum = unpack_head(data, begin)
        begin += FRAME_OVERHEAD
        if 0 < length <= min(MAX_PAYLOAD, len(data) - begin):
            yield begin, length, checksum


def _running_sums(data: bytes, places: list[int]) -> dict[int, int]:
    # zlib's sum of the octets before each place; each octet is read once.
    sums: dict[int, int] = {}
    view, total, before = memoryview(data), 0, 0
    for place in places:
        total = crc32(view[before:place], total)
        sums[place], before = total, place
    return sums
