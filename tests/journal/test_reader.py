from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from mailwake.journal.frame import SEGMENT_HEADER, SEGMENT_SUFFIX, Damage, JournalError, frame
from mailwake.journal.reader import Batch, JournalReader
from mailwake.journal.writer import JournalWriter


def segments(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def payloads(batch: Batch) -> list[bytes]:
    return [record.payload for record in batch.records]


def dead_segment(directory: Path, name: str, *contents: bytes, tail: bytes = b"") -> Path:
    path = directory / f"{name}{SEGMENT_SUFFIX}"
    path.write_bytes(SEGMENT_HEADER + b"".join(map(frame, contents)) + tail)
    return path


def read_all(directory: Path) -> tuple[set[bytes], list[Damage], dict[str, int]]:
    batches = list(JournalReader(directory).follow(wait=lambda seconds: True))
    records = [payload for batch in batches for payload in payloads(batch)]
    assert len(records) == len(set(records))
    return set(records), [damage for batch in batches for damage in batch.damages], batches[-1].cursor


def first_number(payload: bytes) -> int:
    return int(payload.split()[0])


def test_reading_goes_on_where_the_cursor_stands_and_the_cursor_is_json(tmp_path: Path) -> None:
    dead_segment(tmp_path, "a-1", b"1", b"2", b"3")
    reader = JournalReader(tmp_path)
    first = reader.read(max_records=2)
    second = reader.read(json.loads(json.dumps(first.cursor)))
    assert (payloads(first), payloads(second)) == ([b"1", b"2"], [b"3"])
    third = reader.read(second.cursor)
    assert third == Batch([], [], second.cursor)


def test_a_record_knows_where_it_stands(tmp_path: Path) -> None:
    dead_segment(tmp_path, "a-1", b"one", b"three")
    reader = JournalReader(tmp_path)
    records = reader.read().records
    assert records[1].start == records[0].end == len(SEGMENT_HEADER) + 8 + 3
    assert payloads(reader.read({records[0].segment: records[0].end})) == [b"three"]


def test_several_writers_are_merged_by_time(tmp_path: Path) -> None:
    dead_segment(tmp_path, "a-1", b"1 a", b"4 a", b"5 a")
    dead_segment(tmp_path, "b-1", b"2 b", b"3 b", b"6 b")
    reader = JournalReader(tmp_path, time_of=first_number)
    assert payloads(reader.read()) == [b"1 a", b"2 b", b"3 b", b"4 a", b"5 a", b"6 b"]


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_they_stay_in_order_when_read_in_pieces(tmp_path: Path, at_once: int) -> None:
    for name, step in (("a", 1), ("b", 3), ("c", 10)):
        dead_segment(tmp_path, f"{name}-1", *(b"%d %s" % (n, name.encode()) for n in range(0, 60, step)))
    reader = JournalReader(tmp_path, time_of=first_number)
    batches = [reader.read(max_records=at_once)]
    while batches[-1].records:
        batches.append(reader.read(batches[-1].cursor, max_records=at_once))
    numbers = [first_number(payload) for batch in batches for payload in payloads(batch)]
    assert numbers == sorted(numbers)
    assert len(numbers) == 60 + 20 + 6


def test_segments_that_were_deleted_leave_the_cursor(tmp_path: Path) -> None:
    gone = dead_segment(tmp_path, "a-1", b"1")
    dead_segment(tmp_path, "b-1", b"2")
    reader = JournalReader(tmp_path)
    cursor = reader.read().cursor
    gone.unlink()
    assert list(reader.read(cursor).cursor) == [f"b-1{SEGMENT_SUFFIX}"]


def test_a_torn_tail_of_a_dead_segment_is_reported_once_whatever_its_length(tmp_path: Path) -> None:
    torn = frame(b"the last record")
    for length in range(1, len(torn)):
        path = dead_segment(tmp_path, "a-1", b"1", b"2", tail=torn[:length])
        reader = JournalReader(tmp_path)
        first = reader.read()
        assert (payloads(first), first.damages) == ([b"1", b"2"], [])
        second = reader.read(first.cursor)
        offset = path.stat().st_size - length
        assert second.records == []
        assert second.damages == [Damage(path.name, offset, len(torn[:length].rstrip(b"\0")), "torn frame")]
        assert "torn frame" in str(second.damages[0])
        assert reader.read(second.cursor) == Batch([], [], second.cursor)


def test_a_flipped_bit_costs_its_own_record_and_nothing_else(tmp_path: Path) -> None:
    whole = SEGMENT_HEADER + b"".join(map(frame, (b"one", b"two", b"three")))
    spans = {b"": (0, 16), b"one": (16, 27), b"two": (27, 38), b"three": (38, 51)}
    dead_segment(tmp_path, "b-1", b"other")
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / f"a-1{SEGMENT_SUFFIX}").write_bytes(changed)
        seen, damages, cursor = read_all(tmp_path)
        hit, (start, end) = next((name, span) for name, span in spans.items() if bit // 8 < span[1])
        assert seen == {b"one", b"two", b"three", b"other"} - {hit}
        assert [(damage.offset, damage.octets) for damage in damages] == [(start, end - start)]
        assert JournalReader(tmp_path).read(cursor) == Batch([], [], cursor)


@pytest.mark.parametrize("content", [b"", SEGMENT_HEADER])
def test_an_empty_segment_is_no_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"a-1{SEGMENT_SUFFIX}").write_bytes(content)
    reader = JournalReader(tmp_path)
    first = reader.read()
    assert (first.records, first.damages) == ([], [])
    assert reader.read(first.cursor) == first


def test_a_file_of_another_kind_is_damage_and_hidden_or_other_names_are_ignored(tmp_path: Path) -> None:
    (tmp_path / f"a-1{SEGMENT_SUFFIX}").write_bytes(b"something else entirely")
    (tmp_path / f".b-1{SEGMENT_SUFFIX}").write_bytes(b"half made")
    (tmp_path / "notes.txt").write_bytes(b"hello")
    batch = JournalReader(tmp_path).read()
    assert [damage.reason for damage in batch.damages] == ["not a segment of this format"]


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot read the journal: No such file"):
        JournalReader(tmp_path / "absent").read()


async def test_a_torn_tail_of_a_live_segment_is_waited_for(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "w")
    await writer.append(b"first")
    path = segments(tmp_path)[0]
    reader = JournalReader(tmp_path)
    cursor = reader.read().cursor
    torn = frame(b"second")
    for length in (3, 8, len(torn) - 1):  # as if the writer's own write were seen half done
        with path.open("r+b") as file:
            file.seek(cursor[path.name])
            file.write(torn[:length])
        assert reader.read(cursor) == Batch([], [], cursor)
    with path.open("r+b") as file:
        file.seek(cursor[path.name])
        file.write(torn)
    batch = reader.read(cursor)
    assert (payloads(batch), batch.damages) == ([b"second"], [])
    await writer.close()


def test_a_segment_counts_as_dead_only_when_its_writer_has_gone(tmp_path: Path) -> None:
    path = dead_segment(tmp_path, "a-1", b"first", tail=b"torn")
    reader = JournalReader(tmp_path)
    with path.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        cursor = reader.read().cursor
        assert reader.read(cursor) == Batch([], [], cursor)
    assert [damage.octets for damage in reader.read(cursor).damages] == [4]


def test_zeros_at_the_end_of_a_live_segment_are_waited_for(tmp_path: Path) -> None:
    path = dead_segment(tmp_path, "a-1", b"1 first", tail=bytes(2 << 20))
    other = dead_segment(tmp_path, "b-1", b"2 other")
    reader = JournalReader(tmp_path, time_of=first_number)
    with path.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        first = reader.read()
        assert payloads(first) == [b"1 first", b"2 other"]  # the zeros are nothing that the others wait for
        assert reader.read(first.cursor) == Batch([], [], first.cursor)
        writer.seek(first.cursor[path.name])
        writer.write(frame(b"3 second"))
        writer.flush()
        second = reader.read(first.cursor)
        assert (payloads(second), second.damages) == ([b"3 second"], [])
        assert second.cursor[other.name] == other.stat().st_size


@pytest.mark.parametrize("zeros", [1, 7, 8, 9, 4096, 3 << 20])
@pytest.mark.parametrize("contents", [(), (b"1", b"2")])
def test_zeros_at_the_end_of_a_dead_segment_are_its_end(tmp_path: Path, zeros: int, contents: tuple[bytes]) -> None:
    path = dead_segment(tmp_path, "a-1", *contents, tail=bytes(zeros))
    reader = JournalReader(tmp_path)
    first = reader.read()
    assert (payloads(first), first.damages) == (list(contents), [])
    second = reader.read(first.cursor)
    assert second == Batch([], [], {path.name: path.stat().st_size})  # and are not looked at again
    assert reader.read(second.cursor) == second


@pytest.mark.parametrize("zeros", [1, 8, 100, 3 << 20])
def test_zeros_before_more_records_are_damage(tmp_path: Path, zeros: int) -> None:
    path = dead_segment(tmp_path, "a-1", b"1", tail=bytes(zeros) + frame(b"behind a lost block") + bytes(1000))
    reader = JournalReader(tmp_path)
    first = reader.read()
    second = reader.read(first.cursor)
    assert (payloads(first), payloads(second)) == ([b"1"], [b"behind a lost block"])
    assert [(damage.offset, damage.octets) for damage in second.damages] == [(first.cursor[path.name], zeros)]
    assert second.damages[0].reason in ("zeros where records were", "torn frame")
    third = reader.read(second.cursor)
    assert third == Batch([], [], {path.name: path.stat().st_size})


def test_a_torn_frame_before_zeros_is_damage_whatever_its_length(tmp_path: Path) -> None:
    torn = frame(b"the last record")
    for length in range(1, len(torn)):
        path = dead_segment(tmp_path, "a-1", b"1", tail=torn[:length] + bytes(5000))
        reader = JournalReader(tmp_path)
        first = reader.read()
        second = reader.read(first.cursor)
        octets = len(torn[:length].rstrip(b"\0"))
        assert (payloads(first), payloads(second)) == ([b"1"], [])
        assert second.damages == [Damage(path.name, first.cursor[path.name], octets, "checksum mismatch")]
        assert reader.read(second.cursor) == Batch([], [], {path.name: path.stat().st_size})


def test_a_flipped_bit_before_zeros_is_found(tmp_path: Path) -> None:
    whole = SEGMENT_HEADER + b"".join(map(frame, (b"one", b"two")))
    for bit in range(len(whole) * 8):
        changed = bytearray(whole + bytes(5000))
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / f"a-1{SEGMENT_SUFFIX}").write_bytes(changed)
        seen, damages, _ = read_all(tmp_path)
        assert len(seen) == 2 - (bit // 8 >= 16)
        assert len(damages) == 1


async def test_reading_never_stops_a_writer_and_sees_everything_once(tmp_path: Path) -> None:
    writers = [JournalWriter(tmp_path, f"w{number}", segment_bytes=5_000) for number in range(2)]
    finished = threading.Event()
    seen: list[bytes] = []
    damages: list[Damage] = []

    def read_along() -> None:
        reader = JournalReader(tmp_path)
        cursor: dict[str, int] = {}
        while True:
            last_look = finished.is_set()
            batch = reader.read(cursor, max_records=7)
            cursor = batch.cursor
            seen.extend(payloads(batch))
            damages.extend(batch.damages)
            if last_look and not batch.records:
                return

    along = asyncio.create_task(asyncio.to_thread(read_along))

    async def lane(writer: JournalWriter, name: str) -> None:
        for number in range(100):
            await writer.append(f"{name}/{number}".encode() + bytes(20))

    await asyncio.gather(*(lane(w, f"{n}-{m}") for n, w in enumerate(writers) for m in range(8)))
    for writer in writers:
        await writer.close()
    finished.set()
    await along
    assert damages == []
    assert len(seen) == len(set(seen)) == 1600
    assert len(segments(tmp_path)) > 2


def test_following_waits_between_looks_and_ends_when_told(tmp_path: Path) -> None:
    dead_segment(tmp_path, "a-1", b"1")
    looks: list[float] = []

    def wait(seconds: float) -> bool:
        looks.append(seconds)
        if len(looks) == 2:
            dead_segment(tmp_path, "b-1", b"2")
        return len(looks) == 4

    batches = list(JournalReader(tmp_path).follow(wait=wait))
    assert [payloads(batch) for batch in batches] == [[b"1"], [b"2"]]
    assert len(looks) == 4


def test_a_segment_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / f"a-1{SEGMENT_SUFFIX}"
    os.symlink(tmp_path / f"a-1{SEGMENT_SUFFIX}", path)  # a loop: fails for root too
    with pytest.raises(JournalError, match="cannot read the journal"):
        JournalReader(tmp_path).read()


def test_large_segments_are_read_in_pieces(tmp_path: Path) -> None:
    contents = [b"%06d" % number + bytes(50_000) for number in range(60)]
    dead_segment(tmp_path, "a-1", *contents)
    reader = JournalReader(tmp_path)
    cursor: dict[str, int] = {}
    seen: list[bytes] = []
    while (batch := reader.read(cursor)).records:
        seen += payloads(batch)
        cursor = batch.cursor
        assert batch.damages == []
    assert seen == contents
