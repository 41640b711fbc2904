from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.journal.crc_shift import part_crc
from mailwake.journal.frame import MAX_PAYLOAD


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_a_part_has_the_sum_that_it_has_alone(before: bytes, part: bytes) -> None:
    assert part_crc(crc32(before), crc32(before + part), len(part)) == crc32(part)


@pytest.mark.parametrize("octets", [0, 1, 1023, 1024, 1025, MAX_PAYLOAD, (1 << 20) - 1])
def test_of_every_length(octets: int) -> None:
    before, part = b"what stands before", bytes(range(256)) * (octets // 256) + bytes(octets % 256)
    assert part_crc(crc32(before), crc32(before + part), octets) == crc32(part)
