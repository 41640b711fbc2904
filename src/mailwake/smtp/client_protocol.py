"""The client's side of SMTP and LMTP without a socket: bytes from the server in, bytes for it and events out.

Any number of commands may be on their way (PIPELINING, RFC 2920), and where the server takes BDAT (RFC 3030) any number
of transactions, one behind the other. What each reply leads to is the table at the end of this module.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from mailwake.smtp.client_events import Finished, Lost
from mailwake.smtp.client_opening import ClientOpening
from mailwake.smtp.client_transaction import Transaction, data_content, mail_command, rcpt_command, refuse_locally
from mailwake.smtp.replies import Reply, ReplyError, parse_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.smtp.client_handshake import ClientOptions

_ACCEPTED = re.compile(rb"2[0-9][0-9](?: |\Z)")

_GO_AHEAD = Reply(354, "", "")

_STAGES = {"rset": "mail"}
"""RSET belongs to the transaction that it goes in front of."""


class ClientProtocol(ClientOpening):
    """One connection's client side: greeting, EHLO, STARTTLS, AUTH, then transactions.

    Feed it `receive_data` and `connection_lost`; after each call of any method, take all of `next_event` and write
    `data_to_send`. A reply longer than `max_reply_octets` is a violation, as is anything else out of step: the
    connection is then given up, never guessed about.

    With BDAT several transactions may be in flight. Each but the first then begins with RSET: the one before may fail
    and leave its envelope open, and the next message would go to its recipient as well.
    """

    def __init__(self, options: ClientOptions, *, max_reply_octets: int) -> None:
        super().__init__(options, max_reply_octets=max_reply_octets)
        self._in_hand: deque[Transaction] = deque()
        self._heard = False
        self._reset_first = False

    def __repr__(self) -> str:
        awaited = " ".join(kind for kind, _ in self._awaited)
        state = "closed" if self.closed else "ready" if self._ready else "opening"
        return f"<ClientProtocol {state} in_hand={len(self._in_hand)} awaited=[{awaited}]>"

    @property
    def awaited(self) -> str:
        """What the next reply is to: "greeting", "hello" (EHLO or LHLO), "starttls" and so on; "" for none."""
        return self._awaited[0][0] if self._awaited else ""

    @property
    def takes_several(self) -> bool:
        """Whether a transaction can be sent while others are in flight.

        Not with LMTP: whether a refused recipient's content is answered differs there between DATA and BDAT and, with
        BDAT, between servers (RFC 2033 §4.2 and §4.3), so the content must wait for the reply to RCPT.
        """
        return self.capabilities.pipelining and self.capabilities.chunking and not self._options.lmtp

    def send(self, transaction: Transaction) -> None:
        """Start a transaction: when `idle`, or ready and `takes_several`. Its end comes as `Finished` or `Lost`."""
        if not (self.idle or (self._ready and not self.closed and self.takes_several)):
            raise RuntimeError(f"{self!r} cannot take a transaction now")
        refusal = refuse_locally(transaction, self.capabilities)
        if refusal is not None:
            self._events.append(Finished(transaction, refusal, "mail", own=True))
            return
        reset = self._reset_first or bool(self._in_hand)
        if not self._in_hand:
            self._heard = False
        self._in_hand.append(transaction)
        if self.takes_several:
            self._send_whole(transaction, reset=reset)
        elif self.capabilities.pipelining and transaction.body != "BINARYMIME":
            self._send_up_to_data(transaction, reset=reset)
        else:
            self._send_in_steps(transaction, reset=reset)

    # Sending

    def _send_whole(self, transaction: Transaction, *, reset: bool) -> None:
        """Envelope and content in one write (RFC 3030 §4.1)."""
        if reset:
            self._awaited.append(("rset", transaction))
        self._awaited.extend((("mail", transaction), ("rcpt", transaction), ("content", transaction)))
        self._output.append(f"{self._envelope(transaction, reset=reset)}BDAT {transaction.size} LAST\r\n".encode())
        self._output.extend(transaction.pieces)
        transaction.content_sent = True

    def _send_up_to_data(self, transaction: Transaction, *, reset: bool) -> None:
        """The envelope and DATA in one write (RFC 2920 §3.1)."""
        if reset:
            self._awaited.append(("rset", transaction))
        self._awaited.extend((("mail", transaction), ("rcpt", transaction), ("data", transaction)))
        self._output.append(f"{self._envelope(transaction, reset=reset)}DATA\r\n".encode())

    def _envelope(self, transaction: Transaction, *, reset: bool) -> str:
        offered = self.capabilities
        commands = mail_command(transaction, offered) + rcpt_command(transaction, offered)
        return f"RSET\r\n{commands}" if reset else commands

    def _send_in_steps(self, transaction: Transaction, *, reset: bool) -> None:
        """The same, one command after each reply, for servers without PIPELINING."""
        steps, offered = transaction.steps, self.capabilities
        if reset:
            steps.append(("rset", (b"RSET\r\n",)))
        steps.append(("mail", (mail_command(transaction, offered).encode(),)))
        steps.append(("rcpt", (rcpt_command(transaction, offered).encode(),)))
        if offered.chunking:
            steps.append(("content", (f"BDAT {transaction.size} LAST\r\n".encode(), *transaction.pieces)))
        else:
            steps.append(("data", (b"DATA\r\n",)))
        self._next_step(transaction)

    def _next_step(self, transaction: Transaction) -> None:
        if transaction.refusal is not None:
            transaction.steps.clear()
            self._finish(transaction, *transaction.refusal)
            return
        kind, octets = transaction.steps.popleft()
        transaction.content_sent = kind == "content"
        self._awaited.append((kind, transaction))
        self._output.extend(octets)

    # Receiving

    def _take_transaction_reply(self, kind: str, transaction: Transaction, lines: Sequence[bytes]) -> None:
        self._heard |= kind != "rset"
        try:
            self._TRANSACTION_REPLIES[kind](self, transaction, lines)
        except ReplyError:
            self._heard = True  # from a server that lives, and may go on to take what it has been sent
            raise

    def _lose_in_hand(self, reason: str, reply: Reply | None) -> None:
        stages = {id(transaction): kind for kind, transaction in reversed(self._awaited)}
        behind_421 = reply is not None and reply.code == 421
        while self._in_hand:
            transaction = self._in_hand.popleft()
            stage = stages.get(id(transaction), "")
            lost = Lost(transaction, _STAGES.get(stage, stage), reason, self._heard, behind_421)
            self._events.append(lost)

    def _rset_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        if not (len(lines) == 1 and _ACCEPTED.match(lines[0])):
            reply = parse_reply(lines)
            if reply.code == 421:
                self._awaited.appendleft(("rset", transaction))
                self._close(f"next hop closes: {reply}", reply)
                return
        self._reset_first = False
        if transaction.steps:
            self._next_step(transaction)

    def _mail_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        if not self._is_accepted(transaction, "mail", lines):
            transaction.mail_refused = True
        if transaction.steps:
            self._next_step(transaction)

    def _rcpt_answered(self, transaction: Transaction, lines: Sequence[bytes]) -> None:
        transaction.recipient_accepted = self._is_accepted(transaction, "rcpt", lines)
        if transaction.steps:
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
        elif self._options.lmtp:
            # RFC 2033 §4.2 has 503 here. Content would be answered once for each recipient taken, that is never.
            self._finish(transaction, *transaction.refusal)
            self._close("next hop is out of step: it refused the recipient and took DATA")
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

    _TRANSACTION_REPLIES: ClassVar[Mapping[str, Callable[[ClientProtocol, Transaction, Sequence[bytes]], None]]] = {
        "rset": _rset_answered,
        "mail": _mail_answered,
        "rcpt": _rcpt_answered,
        "data": _data_answered,
        "content": _content_answered,
    }
