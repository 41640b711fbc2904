"""Events to a browser as they come into the feed: server-sent events, few streams at once, each for a short time.

A stream ends by itself before the server's time for an answer is over, and the browser asks again from where it was:
so a revoked key, a log-out or a reload of the service ends it too, and nothing lives on for a client that is gone.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from starlette.responses import StreamingResponse

from mailwake.api.errors import ApiError, Fault
from mailwake.feed.contract import Position

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from starlette.types import Receive, Scope, Send

    from mailwake.events.model import Event
    from mailwake.feed.contract import EventFeed

MEDIA_TYPE = "text/event-stream; charset=utf-8"

MOST_STREAMS = 12
"""At once: the server has 32 requests in hand at most, and pages and the API need theirs."""

MOST_OF_ONE = 4
"""Of one viewer."""

STREAM_SECONDS = 50.0
"""How long a stream lasts; proxies and our own server would end it after 60 to 90."""

QUIET_SECONDS = 15.0
"""After so long without an event something is sent, so that proxies and the browser see that it lives."""

BEAT_SECONDS = 0.5
"""Events that come within this time are sent together."""

MOST_READ = 2_000
"""Events of the feed that are looked at in a beat; when more come, some are passed over, and that is said."""


class Streams:
    """The streams that are open; `stopping` ends them all."""

    def __init__(self, stopping: asyncio.Event, *, most: int = MOST_STREAMS, seconds: float = STREAM_SECONDS) -> None:
        self.stopping = stopping
        self.seconds = seconds
        self._most = most
        self._open: list[bytes] = []

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def place(self, viewer: bytes) -> Iterator[None]:
        """A place for a stream of this viewer; ApiError when there is none."""
        if len(self._open) >= self._most or self._open.count(viewer) >= MOST_OF_ONE:
            raise ApiError(
                Fault.BUSY,
                f"too many live views are open: at most {MOST_OF_ONE} of one log-in and {self._most} of all; close one",
                headers={"retry-after": "15"},
            )
        self._open.append(viewer)
        try:
            yield
        finally:
            self._open.remove(viewer)


class Beat(NamedTuple):
    """What came in a beat: the events that fit, up to where the feed was looked at, and whether some were left out."""

    events: Sequence[Event]
    position: Position
    skipped: bool


class EventStream(StreamingResponse):
    """The answer: the events behind `after` that `fits` lets through, and those that come, as `show` has them."""

    def __init__(
        self,
        feed: EventFeed,
        streams: Streams,
        viewer: bytes,
        *,
        after: Position,
        fits: Callable[[Event], bool],
        show: Callable[[Beat], str],
        seal: Callable[[Position], str],
    ) -> None:
        self._feed, self._streams, self._viewer = feed, streams, viewer
        self._fits, self._show, self._seal = fits, show, seal
        # Some proxies collect an answer before they hand it on, unless they are told.
        super().__init__(self._frames(after), media_type=MEDIA_TYPE, headers={"x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application; ApiError, before anything is sent, where there is no place."""
        scope["mailwake.stream"] = True
        with self._streams.place(self._viewer):
            await super().__call__(scope, receive, send)

    async def _frames(self, position: Position) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._streams.seconds
        yield f"retry: 2000\nid: {self._seal(position)}\n\n".encode()
        spoke = loop.time()
        while loop.time() < until and not self._streams.stopping.is_set():
            beat = await asyncio.to_thread(self._beat, position)
            position = beat.position
            if beat.events or beat.skipped:
                shown = await asyncio.to_thread(self._show, beat)
                yield f"id: {self._seal(position)}\nevent: events\ndata: {shown}\n\n".encode()
                spoke = loop.time()
            elif loop.time() - spoke >= QUIET_SECONDS:
                yield f": nothing new\nid: {self._seal(position)}\n\n".encode()
                spoke = loop.time()
            await self._pause(position, min(until, spoke + QUIET_SECONDS) - loop.time())

    def _beat(self, position: Position) -> Beat:
        page = self._feed.read(position, max_events=MOST_READ)
        events = [each.event for each in page.events if self._fits(each.event)]
        return Beat(events, self._feed.end() if page.more else page.position, page.more)

    async def _pause(self, position: Position, seconds: float) -> None:
        """Wait until the feed has grown, and a beat longer; so long at most, and not when all streams are to end."""
        growing = asyncio.ensure_future(self._feed.grown(position, max(0.0, seconds)))
        stopping = asyncio.ensure_future(self._streams.stopping.wait())
        try:
            await asyncio.wait({growing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                await asyncio.wait({stopping}, timeout=BEAT_SECONDS)
        finally:
            for task in (growing, stopping):
                task.cancel()
            await asyncio.gather(growing, stopping, return_exceptions=True)


class SealedPosition(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A position as browsers hold it; sealed, as it would tell how much comes in for other customers."""

    segment: int
    offset: int
