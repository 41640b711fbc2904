"""Whatever happens to a closed segment's octets: every record that is whole is found, none is invented."""

from __future__ import annotations

import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.journal.frame import FRAME_OVERHEAD, MAX_PAYLOAD, SEGMENT_HEADER, Damage, Record, frame
from mailwake.journal.resynchronisation import find_frame
from mailwake.journal.segment_reader import read_whole

# Octets out of which possible lengths are made by chance, and others.
_OCTETS = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.lists(st.sampled_from([0, 0, 0, 1, 4, 9, 65, 255]), min_size=1, max_size=60).map(bytes),
    st.integers(1, 9_000).map(bytes),
)


class Found(NamedTuple):
    records: list[Record]
    damages: list[Damage]


def read(content: bytes) -> Found:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a-1.segment"
        path.write_bytes(content)
        runs = list(read_whole(path))
    records = [record for run in runs for record in run.records]
    return Found(records, [damage for run in runs for damage in run.damages])


@st.composite
def _damaged(draw: st.DrawFn) -> tuple[dict[int, bytes], bytes, bytes]:
    # The frames by offset, the whole segment, and what has become of it.
    payloads = draw(st.lists(_OCTETS, min_size=1, max_size=12))
    frames: dict[int, bytes] = {}
    content = SEGMENT_HEADER
    for payload in payloads:
        frames[len(content)] = payload
        content += frame(payload)
    content += bytes(draw(st.sampled_from([0, 0, 7, 5_000])))
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content) - 1))
        match draw(st.sampled_from(["flip", "zeros", "noise"])):
            case "flip":
                changed[place] ^= 1 << draw(st.integers(0, 7))
            case "zeros":
                length = len(changed[place : place + draw(st.sampled_from([1, 8, 64, 512, 4096]))])
                changed[place : place + length] = bytes(length)
            case "noise":
                noise = draw(_OCTETS)[: len(content) - place]
                changed[place : place + len(noise)] = noise
    if draw(st.booleans()):
        del changed[draw(st.integers(0, len(content))) :]
    return frames, content, bytes(changed)


@given(_damaged())
def test_every_whole_record_is_found_and_none_is_invented(case: tuple[dict[int, bytes], bytes, bytes]) -> None:
    frames, whole, changed = case
    found = read(changed)
    expected = [(start, payload) for start, payload in frames.items() if _is_whole(start, payload, whole, changed)]
    assert [(record.start, record.payload) for record in found.records] == expected
    _assert_all_is_accounted_for(changed, found)


def _is_whole(start: int, payload: bytes, before: bytes, now: bytes) -> bool:
    end = start + FRAME_OVERHEAD + len(payload)
    return end <= len(now) and now[start:end] == before[start:end]


def _assert_all_is_accounted_for(content: bytes, found: Found) -> None:
    # Header, records and damage lie side by side and leave out nothing but zeros at the end.
    spans = [(record.start, record.end) for record in found.records]
    spans += [(damage.offset, damage.offset + damage.octets) for damage in found.damages]
    if content.startswith(SEGMENT_HEADER):
        spans.append((0, len(SEGMENT_HEADER)))
    spans.sort()
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    assert not content or not spans or spans[0][0] == 0
    assert not any(content[spans[-1][1] if spans else 0 :])


@given(st.lists(_OCTETS, min_size=1, max_size=6), st.binary(min_size=1, max_size=40), st.integers(0, 3))
def test_octets_that_are_too_many_or_missing_cost_one_record_at_most(
    payloads: list[bytes], extra: bytes, place: int
) -> None:
    frames = [frame(payload) for payload in payloads]
    place = min(place, len(frames))
    content = SEGMENT_HEADER + b"".join(frames[:place]) + extra + b"".join(frames[place:])
    records = [record.payload for record in read(content).records]
    assert records[:place] == payloads[:place]
    # Octets that look like a length may swallow what follows only if the checksum agrees, and it does not.
    assert records[place:] == payloads[place:]
    lacking = SEGMENT_HEADER + b"".join(frames)[3:]
    assert [record.payload for record in read(lacking).records] == payloads[1:]


@pytest.mark.parametrize("gap", [1, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("octet", [b"\0", b"\1", b"x", b"\xff"])
def test_a_long_gap_is_crossed(gap: int, octet: bytes) -> None:
    longest = bytes(range(256)) * (MAX_PAYLOAD // 256)
    content = SEGMENT_HEADER + frame(b"before") + octet * gap + frame(longest) + frame(b"after")
    found = read(content)
    assert [record.payload for record in found.records] == [b"before", longest, b"after"]
    assert [(damage.offset, damage.octets) for damage in found.damages] == [(30, gap)]


class _Counting:
    """Where the octets are read from, and how many were."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.octets = 0
        real = os.pread

        def pread(descriptor: int, octets: int, offset: int) -> bytes:
            data = real(descriptor, octets, offset)
            self.octets += len(data)
            return data

        monkeypatch.setattr(os, "pread", pread)


def test_octets_that_all_look_like_lengths_cost_no_more_than_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fourth begins a possible frame of 200,000 octets: to sum up each of them would be 50,000 times as much."""
    summed = 0

    def counting_crc32(data: bytes, start: int = 0) -> int:
        nonlocal summed
        summed += len(data)
        return crc32(data, start)

    monkeypatch.setattr("mailwake.journal.resynchronisation.crc32", counting_crc32)
    reading = _Counting(monkeypatch)
    hostile = (200_000).to_bytes(4, "little") * 75_000
    path = tmp_path / "a-1.segment"
    path.write_bytes(hostile + frame(b"found"))
    with path.open("rb") as file:
        assert find_frame(file.fileno(), 0, path.stat().st_size) == len(hostile)
    assert summed < 6 * len(hostile)
    assert reading.octets < 6 * len(hostile)


def test_nothing_is_changed_or_deleted_because_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a-1.segment"
    content = b"no segment" + frame(b"one") + b"noise"
    path.write_bytes(content)
    damages = [damage for run in read_whole(path) for damage in run.damages]
    assert [damage.reason for damage in damages] == ["not a segment of this format", "torn frame"]
    assert path.read_bytes() == content
