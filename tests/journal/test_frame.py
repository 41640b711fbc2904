from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.journal.frame import FRAME_OVERHEAD, MAX_PAYLOAD, UNWRITTEN, JournalError, frame, parse_frames

payload_lists = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=8)


@given(payload_lists)
def test_whole_frames_are_read_back(payloads: list[bytes]) -> None:
    data = b"".join(map(frame, payloads))
    assert parse_frames(data, 1000) == (payloads, len(data), "")


@given(payload_lists)
def test_wherever_the_data_end_only_whole_frames_count(payloads: list[bytes]) -> None:
    data = b"".join(map(frame, payloads))
    ends = [sum(map(len, map(frame, payloads[:count]))) for count in range(len(payloads) + 1)]
    for cut in range(len(data) + 1):
        read, used, reason = parse_frames(data[:cut], 1000)
        whole = max(count for count, end in enumerate(ends) if end <= cut)
        assert (read, used) == (payloads[:whole], ends[whole])
        assert reason == ("" if cut in ends else "torn frame")


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=2, max_size=3))
def test_a_flipped_bit_stops_it_at_that_frame(payloads: list[bytes]) -> None:
    data = b"".join(map(frame, payloads))
    first = len(frame(payloads[0]))
    for bit in range(first * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        read, used, reason = parse_frames(bytes(changed), 1000)
        assert (read, used) == ([], 0)
        assert reason in ("torn frame", "impossible length", "checksum mismatch", UNWRITTEN)


def test_the_limit_of_frames_is_kept() -> None:
    data = frame(b"a") * 5
    assert parse_frames(data, 2) == ([b"a", b"a"], 2 * (FRAME_OVERHEAD + 1), "")


@pytest.mark.parametrize("zeros", [1, 3, 7, 8, 9, 4096])
def test_zeros_are_no_frames_but_space_to_write_in(zeros: int) -> None:
    assert parse_frames(bytes(zeros), 10) == ([], 0, UNWRITTEN)
    assert parse_frames(frame(b"a") + bytes(zeros), 10) == ([b"a"], FRAME_OVERHEAD + 1, UNWRITTEN)


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD + 1)])
def test_payloads_out_of_bounds_are_refused(payload: bytes) -> None:
    with pytest.raises(JournalError, match="octets, not"):
        frame(payload)
    assert parse_frames(frame(bytes(MAX_PAYLOAD)), 1)[1] == FRAME_OVERHEAD + MAX_PAYLOAD
