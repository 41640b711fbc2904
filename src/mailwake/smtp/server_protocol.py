"""The server's side of an SMTP session: octets in, decisions asked for, octets out. It knows no socket and no clock.

The transport's part is one loop, and one write for all replies of a pipelined group:

    protocol.receive_data(data)
    while (event := protocol.next_event()) is not None:
        protocol.reply(await decide(event))
    transport.write(protocol.data_to_send())

While it is `overfull` there is more to do once the replies were taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mailwake.smtp import server_replies as replies
from mailwake.smtp.data_body import BareNewlines, ContentRules
from mailwake.smtp.extensions import EVERY_EXTENSION, Extension
from mailwake.smtp.replies import Reply
from mailwake.smtp.sasl import MECHANISMS
from mailwake.smtp.server_decisions import settle
from mailwake.smtp.server_events import (
    Answer,
    Authenticate,
    Connected,
    DumpContext,
    Event,
    Hello,
    MailFrom,
    MessageData,
    MessageReplies,
    Quit,
    RcptTo,
    RemoteAddress,
    SetContext,
    StartTLS,
    XClient,
)
from mailwake.smtp.server_input import STEPS
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.server_session import Session, SessionOptions
from mailwake.smtp.states import TRUSTED_VERBS, State

__all__ = [
    "Answer",
    "Authenticate",
    "Connected",
    "DumpContext",
    "Event",
    "Extension",
    "Hello",
    "MailFrom",
    "MessageData",
    "MessageReplies",
    "Quit",
    "RcptTo",
    "RemoteAddress",
    "ServerLimits",
    "ServerProtocol",
    "SetContext",
    "StartTLS",
    "State",
    "XClient",
]


UNSENT_OCTETS = 65_536
"""Replies may be many times as long as their commands: of those that nobody takes, no more are made than this."""


class ServerProtocol:
    """One session (RFC 5321); what is illegal it answers itself, what is legal it asks about, one event at a time."""

    __slots__ = ("_eof", "_session")

    def __init__(
        self,
        hostname: str,
        limits: ServerLimits,
        *,
        starttls: bool = False,
        auth_mechanisms: Sequence[str] = (),
        auth_requires_tls: bool = True,
        extensions: Collection[Extension] = EVERY_EXTENSION,
        trusted_verbs: Iterable[str] = (),
        bare_newlines: BareNewlines = "reject",
        tls: bool = False,
        lmtp: bool = False,
    ) -> None:
        """`tls` says that the connection is encrypted from its beginning; `extensions`: see `offer`.

        `lmtp`: LMTP is spoken (RFC 2033): LHLO for EHLO and HELO, and a message is answered for each recipient.

        `trusted_verbs`: those of TRUSTED_VERBS that are offered to this peer.
        """
        if unknown := set(auth_mechanisms) - set(MECHANISMS):
            raise ValueError(f"unknown AUTH mechanisms: {', '.join(sorted(unknown))}")
        trusted = frozenset(TRUSTED_VERBS & set(trusted_verbs))
        options = SessionOptions(hostname, limits, starttls, tuple(auth_mechanisms), auth_requires_tls, trusted, lmtp)
        self._session = Session(options, ContentRules(limits.message_size, limits.text_line, bare_newlines), tls)
        self._session.offer(extensions)
        self._eof = False

    def offer(self, extensions: Collection[Extension]) -> None:
        """What the client may use from now on; STARTTLS and AUTH only where they were made possible at the beginning.

        Who the client is, and with that what it may do, can change with XCLIENT, XREMOTEIP and AUTH.
        """
        self._session.offer(extensions)

    def receive_data(self, data: bytes) -> None:
        """Take octets from the client; while TLS is being started there must be none, see `tls_established`."""
        session = self._session
        if session.state is State.TLS and data:
            session.close(replies.INJECTION)
        if session.state is not State.CLOSING:
            session.input.octets += data

    def receive_eof(self) -> None:
        """The client sends no more: what it sent whole is still answered, a message it did not finish is none."""
        self._eof = True

    def next_event(self) -> Event | None:
        """The next thing to decide; None while one is pending, when more input is needed, and at the end.

        It is also None while the protocol is `overfull`: then take its replies, and ask again once they were sent.
        """
        session = self._session
        if session.pending is not None:
            return None
        while session.pending is None and session.unsent < UNSENT_OCTETS and STEPS[session.state](session):
            pass
        if session.pending is None and self._eof and not self.overfull:
            session.finish()
        return session.pending

    def reply(self, reply: Answer) -> None:
        """Answer the event that `next_event` returned last: 2xx accepts it. Once `closing`, this does nothing.

        Raises RuntimeError when no event is pending, and ValueError for a 3xx, which decides nothing, or for replies
        that do not fit: several to anything but a message in LMTP, more or fewer than it has recipients.
        """
        session = self._session
        if session.state is State.CLOSING:
            return
        event = session.pending
        if event is None:
            raise RuntimeError("there is no event to reply to")
        if reply.is_intermediate:
            raise ValueError(f"{reply} decides nothing")
        if isinstance(reply, MessageReplies) and not self._fits(reply, event):
            raise ValueError(f"{len(reply.each)} replies do not fit {event!r:.100}")
        session.pending = None
        settle(session, event, reply)

    def _fits(self, replies: MessageReplies, event: Event) -> bool:
        recipients = len(event.envelope.recipients) if isinstance(event, MessageData) else 0
        return self._session.options.lmtp and 0 < recipients == len(replies.each)

    def accept(self) -> None:
        """Answer the pending event with the positive reply that is customary for it."""
        pending = self._session.pending
        if pending is not None:
            self.reply(replies.CUSTOMARY.get(type(pending)) or self._greeting(pending))

    def close(self, reply: Reply) -> None:
        """End the session unasked, with a reply such as 421 4.4.2 at a timeout; a pending event is given up."""
        if self._session.state is not State.CLOSING:
            self._session.close(reply)

    def hang_up(self) -> None:
        """End the session after the replies that were given; nothing more is said."""
        if self._session.state is not State.CLOSING:
            self._session.finish()

    def data_to_send(self) -> bytes:
        """All replies that were not taken yet, for one write."""
        output = self._session.output
        octets = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        self._session.unsent = 0
        return octets

    def tls_established(self) -> None:
        """The handshake that a StartTLS began is done: the session starts anew (RFC 3207 §4.2).

        Call it before the first decrypted octets are given to `receive_data`: what comes between the 220 and this
        call is taken for plaintext that somebody injected, and ends the session. Raises RuntimeError in other states.
        """
        session = self._session
        if session.state is not State.TLS:
            raise RuntimeError(f"no TLS handshake in state {session.state}")
        session.tls = True
        session.authenticated = None
        session.state = State.CONNECTED
        session.reset()

    def log_in(self, account: str) -> None:
        """The client has proved by other means than AUTH that it is this account, so that AUTH is not offered."""
        self._session.authenticated = account

    @property
    def state(self) -> State:
        """Where the session stands; it moves when an event is decided."""
        return self._session.state

    @property
    def pending(self) -> Event | None:
        """The event that waits for its reply."""
        return self._session.pending

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self._session.tls

    @property
    def authenticated(self) -> str | None:
        """The account whose log-in was accepted."""
        return self._session.authenticated

    @property
    def closing(self) -> bool:
        """Whether the connection is to be closed once `data_to_send` is written."""
        return self._session.state is State.CLOSING

    @property
    def buffered(self) -> int:
        """Octets that came and were not consumed."""
        return len(self._session.input.octets)

    @property
    def held(self) -> int:
        """Octets in memory: those that were not consumed, and the chunks (BDAT) of a message that is not whole."""
        chunks = self._session.chunks
        return len(self._session.input.octets) + (chunks.held if chunks is not None else 0)

    @property
    def overfull(self) -> bool:
        """Whether so many replies wait to be sent that no more commands are looked at."""
        return not self.closing and self._session.unsent >= UNSENT_OCTETS

    @property
    def wants_data(self) -> bool:
        """False while reading should be paused: a decision is pending and enough waits behind it, or all is over."""
        session = self._session
        return not self.closing and (session.pending is None or self.buffered <= session.options.limits.buffered)

    @property
    def idle(self) -> bool:
        """Whether the session can be ended without interrupting a message or a decision."""
        return self._session.state in _BETWEEN and self._session.pending is None and self.buffered == 0

    def __repr__(self) -> str:
        session = self._session
        facts = [str(session.state)]
        if session.tls:
            facts.append("TLS")
        if session.authenticated is not None:
            facts.append(f"as {session.authenticated!r}")
        if session.envelope is not None:
            facts.append(f"recipients={len(session.envelope.recipients)}")
        if session.pending is not None:
            facts.append(f"deciding {type(session.pending).__name__}")
        return f"<ServerProtocol {' '.join(facts)} buffered={self.buffered}>"

    def _greeting(self, event: Event) -> Reply:
        hostname = self._session.options.hostname
        protocol = "LMTP" if self._session.options.lmtp else "ESMTP"
        return Reply(220, "", f"{hostname} {protocol}") if isinstance(event, Connected) else Reply(250, "", hostname)


_BETWEEN = frozenset({State.GREETING, State.REFUSED, State.CONNECTED, State.READY, State.CLOSING})
