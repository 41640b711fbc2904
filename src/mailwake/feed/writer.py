"""Writing the feed: events and the checkpoint behind them in one append, durable when it returns.

The contract that matters is that of being killed. An append ends with a checkpoint, which says how far the journal has
been merged. What a kill leaves without its checkpoint is known again at the next start by its event ids (`unclaimed`),
and is not appended twice; checkpoints name those of them that stand beyond their cursor, for the case of another kill.
So each event stands in the feed once, whoever is killed when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.clock import SystemClock
from mailwake.feed.contract import FeedError, Position
from mailwake.feed.last_state import last_state
from mailwake.feed.payload import encode_checkpoint, encode_unclaimed
from mailwake.feed.segments import segments_in, writer_name
from mailwake.journal.frame import frame
from mailwake.journal.rolling_segments import RollingSegments
from mailwake.journal.segment_file import Disk

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.journal.reader import Cursor

SEGMENT_BYTES = 64 << 20
SEGMENT_SECONDS = 3600.0


class FeedWriter:
    """Appends to the feed in `directory`; one process at a time has one, and one thread uses it.

    `cursor` says up to where the journal has been merged, and `unclaimed` the ids of events that stand in the feed
    beyond it; `latest_ms` is the latest time of an event in the last segment at the start, 0 without one. `end` is the
    durable end, and may be read from any thread. A segment has at most `segment_bytes` (a longer append has one of its
    own) and is at most `segment_seconds` old, so that retention and erasure can have it. New segments have numbers
    `above` this one: if the feed was lost, or is a copy of an earlier one, positions from before must lie before them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        above: int = 0,
        disk: Disk | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._has_events = False
        segments = segments_in(directory)
        self._number = max(above, segments[-1].number if segments else 0)
        self._segments = RollingSegments(
            directory,
            lambda: writer_name(self._number + 1),
            disk or Disk(),
            clock or SystemClock(),
            octets=segment_bytes,
            seconds=segment_seconds,
            on_begin=self._begun,
        )
        self.cursor, self.unclaimed, self.latest_ms, _ = last_state(directory)
        self.end = Position(segments[-1].number, segments[-1].path.stat().st_size) if segments else Position()

    def append(self, payloads: Sequence[bytes], cursor: Cursor, unclaimed: Collection[int] = ()) -> Position:
        """Append these events and the checkpoint; FeedError when the disk refuses, and nothing is promised then.

        `unclaimed` is what of `self.unclaimed` still stands beyond the cursor. After an error the same events may be
        appended again: what the failed append has left is cut off.
        """
        data = b"".join(map(frame, (*payloads, *encode_unclaimed(unclaimed), encode_checkpoint(cursor))))
        refused = self._segments.append(data)
        if refused is not None:
            raise FeedError(f"{self._directory}: cannot write the feed: {refused.strerror}; free space")
        self.cursor, self.unclaimed = dict(cursor), set(unclaimed)
        self._has_events = self._has_events or bool(payloads)
        self.end = Position(self._number, self._segments.size)
        return self.end

    def write_ahead(self) -> None:
        """Make the next append cheaper; to be called when nobody waits."""
        self._segments.write_ahead()

    def roll_if_old(self) -> None:
        """Begin another segment if the one in use has events and is old; for when there is nothing to append.

        The new one begins with a checkpoint, so that all that was before it may be deleted. FeedError as by `append`.
        """
        if self._has_events and self._segments.is_old:
            self.append([], self.cursor, self.unclaimed)

    def roll(self) -> None:
        """Close the segment; the next append begins another."""
        self._segments.close()

    close = roll

    def _begun(self) -> None:
        self._number += 1
        self._has_events = False
