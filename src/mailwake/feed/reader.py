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
    TORN,
    Damage,
    parse_frames,
)
from mailwake.journal.segment_reader import is_live, pass_over

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
        self._events: list[FeedEvent] = []
        self._damages: list[Damage] = []
        self._is_closed = False

    def read(self, offset: int, max_events: int, *, is_last: bool) -> Page:
        while True:
            if offset == 0:
                if os.pread(self._descriptor, len(SEGMENT_HEADER), 0) == SEGMENT_HEADER:
                    offset = len(SEGMENT_HEADER)
                else:
                    next_offset = self._behind_damage(0, "not a segment of this format", is_last=is_last)
                    if next_offset is None:
                        return self._page(0, more=False)
                    offset = next_offset
                    continue
            room = READ_BYTES if self._end is None else min(READ_BYTES, max(0, self._end - offset))
            data = os.pread(self._descriptor, room, offset)
            payloads, used, reason = parse_frames(data, max(1, max_events - len(self._events)))
            self._take_in(payloads, offset)
            offset += used
            if len(self._events) >= max_events:
                return self._page(offset, more=True)
            if used and (not reason or (reason == TORN and len(data) == READ_BYTES)):
                continue  # more frames than events, or a frame that goes on behind what was read
            next_offset = self._behind_damage(offset, reason, is_last=is_last) if reason else None
            if next_offset is None:
                return self._page(offset, more=False)
            offset = next_offset

    def _take_in(self, payloads: list[bytes], offset: int) -> None:
        for payload in payloads:
            offset += FRAME_OVERHEAD + len(payload)
            if not is_event(payload):
                continue
            try:
                event = decode_event(payload)
            except FeedError as error:
                # It does not get better, and what is behind it must not wait for it.
                start = offset - FRAME_OVERHEAD - len(payload)
                self._damages.append(Damage(self._segment.path.name, start, offset - start, str(error)))
            else:
                self._events.append(FeedEvent(event, Position(self._segment.number, offset)))

    def _behind_damage(self, offset: int, reason: str, *, is_last: bool) -> int | None:
        # Where reading goes on; None where it has to wait. Zeros that nobody will write over are passed over, too: a
        # position before them would never be the feed's end, and whoever waits for more would be woken again and again.
        # In the last segment the writer may be in the middle of it, unless we know its end. Nothing else gets better.
        if is_last and self._end is None and not self._is_closed:
            self._is_closed = not is_live(self._descriptor)
            return offset if self._is_closed else None  # it may have been completed before it was closed
        next_offset, damage = pass_over(self._descriptor, self._segment.path.name, offset, reason, size=self._end)
        if next_offset == offset:  # an empty file
            return None
        if damage is not None:
            self._damages.append(damage)
        return next_offset

    def _page(self, offset: int, *, more: bool) -> Page:
        return Page(self._events, Position(self._segment.number, offset), self._damages, more)
