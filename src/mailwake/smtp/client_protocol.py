"""The client's side of SMTP without a socket: bytes from the server in, bytes for the server and events out.

Replies are matched to commands by a queue of what is awaited, so that any number of commands may be on their way
(PIPELINING, RFC 2920). What each reply leads to is the table at the end of this module.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from mailwake.smtp.client_events import Closed, Event, Finished, Lost, Ready, StartTls
from mailwake.smtp.client_handshake import Capabilities, ClientOptions, authentication_lines, read_capabilities
from mailwake.smtp.client_transaction import Transaction, data_content, mail_command, refuse_locally
from mailwake.smtp.replies import Reply, ReplyError, parse_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ACCEPTED = re.compile(rb"2[0-9][0-9](?: |\Z)")

_GO_AHEAD = Reply(354, "", "")

_STAGES = {"rset": "mail"}
"""RSET belongs to the transaction that it goes in front of."""


class ClientProtocol:
    """One connection's client side: greeting, EHLO, STARTTLS, AUTH, then one transaction at a time.

    Feed it `receive_data` and `connection_lost`; after each call of any method, take all of `next_event` and write
    `data_to_send`. A reply longer than `max_reply_octets` is a violation, as is anything else out of step: the
    connection is then given up, never guessed about.
    """

    def __init__(self, options: ClientOptions, *, max_reply_octets: int) -> None:
        self.capabilities = Capabilities()
        self.tls = False
        self.closed = False
        self._options = options
        self._max_reply_octets = max_reply_octets
        self._awaited: deque[tuple[str, Transaction | None]] = deque([("greeting", None)])
        self._in_hand: deque[Transaction] = deque()
        self._events: deque[Event] = deque()
        self._output: list[bytes] = []
        self._partial = b""
        self._lines: list[bytes] = []
        self._authentication: list[bytes] = []
        self._deaf = False
        self._ready = False
        self._reset_first = False

    def __repr__(self) -> str:
        awaited = " ".join(kind for kind, _ in self._awaited)
        state = "closed" if self.closed else "ready" if self._ready else "opening"
        return f"<ClientProtocol {state} in_hand={len(self._in_hand)} awaited=[{awaited}]>"

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
        buffered = self._partial + data if self._partial else data
        lines = buffered.split(b"\r\n")
        self._partial = lines.pop()
        for number, line in enumerate(lines, 1):
            self._lines.append(line)
            if line[3:4] != b"-" or not line[:3].isdigit():
                reply_lines, self._lines = self._lines, []
                if not self._take_reply(reply_lines):
                    self._check_nothing_follows(nothing=number == len(lines) and not self._partial)
                    return
        if self._partial or self._lines:
            self._check_size()

    def connection_lost(self, reason: str) -> None:
        """The connection has ended; what is in hand is lost. Harmless when it was closed already."""
        self._close(reason)

    def tls_established(self) -> None:
        """The handshake is done: what was learnt in the clear is forgotten (RFC 3207 §4.2), and EHLO said again."""
        self.tls = True
        self._deaf = False
        self.capabilities = Capabilities()
        self._command("ehlo", f"EHLO {self._options.hello_name}\r\n".encode())

    def send(self, transaction: Transaction) -> None:
        """Start a transaction; only when `idle`. Its end comes as `Finished` or `Lost`."""
        if not self.idle:
            raise RuntimeError(f"{self!r} cannot take a transaction now")
        refusal = refuse_locally(transaction, self.capabilities)
        if refusal is not None:
            self._events.append(Finished(transaction, refusal, "mail"))
            return
        self._in_hand.append(transaction)
        if self.capabilities.pipelining:
            self._send_at_once(transaction)
        else:
            self._send_in_steps(transaction)

    def quit(self) -> None:
        """Say goodbye; `Closed` comes with the reply. Only when `idle`."""
        self._ready = False
        self._command("quit", b"QUIT\r\n")

    # Sending

    def _command(self, kind: str, line: bytes) -> None:
        self._output.append(line)
        self._awaited.append((kind, None))

    def _send_at_once(self, transaction: Transaction) -> None:
        """Everything up to DATA, or with BDAT the content too, in one write (RFC 2920 §3.1, RFC 3030 §4.1)."""
        reset = self._take_reset()
        if reset:
            self._awaited.append(("rset", transaction))
        head = f"{reset}{mail_command(transaction, self.capabilities)}RCPT TO:<{transaction.recipient}>\r\n"
        if self._chunking:
            self._awaited.extend((("mail", transaction), ("rcpt", transaction), ("content", transaction)))
            self._output.append(f"{head}BDAT {transaction.size} LAST\r\n".encode())
            self._output.extend(transaction.pieces)
            transaction.content_sent = True
        else:
            self._awaited.extend((("mail", transaction), ("rcpt", transaction), ("data", transaction)))
            self._output.append(f"{head}DATA\r\n".encode())

    def _send_in_steps(self, transaction: Transaction) -> None:
        """The same, one command after each reply, for servers without PIPELINING."""
        steps = transaction.steps
        if reset := self._take_reset():
            steps.append(("rset", (reset.encode(),)))
        steps.append(("mail", (mail_command(transaction, self.capabilities).encode(),)))
        steps.append(("rcpt", (f"RCPT TO:<{transaction.recipient}>\r\n".encode(),)))
        if self._chunking:
            steps.append(("content", (f"BDAT {transaction.size} LAST\r\n".encode(), *transaction.pieces)))
        else:
            steps.append(("data", (b"DATA\r\n",)))
        self._next_step(transaction)

    def _next_step(self, transaction: Transaction) -> None:
        if not transaction.steps:
            return
        if transaction.refusal is not None:
            transaction.steps.clear()
            self._finish(transaction, *transaction.refusal)
            return
        kind, octets = transaction.steps.popleft()
        transaction.content_sent = kind == "content"
        self._awaited.append((kind, transaction))
        self._output.extend(octets)

    def _take_reset(self) -> str:
        """RSET, if the transaction before this one may still be open at the server."""
        reset, self._reset_first = self._reset_first, False
        return "RSET\r\n" if reset else ""

    @property
    def _chunking(self) -> bool:
        return self.capabilities.chunking and self._options.chunking

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
                self._SESSION_REPLIES[kind](self, parse_reply(lines))
            else:
                transaction.answered |= kind != "rset"
                self._TRANSACTION_REPLIES[kind](self, transaction, lines)
        except ReplyError as error:
            if transaction is not None:
                transaction.answered = True  # by a server that lives, and may go on to take what it has been sent
            self._awaited.appendleft((kind, transaction))
            self._close(str(error))
        return not self._deaf

    def _check_nothing_follows(self, *, nothing: bool) -> None:
        """Whoever can write into a clear connection could put replies behind STARTTLS; they must not be believed."""
        if not (nothing or self.closed):
            self._close("octets in the clear behind the reply to STARTTLS")

    def _check_size(self) -> None:
        if len(self._partial) + sum(map(len, self._lines)) > self._max_reply_octets:
            self._close(f"a reply longer than {self._max_reply_octets} octets")

    def _close(self, reason: str, reply: Reply | None = None) -> None:
        if self.closed:
            return
        stage = self._awaited[0][0] if self._awaited else ""
        self.closed = self._deaf = True
        self._partial = b""
        while self._in_hand:
            self._events.append(Lost(self._in_hand.popleft(), _STAGES.get(stage, stage), reason))
        self._awaited.clear()
        self._events.append(Closed(reason, reply))

    # Replies before the first transaction

    def _greeted(self, reply: Reply) -> None:
        if reply.code == 220:
            self._command("ehlo", f"EHLO {self._options.hello_name}\r\n".encode())
        else:
            self._close(f"greeted with {reply}", reply)

    def _ehlo_answered(self, reply: Reply) -> None:
        if reply.is_positive:
            self.capabilities = read_capabilities(reply)
            self._secure()
        elif reply.is_permanent and not self.tls:
            self._command("helo", f"HELO {self._options.hello_name}\r\n".encode())  # RFC 5321 §3.2
        else:
            self._close(f"EHLO answered with {reply}", reply)

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
            self._close("STARTTLS is required and not offered")
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

    # Replies to a transaction

    def _rset_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        reply = parse_reply(lines)
        if reply.code == 421:
            self._awaited.appendleft(("rset", transaction))
            self._close(f"next hop closes: {reply}", reply)
        else:
            self._next_step(transaction)

    def _mail_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        if not self._is_accepted(transaction, "mail", lines):
            transaction.mail_refused = True
        self._next_step(transaction)

    def _rcpt_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        transaction.recipient_accepted = self._is_accepted(transaction, "rcpt", lines)
        self._next_step(transaction)

    def _is_accepted(self, transaction: Transaction, stage: str, lines: Sequence[bytes]) -> bool:
        """Whether MAIL or RCPT was accepted; the first refusal is what the transaction will end with."""
        if len(lines) == 1 and _ACCEPTED.match(lines[0]):
            return True
        reply = parse_reply(lines)
        if reply.is_intermediate:
            raise ReplyError(f"{stage.upper()} answered with {reply}")
        if reply.is_positive:
            return True
        if transaction.refusal is None:
            transaction.refusal = (reply, stage)
        if reply.code == 421:
            transaction.steps.clear()
            self._finish(transaction, *transaction.refusal)
            self._close(f"next hop closes: {reply}", reply)
        return False

    def _data_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        reply = _GO_AHEAD if len(lines) == 1 and lines[0].startswith(b"354 ") else parse_reply(lines)
        if reply.code == 354:
            self._send_content(transaction)
            return
        if reply.code < 400:
            raise ReplyError(f"DATA answered with {reply}")
        self._finish(transaction, *(transaction.refusal or (reply, "data")))
        if reply.code == 421:
            self._close(f"next hop closes: {reply}", reply)

    def _send_content(self, transaction: Transaction) -> None:
        if transaction.refusal is None:
            self._awaited.append(("content", transaction))
            self._output.append(data_content(transaction.pieces))
            transaction.content_sent = True
        elif transaction.recipient_accepted:
            # MAIL refused, RCPT and DATA taken: whatever transaction is open there, it is not ours. Even a lone dot
            # would deliver an empty message in it.
            self._finish(transaction, *transaction.refusal)
            self._close("next hop is out of step: it refused MAIL and took RCPT and DATA")
        else:
            # RFC 2920 §3.1: no recipient is valid, the server wants content all the same: a lone dot ends it.
            self._awaited.append(("content", transaction))
            self._output.append(b".\r\n")

    def _content_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        reply = parse_reply(lines)
        if reply.is_intermediate:
            raise ReplyError(f"content answered with {reply}")
        self._finish(transaction, *(transaction.refusal or (reply, "content")))
        if reply.code == 421:
            self._close(f"next hop closes: {reply}", reply)
        elif reply.is_positive and transaction.mail_refused and transaction.recipient_accepted:
            self._close("next hop is out of step: it refused MAIL and took RCPT and content")

    def _finish(self, transaction: Transaction, reply: Reply, stage: str) -> None:
        if not reply.is_positive:
            self._reset_first = True  # the server may have the envelope still open: it would spoil the next message
        self._in_hand.popleft()
        self._events.append(Finished(transaction, reply, stage))

    _SESSION_REPLIES: ClassVar[Mapping[str, Callable[[ClientProtocol, Reply], None]]] = {
        "greeting": _greeted,
        "ehlo": _ehlo_answered,
        "helo": _helo_answered,
        "starttls": _starttls_answered,
        "auth": _auth_answered,
        "quit": _quit_answered,
    }
    _TRANSACTION_REPLIES: ClassVar[Mapping[str, Callable[[ClientProtocol, Transaction, Sequence[bytes]], None]]] = {
        "rset": _rset_answered,
        "mail": _mail_answered,
        "rcpt": _rcpt_answered,
        "data": _data_answered,
        "content": _content_answered,
    }
