from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailwake.clock import ManualClock
from mailwake.journal.frame import MAX_PAYLOAD, SEGMENT_HEADER, JournalError
from mailwake.journal.reader import JournalReader
from mailwake.journal.segment_file import FIRST_STEP, LONGEST_STEP, Disk
from mailwake.journal.segment_reader import is_live, read_whole
from mailwake.journal.writer import JournalWriter


class FailingDisk(Disk):
    """Does what it is told to: writes only some octets and then fails, or fails to sync; counts what works.

    Syncs of zeros are neither counted nor failed by `sync_error`, but by `zeros_sync_error`.
    """

    def __init__(self) -> None:
        self.room: int | None = None
        self.sync_error: OSError | None = None
        self.zeros_sync_error: OSError | None = None
        self.syncs = 0
        self._zeros_written = False

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is None:
            return super().write(descriptor, data)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super().write(descriptor, data[: self.room])
        self.room -= written
        return written

    def write_zeros(self, descriptor: int, octets: int, offset: int) -> int:
        self._zeros_written = True
        return super().write_zeros(descriptor, octets, offset)

    def sync(self, descriptor: int) -> None:
        zeros, self._zeros_written = self._zeros_written, False
        error = self.zeros_sync_error if zeros else self.sync_error
        if error is not None:
            raise error
        if not zeros:
            self.on_sync()
            self.syncs += 1
        super().sync(descriptor)

    def on_sync(self) -> None:
        """Before records are synced."""


class SmallDisk(Disk):
    """A disk with room for so many octets in the files of `directory`."""

    def __init__(self, directory: Path, capacity: int) -> None:
        self.directory = directory
        self.capacity = capacity
        self.refused_zeros = 0

    def write(self, descriptor: int, data: bytes) -> int:
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        return super().write(descriptor, data[: self._room(descriptor, position, len(data))])

    def write_zeros(self, descriptor: int, octets: int, offset: int) -> int:
        try:
            return super().write_zeros(descriptor, self._room(descriptor, offset, octets), offset)
        except OSError:
            self.refused_zeros += 1
            raise

    def _room(self, descriptor: int, offset: int, octets: int) -> int:
        # Octets that can be written there: those that the file has already cost nothing.
        free = self.capacity - sum(path.stat().st_size for path in self.directory.iterdir())
        room = min(octets, os.fstat(descriptor).st_size + free - offset)
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return room


def segments(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def stored(directory: Path) -> list[bytes]:
    batch = JournalReader(directory).read()
    assert batch.damages == []
    return [record.payload for record in batch.records]


async def test_what_was_answered_is_on_disk_in_order(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "smtp-0")
    payloads = [b"record %d" % number for number in range(500)]
    await asyncio.gather(*(writer.append(payload) for payload in payloads))
    assert stored(tmp_path) == payloads
    await writer.append_many([b"x", b"y"])
    assert stored(tmp_path)[-2:] == [b"x", b"y"]
    await writer.close()
    assert stored(tmp_path) == [*payloads, b"x", b"y"]


async def test_records_that_come_during_a_rest_share_the_next_sync(tmp_path: Path) -> None:
    disk = FailingDisk()
    writer = JournalWriter(tmp_path, "smtp-0", rest_seconds=3600, disk=disk)
    await writer.append(b"first")  # after a rest, or with none yet: at once
    before = disk.syncs
    second = writer.append(b"second")
    await asyncio.sleep(0)
    third = writer.append(b"third")
    await asyncio.sleep(0)
    assert not second.done()
    assert not third.done()
    await writer.close()  # does not wait for the rest to end
    await asyncio.gather(second, third)
    assert disk.syncs == before + 1
    assert [record.payload for record in JournalReader(tmp_path).read().records] == [b"first", b"second", b"third"]


async def test_a_short_rest_only_delays(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "smtp-0", rest_seconds=0.001)
    for number in range(20):
        await writer.append(b"%d" % number)
    await writer.close()
    assert len(JournalReader(tmp_path).read().records) == 20


async def test_appends_of_one_turn_share_a_sync(tmp_path: Path) -> None:
    disk = FailingDisk()
    writer = JournalWriter(tmp_path, "w", disk=disk)
    await writer.append(b"first")  # makes the segment
    before = disk.syncs
    await asyncio.gather(*(writer.append(b"%d" % number) for number in range(1000)))
    assert disk.syncs == before + 1
    await writer.close()


async def test_nothing_is_made_before_the_first_record(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "journal", "w")
    await writer.close()
    assert not (tmp_path / "journal").exists()


async def test_every_start_writes_a_new_segment(tmp_path: Path) -> None:
    for number in range(3):
        writer = JournalWriter(tmp_path, "w")
        await writer.append(b"%d" % number)
        await writer.close()
    assert len(segments(tmp_path)) == 3
    assert sorted(stored(tmp_path)) == [b"0", b"1", b"2"]


async def test_a_full_segment_is_followed_by_another(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "w", segment_bytes=200)
    for number in range(20):
        await writer.append(bytes([number]) * 50)
    await writer.close()
    sizes = [path.stat().st_size for path in segments(tmp_path)]
    assert len(sizes) == 7
    assert max(sizes) <= 200
    assert sorted(stored(tmp_path)) == [bytes([number]) * 50 for number in range(20)]


async def test_an_old_segment_is_followed_by_another(tmp_path: Path) -> None:
    clock = ManualClock()
    writer = JournalWriter(tmp_path, "w", segment_seconds=60, clock=clock)
    for number in range(6):
        await writer.append(b"%d" % number)
        clock.advance(29)
        clock.jump(-3600)  # as the wall clock may: it is not asked
    await writer.close()
    assert [len(records_of(path)) for path in sorted(segments(tmp_path), key=lambda path: path.stat().st_mtime_ns)] == [
        *(3, 3)
    ]
    assert sorted(stored(tmp_path)) == [b"%d" % number for number in range(6)]


async def test_an_old_segment_is_closed_when_nothing_comes_any_more(tmp_path: Path) -> None:
    clock = ManualClock()
    writer = JournalWriter(tmp_path, "w", segment_seconds=0.08, clock=clock)  # is looked at every 10 ms
    await writer.append(b"first")
    (path,) = segments(tmp_path)
    await look_several_times(writer)
    assert live(path)
    assert path.stat().st_size > FIRST_STEP
    clock.advance(1)
    await closed(path)
    assert path.stat().st_size == len(SEGMENT_HEADER) + 8 + 5  # its zeros were given back
    await writer.append(b"second")
    assert len(segments(tmp_path)) == 2
    assert sorted(stored(tmp_path)) == [b"first", b"second"]
    clock.advance(1)  # this one, too
    for path in segments(tmp_path):
        await closed(path)
    await writer.close()


async def look_several_times(writer: JournalWriter) -> None:
    """Return when the timer has looked at the segment's age more than once."""
    seen: set[object] = set()
    while len(seen) < 3:
        seen.add(writer._age_timer)
        await asyncio.sleep(0.001)


async def closed(path: Path) -> None:
    """Return when the segment's writer has let go of it."""
    with path.open("rb") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_SH)


def live(path: Path) -> bool:
    with path.open("rb") as file:
        return is_live(file.fileno())


def records_of(path: Path) -> list[bytes]:
    return [record.payload for run in read_whole(path) for record in run.records]


async def test_a_batch_larger_than_a_segment_is_still_written(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "w", segment_bytes=100)
    await writer.append_many([bytes([65 + number]) * 90 for number in range(5)])
    await writer.close()
    assert len(stored(tmp_path)) == 5


async def test_files_are_private(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "journal", "w")
    await writer.append(b"x")
    await writer.close()
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in segments(tmp_path / "journal")] == [0]


async def test_close_waits_for_what_was_appended_and_then_refuses(tmp_path: Path) -> None:
    lost: list[int] = []
    writer = JournalWriter(tmp_path, "w", on_failure=lambda error, records: lost.append(records))
    futures = [writer.append(b"%d" % number) for number in range(100)]
    await writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert len(stored(tmp_path)) == 100
    with pytest.raises(JournalError, match="closed"):
        await writer.append_many([b"a", b"b"])
    assert lost == [2]
    await writer.close()


async def test_who_stops_waiting_disturbs_nobody(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "w")
    futures = [writer.append(b"%d" % number) for number in range(3)]
    futures[1].cancel()
    await futures[0]
    await futures[2]
    await writer.close()
    assert stored(tmp_path) == [b"0", b"1", b"2"]


@pytest.mark.parametrize("room", [0, 1, 7, 8, 13, 14, 20])
async def test_a_full_disk_fails_the_batch_leaves_no_trace_and_recovers(tmp_path: Path, room: int) -> None:
    disk = FailingDisk()
    failures: list[tuple[str, int]] = []
    writer = JournalWriter(
        tmp_path, "w", disk=disk, on_failure=lambda error, records: failures.append((str(error), records))
    )
    await writer.append(b"before")
    disk.room = room
    results = await asyncio.gather(writer.append(b"lost 1"), writer.append(b"lost 2"), return_exceptions=True)
    assert [type(result) for result in results] == [JournalError, JournalError]
    assert results[0] is not results[1]
    assert failures == [(f"{tmp_path}: No space left on device", 2)]
    assert stored(tmp_path) == [b"before"]
    with pytest.raises(JournalError):  # still full: not even a new segment fits
        await writer.append(b"lost 3")
    assert len(segments(tmp_path)) == 1
    disk.room = None
    await writer.append(b"after")
    await writer.close()
    assert sorted(stored(tmp_path)) == [b"after", b"before"]


async def test_after_a_failed_sync_nothing_more_is_written_to_that_segment(tmp_path: Path) -> None:
    disk = FailingDisk()
    writer = JournalWriter(tmp_path, "w", disk=disk)
    await writer.append(b"before")
    disk.sync_error = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(JournalError, match="Input/output error"):
        await writer.append(b"lost")
    disk.sync_error = None
    await writer.append(b"after")
    await writer.close()
    assert len(segments(tmp_path)) == 2
    assert sorted(stored(tmp_path)) == [b"after", b"before"]


async def test_a_reader_that_saw_what_was_cut_off_goes_on(tmp_path: Path) -> None:
    seen: list[bytes] = []

    class SeenTooEarly(FailingDisk):
        def on_sync(self) -> None:
            if self.look:
                seen.extend(record.payload for record in JournalReader(tmp_path).read().records)
                raise OSError(errno.EIO, "broken")

        look = False

    disk = SeenTooEarly()
    writer = JournalWriter(tmp_path, "w", disk=disk)
    await writer.append(b"before")
    disk.look = True
    with pytest.raises(JournalError):
        await writer.append(b"lost, but seen")
    assert seen == [b"before", b"lost, but seen"]
    name = segments(tmp_path)[0].name
    beyond = {name: len(SEGMENT_HEADER) + 2 * 8 + len(b"".join(seen))}
    disk.look = False
    await writer.append(b"after")
    batch = JournalReader(tmp_path).read(beyond)
    assert [record.payload for record in batch.records] == [b"after"]
    assert batch.damages == []
    await writer.close()


class WatchedDisk(FailingDisk):
    """Tells which octets of the file there were before records were written, and how the zeros went."""

    def __init__(self) -> None:
        super().__init__()
        self.extended: list[bool] = []
        self.steps: list[int] = []

    def write(self, descriptor: int, data: bytes) -> int:
        end = os.lseek(descriptor, 0, os.SEEK_CUR) + len(data)
        self.extended.append(end > os.fstat(descriptor).st_size)
        return super().write(descriptor, data)

    def write_zeros(self, descriptor: int, octets: int, offset: int) -> int:
        assert offset == os.fstat(descriptor).st_size  # never over records
        self.steps.append(octets)
        return super().write_zeros(descriptor, octets, offset)


async def test_records_are_written_over_zeros_and_a_closed_segment_has_none(tmp_path: Path) -> None:
    disk = WatchedDisk()
    writer = JournalWriter(tmp_path, "w", disk=disk)
    payloads = [b"%04d" % number + bytes(9_000) for number in range(400)]
    for payload in payloads:
        await writer.append(payload)
    assert disk.extended == [True, True, *[False] * 399]  # the header, and the first record
    assert disk.steps[0] == FIRST_STEP
    assert max(disk.steps) <= LONGEST_STEP
    await writer.close()
    used = len(SEGMENT_HEADER) + 400 * (8 + 9_004)
    assert [path.stat().st_size for path in segments(tmp_path)] == [used]
    read, cursor = [], None
    while (batch := JournalReader(tmp_path).read(cursor)).records:
        read += [record.payload for record in batch.records]
        cursor = batch.cursor
    assert (read, batch.damages) == (payloads, [])


async def test_batches_longer_than_the_zeros_are_written_whole(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "w")
    payloads = [bytes([number]) * 200_000 for number in range(30)]
    for start in range(0, 30, 10):
        await writer.append_many(payloads[start : start + 10])
    await writer.close()
    batches = list(JournalReader(tmp_path).follow(wait=lambda seconds: True))
    assert [record.payload for batch in batches for record in batch.records] == payloads
    assert [damage for batch in batches for damage in batch.damages] == []


async def test_a_live_segment_never_exceeds_its_limit(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Measured(Disk):
        def sync(self, descriptor: int) -> None:
            super().sync(descriptor)
            sizes.append(os.fstat(descriptor).st_size)

    writer = JournalWriter(tmp_path, "w", segment_bytes=2_000, disk=Measured())
    for number in range(50):
        await writer.append(b"%d" % number + bytes(100))
    await writer.close()
    assert max(sizes) == 2_000
    assert len(stored(tmp_path)) == 50


async def test_where_zeros_have_no_room_records_are_appended_until_they_have_none(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path, 50_000)
    writer = JournalWriter(tmp_path, "w", disk=disk)
    fitting = (50_000 - len(SEGMENT_HEADER)) // 1008
    payloads = [b"%04d" % number + bytes(996) for number in range(fitting)]
    for payload in payloads:
        await writer.append(payload)
    assert disk.refused_zeros == 1
    with pytest.raises(JournalError, match="No space left"):
        await writer.append(bytes(1000))
    disk.capacity = 1 << 20
    await writer.append(b"after")
    await writer.close()
    assert sorted(stored(tmp_path)) == [*payloads, b"after"]
    assert sum(path.stat().st_size for path in segments(tmp_path)) < 50_000 + 100


async def test_zeros_written_before_the_disk_was_full_still_take_records(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path, FIRST_STEP + len(SEGMENT_HEADER) + 18)
    writer = JournalWriter(tmp_path, "w", disk=disk)
    payloads = [b"the first", *(b"%04d" % number + bytes(9_996) for number in range(FIRST_STEP // 10_008))]
    for payload in payloads:
        await writer.append(payload)
    with pytest.raises(JournalError, match="No space left"):
        await writer.append(bytes(10_000))
    assert disk.refused_zeros == 1
    await writer.close()
    assert stored(tmp_path) == payloads


async def test_zeros_that_cannot_be_synced_end_the_segment_and_lose_nothing(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.zeros_sync_error = OSError(errno.EIO, os.strerror(errno.EIO))
    writer = JournalWriter(tmp_path, "w", disk=disk)
    for number in range(3):
        await writer.append(b"%d" % number)
    await writer.close()
    assert len(segments(tmp_path)) == 3
    assert max(path.stat().st_size for path in segments(tmp_path)) == len(SEGMENT_HEADER) + 9
    assert sorted(stored(tmp_path)) == [b"0", b"1", b"2"]


async def test_what_waits_is_bounded(tmp_path: Path) -> None:
    lost: list[int] = []
    writer = JournalWriter(
        tmp_path, "w", max_pending_bytes=1000, on_failure=lambda error, records: lost.append(records)
    )
    futures = [writer.append(bytes(92)) for _ in range(15)]
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [result is None for result in results] == [True] * 10 + [False] * 5
    assert "too many records wait" in str(results[-1])
    assert lost == [1] * 5
    await writer.append(bytes(92))
    await writer.close()
    assert len(stored(tmp_path)) == 11


@pytest.mark.parametrize("payload", [b"", bytes(MAX_PAYLOAD + 1)])
async def test_an_impossible_payload_fails_alone(tmp_path: Path, payload: bytes) -> None:
    writer = JournalWriter(tmp_path, "w")
    good = writer.append(b"good")
    with pytest.raises(JournalError, match="octets, not"):
        await writer.append(payload)
    await good
    await writer.close()
    assert stored(tmp_path) == [b"good"]


async def test_a_directory_that_cannot_be_made_fails_the_append(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = JournalWriter(tmp_path / "file", "w")
    with pytest.raises(JournalError, match=r"File exists|Not a directory"):
        await writer.append(b"x")
    await writer.close()


def test_a_loop_that_ends_without_close_leaves_everything_answered(tmp_path: Path) -> None:
    async def forget() -> None:
        await JournalWriter(tmp_path, "w").append(b"kept")

    asyncio.run(forget())
    assert stored(tmp_path) == [b"kept"]


WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from mailwake.journal.writer import JournalWriter

async def main():
    writer = JournalWriter(Path(sys.argv[1]), "w", segment_bytes=20_000)
    async def one(lane):
        number = 0
        while True:
            payload = b"%d/%d" % (lane, number)
            await writer.append(payload)
            sys.stdout.buffer.write(payload + b"\\n")
            sys.stdout.buffer.flush()
            number += 1
    await asyncio.gather(*(one(lane) for lane in range(16)))

asyncio.run(main())
"""


@pytest.mark.parametrize("answers", [1, 100, 2500])
def test_a_killed_process_has_lost_nothing_that_it_answered(tmp_path: Path, answers: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    answered = {process.stdout.readline().strip() for _ in range(answers)}
    process.kill()
    with process.stdout:  # not communicate(), which passes over what readline has read ahead
        rest = process.stdout.read()
    process.wait(timeout=60)
    answered.update(rest.split(b"\n")[:-1])  # the last line may be torn
    answered.discard(b"")
    batch = JournalReader(tmp_path).read(max_records=10**9)
    assert answered <= {record.payload for record in batch.records}
    assert JournalReader(tmp_path).read(batch.cursor).records == []
    assert len(batch.records) == len({record.payload for record in batch.records})


LIMITED = """
import asyncio, resource, signal, sys
from pathlib import Path
from mailwake.journal.frame import JournalError
from mailwake.journal.writer import JournalWriter

async def main():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    writer = JournalWriter(Path(sys.argv[1]), "w")
    answered = failed = 0
    for number in range(60):
        try:
            await writer.append(b"%03d" % number + bytes(97))
            answered += 1
        except JournalError:
            failed += 1
    await writer.close()
    print(answered, failed)

asyncio.run(main())
"""


def test_a_file_size_limit_of_the_system_is_survived(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    answered, failed = map(int, done.stdout.split())
    assert failed > 0
    assert answered > 40
    assert len(stored(tmp_path)) == answered
