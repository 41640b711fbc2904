"""One HTTP connection: octets in, requests handed on one at a time and in order, answers out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from mailwake.tracker import responses
from mailwake.tracker.arrivals import peer_of
from mailwake.tracker.request_reader import BadRequestError

if TYPE_CHECKING:
    from mailwake.tracker.http_server import HttpServer
    from mailwake.tracker.messages import Request, Response

_END = b"\r\n\r\n"
_CR = 0x0D
_CLOSE = b"connection: close\r\n\r\n"
_KEEP_ALIVE_1_0 = b"connection: keep-alive\r\n\r\n"
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpConnection(asyncio.Protocol):
    """Reads requests and writes the answers; its server keeps the time and ends it when that is over."""

    __slots__ = (
        "_at_end",
        "_awaited",
        "_buffer",
        "_clogged",
        "_closing",
        "_in_hand",
        "_peer",
        "_reading",
        "_searched",
        "_server",
        "_taking",
        "_transport",
    )

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._peer = ""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._searched = 0  # octets of the buffer in which no header ends
        self._in_hand: Request | None = None
        self._awaited: tuple[Request, int] | None = None  # a request whose body has not come, and its length
        self._closing = False  # nothing more is read as a request
        self._clogged = False  # the client does not take what was written
        self._at_end = False  # the client has said that nothing more comes
        self._reading = True
        self._taking = False

    def __repr__(self) -> str:
        state = "closing" if self._closing else "answering" if self._in_hand is not None else "waiting"
        return f"<HttpConnection {self._peer} {state}>"

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected, whose address the socket knows."""
        self.begin(cast("asyncio.Transport", transport), peer_of(transport)[0])
        self._server.opened(self)

    def begin(self, transport: asyncio.Transport, peer: str) -> None:
        """Speak HTTP with the client at `peer` from now on."""
        self._transport = transport
        self._peer = peer

    def data_received(self, data: bytes) -> None:
        """Octets of requests."""
        if self._closing:
            return  # read, so that the last answer is not lost in a reset, and thrown away
        waits = not self._buffer and self._in_hand is None and self._awaited is None and not self._clogged
        size = len(data) - 4
        if waits and 0 < size < self._server.limits.header_octets and data.find(_END) == size and data[0] != _CR:
            self._serve(data)  # the usual case: one request, all of it
        else:
            self._buffer += data
            self._take()

    def eof_received(self) -> bool:
        """The client sends nothing more; what it has asked is still answered."""
        self._at_end = True
        if self._in_hand is not None and self._transport is not None:
            return not self._transport.get_extra_info("sslcontext")  # TLS has no half-closed connections here
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; a request in hand is seen to all the same."""
        self._transport = None
        self._closing = True
        self._buffer.clear()
        self._server.closed(self)

    def pause_writing(self) -> None:
        """The client takes less than it asks for: no more is answered for now."""
        self._clogged = True
        self._server.clogged(self)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._clogged = False
        if self._in_hand is None and not self._closing:
            self._server.answered(self)
            self._take()

    # --- from octets to requests

    def _take(self) -> None:
        """Hand on what requests there are, one at a time; keep the rest."""
        if self._taking:  # an answer that came at once; the loop below goes on
            return
        self._taking = True
        while self._buffer and self._in_hand is None and not self._clogged and not self._closing:
            if self._awaited is not None:
                if not self._take_body(*self._awaited):
                    break
            elif not self._take_head():
                break
        self._taking = False
        self._read_or_pause()

    def _take_head(self) -> bool:
        buffer, limits = self._buffer, self._server.limits
        while buffer[:2] == b"\r\n":  # RFC 9112 §2.2
            del buffer[:2]
        end = buffer.find(_END, max(0, self._searched - 3))
        if end < 0 or end + 4 > limits.header_octets:
            self._searched = len(buffer)
            if end >= 0 or len(buffer) > limits.header_octets:
                one_line = buffer.find(b"\r\n", 0, limits.header_octets) < 0
                self._refuse(responses.TARGET_TOO_LONG if one_line else responses.HEADER_TOO_LARGE)
            elif buffer:
                self._server.begun(self)
            return False
        head = bytes(buffer[: end + 4])
        del buffer[: end + 4]
        self._searched = 0
        self._serve(head)
        return True

    def _serve(self, head: bytes) -> None:
        server = self._server
        try:
            request = server.reader.read(head, self._peer)
        except BadRequestError as error:
            self._refuse(error.response)
            return
        if request.unread_body and (length := self._body_length(request)):
            self._awaited = request, length
            server.begun(self)
            if request.headers.get("expect") == "100-continue" and not self._buffer:
                self._write(_GO_ON)
            return
        self._in_hand = request
        server.in_hand(self)
        server.app.answer(request, self._respond)

    def _body_length(self, request: Request) -> int:
        """The octets of a body that is to be read; 0 for one that nobody wants, or whose length is not clear."""
        length = request.headers.get("content-length") or ""
        if "transfer-encoding" in request.headers or not (length.isascii() and length.isdigit()):
            return 0
        octets = int(length[:9])
        return octets if octets <= self._server.limits.body_octets and self._server.app.takes_body(request) else 0

    def _take_body(self, request: Request, length: int) -> bool:
        if len(self._buffer) < length:
            return False
        self._awaited = None
        request.body = bytes(self._buffer[:length])
        request.unread_body = False
        del self._buffer[:length]
        self._in_hand = request
        self._server.in_hand(self)
        self._server.app.answer(request, self._respond)
        return True

    def _read_or_pause(self) -> None:
        if self._transport is None:
            return
        full = not self._closing and len(self._buffer) > self._server.limits.buffered_octets
        if full == self._reading:
            (self._transport.pause_reading if full else self._transport.resume_reading)()
            self._reading = not full

    # --- answers

    def _respond(self, response: Response) -> None:
        request, self._in_hand = self._in_hand, None
        transport = self._transport
        if transport is None or request is None or transport.is_closing():
            self._server.closed(self)  # the client has gone meanwhile: uvloop would raise
            return
        server = self._server
        body = b"" if request.method == "HEAD" else response.body
        if response.close or not request.keep_alive or request.unread_body or server.draining or self._nothing_comes:
            transport.write(response.head + server.date + _CLOSE + body)
            self._end(linger=request.unread_body)
            return
        transport.write(response.head + server.date + (_KEEP_ALIVE_1_0 if request.http_1_0 else b"\r\n") + body)
        if not self._clogged:
            server.answered(self)
        if self._buffer:
            self._take()

    @property
    def _nothing_comes(self) -> bool:
        return self._at_end and not self._buffer

    def _refuse(self, response: Response) -> None:
        """Answer what is no request, and be done with the client."""
        self._server.count_refused(response)
        self._write(response.head + self._server.date + _CLOSE + response.body)
        self._end(linger=True)

    def _write(self, octets: bytes) -> None:
        if self._transport is not None:
            self._transport.write(octets)

    def _end(self, *, linger: bool) -> None:
        """Close once the answer is out; `linger` while the client still sends, lest a reset destroys the answer."""
        self._closing = True
        self._buffer.clear()
        transport = self._transport
        if transport is None:
            return
        self._server.ending(self)
        if linger and not self._at_end and transport.can_write_eof():
            if not self._reading:
                transport.resume_reading()
                self._reading = True
            transport.write_eof()  # RFC 9112 §9.6; the server closes the rest when its time is over
        else:
            transport.close()

    # --- what the server tells

    @property
    def is_busy(self) -> bool:
        """Whether a request is in hand."""
        return self._in_hand is not None

    def close(self) -> None:
        """Close it; nothing is in hand."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drop it now."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
