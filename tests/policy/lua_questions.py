"""Questions for policies in tests: a connection, a message and its recipient as a phase sees them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import structlog

from mailwake.policy.context import Context
from mailwake.policy.message_view import Message
from mailwake.policy.phases import PHASES, Phase
from mailwake.policy.validation import Accept, Question, ValidationContext

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT = b"""\
From: "Ann, of Sales" <ann+news@Shop.example>\r
To: Bob <bob@gmail.example>, carol+x@other.example\r
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r
X-Campaign: black friday\r
X-Tag: one\r
X-Tag: two\r
X-Raw: caf\xe9\r
\r
Hello there\r
"""
ARGUMENTS = {
    "domain": "client.example",
    "user": "alice",
    "sender": "ann@shop.example",
    "recipient": "bob@gmail.example",
}


class Printed(list[dict[str, Any]]):
    """A log that keeps its lines."""

    def logger(self) -> Any:
        def keep(_logger: Any, level: str, event: Any) -> str:
            self.append({"level": level, **event})
            return ""

        return structlog.wrap_logger(structlog.WriteLogger(io.StringIO()), processors=[keep])


def question(
    phase: Phase = Phase.EACH_RCPT,
    *,
    message: Mapping[str, str] | None = None,
    connection: Mapping[str, str] | None = None,
    content: bytes = CONTENT,
    sender: str = "ann@shop.example",
    recipient: str = "bob@gmail.example",
    tracing: bool = False,
) -> Question:
    """A question of this phase; `message` and `connection` are the variables that are set already."""
    arguments = PHASES[phase].arguments
    before_mail = phase in (Phase.CONNECT, Phase.EHLO, Phase.AUTH)
    view = Message(
        sender=sender,
        recipients=[recipient],
        recipient=recipient if PHASES[phase].once == "recipient" else "",
        content=content if phase in (Phase.DATA, Phase.DATA_SPOOL, Phase.EACH_RCPT) else b"",
        message_id="0001abcd",
        peer="192.0.2.7:40123",
        listener="127.0.0.1:2525",
    )
    argument = next((ARGUMENTS[name] for name in arguments if name in ARGUMENTS), "")
    context = ValidationContext(
        Context(connection or {}), None if before_mail else Context(message or {}), tracing=tracing
    )
    accept = Accept("192.0.2.7", 40123, "127.0.0.1:2525", ehlo_domain="client.example", auth_user="alice", tls=True)
    return Question(phase, context, accept, view if "message" in arguments else None, argument)
