"""Reading the feed by position, from the process that writes it or from another one."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from mailwake.feed.contract import PAGE_EVENTS, FeedError, FeedEvent, Page, Position
from mailwake.feed.payload import decode_event, is_event
from mailwake.feed.segments import segments_in
from mailwake.journal.frame import (
    FRAME_OVERHEAD,
    MAX_PAYLOAD,
    SEGMENT_HEADER,
    UNWRITTEN,
    Damage,
    parse_frames,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mailwake.feed.segments import FeedSegment

READ_BYTES = 1 << 20
assert READ_BYTES > MAX_PAYLOAD + FRAME_OVERHEAD

POLL_SECONDS = 0.2


class FeedReader:
    """Reads the segments in `directory`; an `EventFeed`.

    `durable_end` gives the position up to which the writer has synced; nothing behind it is read. Without it (in
    another process than the writer's) whatever is in the files is read.
    """

    def __init__(self, directory: Path, durable_end: Callable[[], Position] | None = None) -> None:
        self._directory = directory
        self._durable_end = durable_end

    def read(self, after: Position, *, max_events: int = PAGE_EVENTS, until: Position | None = None) -> Page:
        """The events behind `after`; see `contract.EventFeed.read`."""
        limit = self._limit(until)
        events: list[FeedEvent] = []
        damages: list[Damage] = []
        segments = [each for each in segments_in(self._directory) if each.number >= after.segment]
        for index, segment in enumerate(segments):
            start = after.offset if segment.number == after.segment else 0
            end = None
            if limit is not None:
                if segment.number > limit.segment:
                    break
                end = limit.offset if segment.number == limit.segment else None
            run = _read(segment, start, end, max_events - len(events), is_last=index == len(segments) - 1)
            events += run.events
            damages += run.damages
            after = run.position
            if run.more:
                return Page(events, after, damages, more=True)
        return Page(events, after, damages, more=False)

    def seek(self, time_ms: int) -> Position:
        """Before the first event at this time or later; see `contract.EventFeed.seek`."""
        segments = segments_in(self._directory)
        if not segments:
            return Position()
        started = [each for each in segments if each.begun_ms <= time_ms]
        position = Position((started[-1] if started else segments[0]).number, 0)
        while True:
            page = self.read(position)
            for each in page.events:
                if each.event.timestamp >= time_ms:
                    return position
                position = each.position
            if not page.more:
                return page.position
            position = page.position

    def end(self) -> Position:
        """Behind the last event there is now."""
        if self._durable_end is not None:
            return self._durable_end()
        segments = segments_in(self._directory)
        position = Position(segments[-1].number, 0) if segments else Position()
        while True:
            page = self.read(position)
            position = page.position
            if not page.more:
                return position

    async def grown(self, beyond: Position, seconds: float) -> bool:
        """Look every POLL_SECONDS; the writer's own process has a feed that need not look (`live_feed.LiveFeed`)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            page = await asyncio.to_thread(self.read, beyond, max_events=1)
            if page.events:
                return True
            left = deadline - loop.time()
            if left <= 0:
                return False
            await asyncio.sleep(min(left, POLL_SECONDS))

    def _limit(self, until: Position | None) -> Position | None:
        ends = [end for end in (until, self._durable_end() if self._durable_end else None) if end is not None]
        return min(ends, default=None)


def _read(segment: FeedSegment, offset: int, end: int | None, max_events: int, *, is_last: bool) -> Page:
    """The events of one segment from `offset` on; a segment that is not the last one is closed."""
    try:
        descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # retention has taken it meanwhile
        return Page([], Position(segment.number, offset), [], more=False)
    except OSError as error:
        raise FeedError(f"{segment.path}: cannot read the feed: {error.strerror}; mend the rights") from None
    try:
        return _Segment(segment, descriptor, end).read(offset, max_events, is_last=is_last)
    finally:
        os.close(descriptor)


class _Segment:
    def __init__(self, segment: FeedSegment, descriptor: int, end: int | None) -> None:
        self._segment = segment
        self._descriptor = descriptor
        self._end = end

    def read(self, offset: int, max_events: int, *, is_last: bool) -> Page:
        events: list[FeedEvent] = []
        number = self._segment.number
        if offset == 0:
            if os.pread(self._descriptor, len(SEGMENT_HEADER), 0) != SEGMENT_HEADER:
                return self._broken(events, 0, "not a segment of this format", is_last=is_last)
            offset = len(SEGMENT_HEADER)
        while True:
            room = READ_BYTES if self._end is None else min(READ_BYTES, max(0, self._end - offset))
            data = os.pread(self._descriptor, room, offset)
            payloads, used, reason = parse_frames(data, max(1, max_events - len(events)))
            place = offset
            for payload in payloads:
                place += FRAME_OVERHEAD + len(payload)
                if is_event(payload):
                    events.append(FeedEvent(decode_event(payload), Position(number, place)))
            offset += used
            if len(events) >= max_events:
                return Page(events, Position(number, offset), [], more=True)
            if used and (not reason or (reason == "torn frame" and len(data) == READ_BYTES)):
                continue  # more frames than events, or a frame that goes on behind what was read
            if reason in ("", UNWRITTEN):
                return Page(events, Position(number, offset), [], more=False)
            return self._broken(events, offset, reason, is_last=is_last)

    def _broken(self, events: list[FeedEvent], offset: int, reason: str, *, is_last: bool) -> Page:
        # In the last segment the writer may be in the middle of it; a closed one does not get better.
        number = self._segment.number
        if is_last:
            return Page(events, Position(number, offset), [], more=False)
        size = os.fstat(self._descriptor).st_size
        damage = Damage(self._segment.path.name, offset, size - offset, reason)
        return Page(events, Position(number, size), [damage], more=False)
