"""One SMTP connection: the glue between a transport, the protocol that parses, and the conversation that decides."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import Hello, MailFrom, MessageData, StartTLS
from mailwake.smtp.states import State
from mailwake.transport.start_tls import HandshakeError, start_tls
from mailwake.transport.tls import client_fingerprint

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from mailwake.clock import Clock
    from mailwake.listener.conversation import Conversation
    from mailwake.listener.limits import ListenerLimits
    from mailwake.listener.memory_budget import MemoryBudget
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.smtp.server_events import Answer, Event
    from mailwake.smtp.server_protocol import ServerProtocol

_RECEIVING = frozenset({State.DATA, State.CHUNK, State.CHUNKS})
_TIMED_OUT = Reply(421, "4.4.2", "Timeout, closing connection")
_TOO_SLOW = Reply(421, "4.4.2", "That took too long, closing connection")
_SHUTTING_DOWN = Reply(421, "4.3.2", "Service shutting down, closing connection")
_NO_MEMORY = Reply(421, "4.3.1", "Too much mail in hand, try again later")
_INTERNAL_ERROR = Reply(451, "4.3.0", "Internal error, try again later")


class Connection(asyncio.Protocol):
    """Feeds octets to the protocol, asks the conversation, writes replies; a pending decision holds back the rest."""

    def __init__(
        self,
        protocol: ServerProtocol,
        conversation: Conversation,
        limits: ListenerLimits,
        clock: Clock,
        log: Logger,
        tls_context: ssl.SSLContext | None,
        budget: MemoryBudget,
        on_close: Callable[[Connection], None],
        metrics: Metrics,
    ) -> None:
        self.conversation = conversation
        self._protocol = protocol
        self._limits = limits
        self._clock = clock
        self._log = log
        self._tls_context = tls_context
        self._budget = budget
        self._held = self._in_hand = 0
        self._on_close = on_close
        self._metrics = metrics
        self._transport: asyncio.Transport | None = None
        self._handshake_since: float | None = None
        self._pending: asyncio.Task[None] | None = None
        self._message_in_hand = False
        self._early: list[bytes] | None = None
        self._stopping = self._lost = self._choked = False
        self._last_heard = clock.monotonic()
        self._began: tuple[str, float] | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.conversation.session.peer_address} {self._protocol!r}>"

    @property
    def busy(self) -> bool:
        """Whether a message is being received or relayed."""
        return not self._protocol.idle

    @property
    def deciding(self) -> bool:
        """Whether a decision is in hand, which goes on when the client has gone."""
        return self._pending is not None

    # --- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses of asyncio's
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._early is not None:  # decrypted octets can arrive before start_tls() has returned
            self._early.append(data)
            return
        self._last_heard = self._clock.monotonic()
        self._protocol.receive_data(data)
        self._count_memory()
        if self._budget.overdrawn and self._pending is None and self._protocol.state in _RECEIVING:
            self._log.warning(
                "too much mail in hand, a message was cut off", peer=self.conversation.session.peer_address
            )
            self._say_goodbye(_NO_MEMORY)
            return
        if self._pending is None:
            self._advance()
        elif not self._protocol.wants_data and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Keep the sending side open while a reply is owed: a client may half-close after its last command."""
        self._protocol.receive_eof()
        if self._pending is not None or self._choked:
            return True
        self._advance()
        return False

    def pause_writing(self) -> None:
        """The client does not take its replies: look at no more of its commands until it has."""
        self._choked = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has taken enough of them."""
        self._choked = False
        if self._pending is None:
            if self._transport is not None:
                self._transport.resume_reading()
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave a message in hand to itself: its relaying goes on, only nobody hears the reply."""
        if self._lost:
            return
        self._lost = True
        self._transport = None
        self._count_memory()
        self._on_close(self)

    # --- the conversation

    def _advance(self) -> None:
        while self._pending is None and not self._choked:
            event = self._protocol.next_event()
            if event is not None:
                self._decide(event)
            elif self._protocol.overfull:
                self._flush()
            else:
                break
        if self._pending is None:
            self._count_memory()
        self._watch_progress()
        # RFC 2920 §3.2: replies to MAIL and RCPT may wait for that to the message behind them, which saves a write.
        if not self._message_in_hand:
            self._flush()

    def _decide(self, event: Event) -> None:
        self._began = None  # with several messages in flight, input is never all used up between two of them
        if isinstance(event, MessageData):
            self._in_hand = len(event.content)
            self._count_memory()
        elif isinstance(event, MailFrom):
            self.conversation.session.message_began = self._clock.monotonic()
        decision = self.conversation.decide(event)
        if isinstance(decision, Reply):
            self._answer(event, decision)
        else:
            self._message_in_hand = isinstance(event, MessageData)
            self._pending = asyncio.get_running_loop().create_task(self._decide_later(event, decision))

    def _answer(self, event: Event, reply: Answer) -> None:
        if isinstance(event, Hello) and self.conversation.session.by_certificate and reply.is_positive:
            self._protocol.log_in(self.conversation.session.account)
        self._protocol.offer(self.conversation.session.usable)  # XCLIENT and the like change who the client is
        self._protocol.reply(reply)
        if self.conversation.session.disconnecting:
            self._protocol.hang_up()
        if isinstance(event, StartTLS) and self._protocol.state is State.TLS:  # not if plaintext came behind it
            self._flush()
            if self._transport is not None:
                self._transport.pause_reading()  # plaintext sent from now on must never pass for decrypted
            self._early = []
            self._pending = asyncio.ensure_future(self._start_tls())

    async def _decide_later(self, event: Event, decision: Awaitable[Answer]) -> None:
        try:
            reply: Answer = await decision
        except Exception:
            self._log.exception("a decision failed", peer=self.conversation.session.peer_address)
            reply = _INTERNAL_ERROR
        self._pending = None
        self._message_in_hand = False
        self._last_heard = self._clock.monotonic()
        self._answer(event, reply)
        self._in_hand = 0
        self._count_memory()
        if self._stopping and isinstance(event, MessageData):
            self._say_goodbye(_SHUTTING_DOWN)
            return
        if self._transport is not None and not self._choked:
            self._transport.resume_reading()
        self._advance()

    async def _start_tls(self) -> None:
        assert self._transport is not None
        assert self._tls_context is not None
        self._handshake_since = self._clock.monotonic()
        try:
            self._transport = await start_tls(self._transport, self, self._tls_context)
        except HandshakeError as error:
            self._handshake_failed("failed", str(error))
            return
        self._handshake_since = None
        self._metrics.counter("smtp_tls_handshakes_total", "completed").inc()
        self._protocol.tls_established()
        self.conversation.tls_established(client_fingerprint(self._transport))
        early, self._early, self._pending = self._early or [], None, None
        for data in early:
            self.data_received(data)

    def _handshake_failed(self, result: str, why: str) -> None:
        if self._handshake_since is None:
            return
        self._handshake_since = self._pending = None
        self._metrics.counter("smtp_tls_handshakes_total", result).inc()
        self._log.info("TLS handshake failed", peer=self.conversation.session.peer_address, error=why)
        self.abort()
        self.connection_lost(None)  # in the middle of a handshake the loop tells nobody

    def _flush(self) -> None:
        output = self._protocol.data_to_send()
        if self._transport is None or self._transport.is_closing():
            return
        if output:
            self._transport.write(output)
        if self._protocol.closing and self._pending is None:
            self._transport.close()

    def _count_memory(self) -> None:
        # What this connection keeps in memory: input, and the message that is being decided.
        gone = self._transport is None and self._pending is None
        held = 0 if gone else self._protocol.held + self._in_hand
        if held != self._held:
            self._budget.change(held - self._held)
            self._held = held

    # --- time and ends

    def _watch_progress(self) -> None:
        receiving = self._protocol.state in _RECEIVING
        what = "message" if receiving else "command" if self._protocol.buffered else ""
        if not what:
            self._began = None
        elif self._began is None or self._began[0] != what:
            self._began = what, self._clock.monotonic()

    def sweep(self, now: float) -> None:
        """End the connection if it has been silent, or what it sends has been under way, for too long."""
        if self._handshake_since is not None and now - self._handshake_since > self._limits.handshake_timeout:
            self._handshake_failed("timed out", "it took too long")
        if self._pending is not None:
            self._flush()  # replies in front of a message that takes long have waited long enough
            return
        if now - self._last_heard > self._limits.idle_timeout:
            if self._choked or self._protocol.closing:
                self.abort()  # whoever does not take replies does not take this one either
            else:
                self._last_heard = now
                self._say_goodbye(_TIMED_OUT)
        elif self._began is not None:
            what, since = self._began
            allowed = self._limits.data_timeout if what == "message" else self._limits.command_timeout
            if now - since > allowed:
                self._say_goodbye(_TOO_SLOW)

    def stop(self) -> None:
        """Say 421 and close; a message in hand is finished first."""
        self._stopping = True
        if not self.busy:
            self._say_goodbye(_SHUTTING_DOWN)

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def finished(self) -> None:
        """Wait for the decision in hand, if there is one."""
        if self._pending is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([self._pending])

    def _say_goodbye(self, reply: Reply) -> None:
        self._protocol.close(reply)
        self._flush()
