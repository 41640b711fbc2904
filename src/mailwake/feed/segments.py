"""The feed's segment files: numbered, so that their names say their order whatever the clock does."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from mailwake.feed.contract import FeedError
from mailwake.journal.frame import SEGMENT_SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(rf"feed-(\d{{10}})-(\d{{13,}})-[0-9a-f]{{8}}{re.escape(SEGMENT_SUFFIX)}")


class FeedSegment(NamedTuple):
    """A segment of the feed: its number, when it was begun (Unix milliseconds), its file."""

    number: int
    begun_ms: int
    path: Path


def writer_name(number: int) -> str:
    """The name that `journal.segment_file.SegmentFile` is given for the segment with this number."""
    return f"feed-{number:010d}"


def segments_in(directory: Path) -> list[FeedSegment]:
    """The segments of the feed, in order, none where there is no directory; FeedError when it cannot be read."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FeedError(f"{directory}: cannot read the feed: {error.strerror}; mend the rights") from None
    found = [
        FeedSegment(int(match[1]), int(match[2]), directory / name)
        for name in names
        if (match := _NAME.fullmatch(name)) is not None
    ]
    return sorted(found)
