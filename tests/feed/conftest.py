"""A feed in a directory of its own, and events for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailwake.events.model import Event, EventType
from mailwake.feed.payload import encode_event
from mailwake.feed.writer import FeedWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START = 1_790_689_600_000


def event(number: int, *, time: int | None = None, kind: EventType = EventType.CLICK) -> Event:
    return Event(
        type=kind,
        event_id=number,
        timestamp=START + number if time is None else time,
        message_id=f"{number:020x}",
        transmission_id=number,
        rcpt_to="bob@example.org",
    )


def payloads(numbers: Iterable[int]) -> list[bytes]:
    return [encode_event(event(number)) for number in numbers]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "feed"


@pytest.fixture
def writer(directory: Path) -> FeedWriter:
    return FeedWriter(directory)
