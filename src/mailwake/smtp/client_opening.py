"""A client's connection from the greeting until it is ready: EHLO or LHLO, STARTTLS, AUTH; and QUIT at its end."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from mailwake.smtp.client_events import Closed, Event, Ready, StartTls
from mailwake.smtp.client_handshake import Capabilities, ClientOptions, authentication_lines, read_capabilities
from mailwake.smtp.client_replies import ReplyReader
from mailwake.smtp.replies import Reply, ReplyError, parse_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.smtp.client_transaction import Transaction


NO_STARTTLS = "STARTTLS is required and not offered"
"""Why a connection is closed that was to be encrypted and cannot be."""


class ClientOpening:
    """The part of `ClientProtocol` that knows no transactions.

    Replies are matched to commands by a queue of what is awaited: a kind, and the transaction that it belongs to.
    """

    def __init__(self, options: ClientOptions, *, max_reply_octets: int) -> None:
        self.capabilities = Capabilities()
        self.tls = options.tls
        self.closed = False
        self._options = options
        self._max_reply_octets = max_reply_octets
        self._awaited: deque[tuple[str, Transaction | None]] = deque([("greeting", None)])
        self._events: deque[Event] = deque()
        self._output: list[bytes] = []
        self._reader = ReplyReader()
        self._authentication: list[bytes] = []
        self._deaf = False
        self._ready = False

    @property
    def idle(self) -> bool:
        """Whether a transaction can be sent now: ready, and no reply outstanding."""
        return self._ready and not self._awaited and not self.closed

    def next_event(self) -> Event | None:
        """What has happened, oldest first; None when that is all."""
        return self._events.popleft() if self._events else None

    def data_to_send(self) -> list[bytes]:
        """What is to be written now, in order."""
        output = self._output
        if output:
            self._output = []
        return output

    def receive_data(self, data: bytes) -> None:
        """Octets from the server."""
        if self._deaf:
            self._close("octets where none may come: in the clear behind STARTTLS")
            return
        replies = self._reader.feed(data)
        for number, lines in enumerate(replies, 1):
            if not self._take_reply(lines):
                self._check_nothing_follows(nothing=number == len(replies) and not self._reader.pending)
                return
        pending = self._reader.pending
        if pending > self._max_reply_octets:
            self._close(f"a reply longer than {self._max_reply_octets} octets")

    def connection_lost(self, reason: str) -> None:
        """The connection has ended; what is in hand is lost. Harmless when it was closed already."""
        self._close(reason)

    def tls_established(self) -> None:
        """The handshake is done: what was learnt in the clear is forgotten (RFC 3207 §4.2), and EHLO said again."""
        self.tls = True
        self._deaf = False
        self.capabilities = Capabilities()
        self._say_hello()

    def quit(self) -> None:
        """Say goodbye; `Closed` comes with the reply. Only when `idle`."""
        self._ready = False
        self._command("quit", b"QUIT\r\n")

    def _command(self, kind: str, line: bytes) -> None:
        self._output.append(line)
        self._awaited.append((kind, None))

    def _say_hello(self) -> None:
        verb = "LHLO" if self._options.lmtp else "EHLO"
        self._command("hello", f"{verb} {self._options.hello_name}\r\n".encode())

    # Receiving

    def _take_reply(self, lines: Sequence[bytes]) -> bool:
        """Whether another reply may follow in what was received."""
        if not self._awaited:
            # RFC 5321 §3.8: a server that shuts down may say 421 at any time.
            self._close(f"unsolicited reply: {lines[-1][:200]!r}")
            return False
        kind, transaction = self._awaited.popleft()
        try:
            if transaction is None:
                self._OPENING_REPLIES[kind](self, parse_reply(lines))
            else:
                self._take_transaction_reply(kind, transaction, lines)
        except ReplyError as error:
            self._awaited.appendleft((kind, transaction))
            self._close(str(error))
        return not self._deaf

    def _take_transaction_reply(self, kind: str, transaction: Transaction, lines: Sequence[bytes]) -> None:
        raise NotImplementedError

    def _check_nothing_follows(self, *, nothing: bool) -> None:
        """Whoever can write into a clear connection could put replies behind STARTTLS; they must not be believed."""
        if not (nothing or self.closed):
            self._close("octets in the clear behind the reply to STARTTLS")

    def _close(self, reason: str, reply: Reply | None = None) -> None:
        if self.closed:
            return
        self.closed = self._deaf = True
        self._reader.clear()
        self._lose_in_hand(reason, reply)
        self._awaited.clear()
        self._events.append(Closed(reason, reply))

    def _lose_in_hand(self, reason: str, reply: Reply | None) -> None:
        """Tell that the transactions in hand are lost; `_awaited` says what each was waiting for."""

    # Replies

    def _greeted(self, reply: Reply) -> None:
        if reply.code == 220:
            self._say_hello()
        else:
            self._close(f"greeted with {reply}", reply)

    def _hello_answered(self, reply: Reply) -> None:
        if reply.is_positive:
            self.capabilities = read_capabilities(reply, use_chunking=self._options.chunking)
            self._secure()
        elif reply.is_permanent and not (self.tls or self._options.lmtp):
            self._command("helo", f"HELO {self._options.hello_name}\r\n".encode())  # RFC 5321 §3.2
        else:
            self._close(f"{'LHLO' if self._options.lmtp else 'EHLO'} answered with {reply}", reply)

    def _helo_answered(self, reply: Reply) -> None:
        if reply.is_positive:
            self._secure()
        else:
            self._close(f"HELO answered with {reply}", reply)

    def _secure(self) -> None:
        if self.tls or self._options.starttls == "never":
            self._authenticate()
        elif self.capabilities.starttls:
            self._command("starttls", b"STARTTLS\r\n")
        elif self._options.starttls == "required":
            self._close(NO_STARTTLS)
        else:
            self._authenticate()

    def _starttls_answered(self, reply: Reply) -> None:
        if reply.code == 220:
            self._deaf = True
            self._events.append(StartTls())
        elif self._options.starttls == "required" or self._options.username or reply.code == 421:
            self._close(f"STARTTLS answered with {reply}", reply)
        else:
            self._authenticate()

    def _authenticate(self) -> None:
        if not self._options.username:
            self._become_ready()
            return
        lines = authentication_lines(self.capabilities.auth, self._options.username, self._options.password)
        if lines is None:
            self._close("a user name is set, but neither AUTH PLAIN nor AUTH LOGIN is offered")
            return
        self._authentication = lines
        self._command("auth", self._authentication.pop(0))

    def _auth_answered(self, reply: Reply) -> None:
        if reply.code == 334 and self._authentication:
            self._command("auth", self._authentication.pop(0))
        elif reply.code == 235:
            self._become_ready()
        else:
            self._close(f"AUTH answered with {reply}", reply)

    def _become_ready(self) -> None:
        self._ready = True
        self._events.append(Ready())

    def _quit_answered(self, reply: Reply) -> None:
        self._close("QUIT", reply)

    _OPENING_REPLIES: ClassVar[Mapping[str, Callable[[ClientOpening, Reply], None]]] = {
        "greeting": _greeted,
        "hello": _hello_answered,
        "helo": _helo_answered,
        "starttls": _starttls_answered,
        "auth": _auth_answered,
        "quit": _quit_answered,
    }
