"""Who writes the feed: the one that holds the lock of a file beside its segments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mailwake.feed.contract import FeedError
from mailwake.file_lock import is_held

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "lock"


def open_lock(feed: Path) -> int:
    """The descriptor to be locked (`file_lock.try_lock`) by whoever is to write the feed; FeedError, one line."""
    try:
        feed.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(feed / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FeedError(f"{feed / _NAME}: {error.strerror}; free space or mend the rights") from None


def is_written(feed: Path) -> bool:
    """Whether somebody writes the feed just now: whether a collector runs."""
    return is_held(feed / _NAME)
