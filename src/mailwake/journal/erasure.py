"""Taking records out of a closed segment, of the journal or of the feed, so that every other one stays where it is.

A record is replaced by another one of the same length; offsets stay, and so does every cursor and position. The new
file is complete and durable before it takes the old one's place: a kill leaves the one or the other. Readers that have
the old file open go on reading it.
"""

from __future__ import annotations

import mmap
import os
import shutil
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.journal.frame import FRAME_OVERHEAD, SEGMENT_HEADER, JournalError, frame, parse_frames
from mailwake.journal.resynchronisation import find_frame
from mailwake.journal.segment_reader import is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_STEP = 1 << 20
_FRAMES = 1 << 20
_UNFINISHED = ".erasing"


def erase_in(
    path: Path, erased: Callable[[bytes], bytes | None], before: Callable[[], None] = lambda: None
) -> int | None:
    """Replace each payload for which `erased` gives another one of the same length; how many there were.

    `before` is called when all of them have been seen, and all still stand there. None for a segment that still grows,
    or has gone: nothing is done then. JournalError when the disk refuses; the segment is as it was then. The same call
    again does what is left to do.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed(path, error) from None
    try:
        if is_live(descriptor):
            return None
        replaced = list(_replaced(descriptor, erased))
        if replaced:
            before()
            _put_in_place(path, descriptor, replaced)
        return len(replaced)
    except OSError as error:
        raise _failed(path, error) from None
    finally:
        os.close(descriptor)


def discard_unfinished(directory: Path) -> None:
    """Remove what a kill has left of copies: it still holds what was to be erased. Nobody may be erasing there."""
    for hidden in directory.glob(f".*{_UNFINISHED}"):
        hidden.unlink(missing_ok=True)


def _replaced(descriptor: int, erased: Callable[[bytes], bytes | None]) -> Iterator[tuple[int, bytes]]:
    """Offset and frame of each record that is to be another."""
    size = os.fstat(descriptor).st_size
    if size <= len(SEGMENT_HEADER):
        return
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as content:
        offset = len(SEGMENT_HEADER)
        while offset < size:
            payloads, used, reason = parse_frames(content[offset : offset + _STEP], _FRAMES)
            place = offset
            for payload in payloads:
                other = erased(payload)
                if other is not None:
                    assert len(other) == len(payload)
                    yield place, frame(other)
                place += FRAME_OVERHEAD + len(payload)
            offset += used
            if reason and not used:  # damage, or the zeros at the end
                found = find_frame(descriptor, offset + 1, size)
                if found is None:
                    return
                offset = found


def _put_in_place(path: Path, descriptor: int, frames: list[tuple[int, bytes]]) -> None:
    facts = os.fstat(descriptor)
    hidden = path.with_name(f".{path.name}{_UNFINISHED}")
    hidden.unlink(missing_ok=True)  # what a kill has left
    try:
        with hidden.open("xb") as copy:
            os.fchmod(copy.fileno(), 0o600)
            with open(descriptor, "rb", closefd=False) as original:
                original.seek(0)
                shutil.copyfileobj(original, copy, _STEP)
            for offset, data in frames:
                copy.seek(offset)
                copy.write(data)
            copy.flush()
            os.fsync(copy.fileno())
            os.utime(copy.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
        if path.exists():  # else retention has taken it meanwhile
            os.rename(hidden, path)
        sync_directory(path.parent)
    finally:
        hidden.unlink(missing_ok=True)


def _failed(path: Path, error: OSError) -> JournalError:
    return JournalError(f"{path}: records cannot be erased: {error.strerror}; free space or mend the rights")
