"""A file as an answer: in pieces, each when the client has taken the one before, for as long as it goes on taking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from starlette.types import Scope, Send

PATIENCE = "mailwake.patience"
"""Where the request's scope has the limit of its time (`asyncio.Timeout`)."""

_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class FileReply:
    """What a route's function gives to have an open file sent, from its beginning; it is closed afterwards."""

    file: BinaryIO
    octets: int
    media_type: str
    name: str
    """What the client is to call it: ASCII without quotes."""
    ended: Callable[[], None]
    """Called when it was sent, or could not be."""


async def send_file(reply: FileReply, scope: Scope, send: Send) -> None:
    """Send it; the server disconnects a client that takes nothing for a while (`HttpLimits.write_timeout`)."""
    try:
        fields = {
            "content-type": reply.media_type,
            "content-length": str(reply.octets),
            "content-disposition": f'attachment; filename="{reply.name}"',
        }
        encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        if PATIENCE in scope:
            scope[PATIENCE].reschedule(None)
        if scope["method"] != "HEAD":
            while piece := await asyncio.to_thread(reply.file.read, _PIECE):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        reply.file.close()
        reply.ended()
