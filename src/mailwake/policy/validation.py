"""What a policy function is given beside the message: the client (`accept`) and both contexts (`context`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.policy.verdict import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.policy.context import Context
    from mailwake.policy.message_view import Message
    from mailwake.policy.phases import Phase
    from mailwake.smtp.replies import Reply


@dataclass(frozen=True, slots=True)
class Accept:
    """Who is at the other end of the connection."""

    remote_ip: str
    remote_port: int
    listener: str
    """The address that the client connected to, as configured."""
    ehlo_domain: str = ""
    auth_user: str = ""
    tls: bool = False

    def __str__(self) -> str:
        return self.remote_ip


class ValidationContext:
    """The context variables of connection and message, and the refusal that policy has asked for, if any."""

    def __init__(self, connection: Context, message: Context | None = None, *, tracing: bool = False) -> None:
        self.connection = connection
        """Shared by all messages of the connection."""
        self.message = message
        """The message's, or in `validate_data_spool_each_rcpt` the recipient's; None before MAIL FROM."""
        self.reply: Reply | None = None
        """The refusal asked for with `set_code` or `disconnect`."""
        self.disconnecting = False
        """Whether the connection is to be closed after it."""
        self.tracing = tracing
        """Whether it is noted which line of which policy sets a variable: then the policy's host sets `origin`."""

    @property
    def origin(self) -> Callable[[], str] | None:
        """Says which line of which policy is running."""
        return self.connection.origin

    @origin.setter
    def origin(self, origin: Callable[[], str] | None) -> None:
        self.connection.origin = origin
        if self.message is not None:
            self.message.origin = origin

    def get(self, name: str) -> str | None:
        """The message's variable, else the connection's, else None."""
        value = self.message.get(name) if self.message is not None else None
        return self.connection.get(name) if value is None else value

    def set(self, name: str, value: str) -> None:
        """Set a variable of the message; before MAIL FROM, of the connection. TypeError for anything but text."""
        self.set_in(self.connection if self.message is None else self.message, name, value)

    def set_in(self, context: Context, name: str, value: str) -> None:
        """Set a variable in one of the two contexts."""
        context.set(name, value)

    def set_code(self, code: int, text: str = "") -> None:
        """Refuse with this code (4xx, 5xx) and text, which may begin with an enhanced code; 2xx takes a refusal back.

        PolicyError for other codes.
        """
        self.reply = None if 200 <= code <= 299 else refusal(code, text)

    def disconnect(self, code: int = 421, text: str = "4.7.0 Closing connection by policy") -> None:
        """Refuse with this code and text, and close the connection after it. PolicyError as for `set_code`."""
        self.reply = refusal(code, text)
        self.disconnecting = True


@dataclass(frozen=True, slots=True)
class Question:
    """One phase for one connection, message or recipient: what every policy that has this phase is asked."""

    phase: Phase
    context: ValidationContext
    accept: Accept
    message: Message | None = None
    argument: str = ""
    """The domain of EHLO, the account, the sender or the recipient, in the phases that are about one."""

    @property
    def values(self) -> dict[str, object]:
        """The arguments of policy functions by the names of the table of phases."""
        return {
            "accept": self.accept,
            "context": self.context,
            "message": self.message,
            **dict.fromkeys(("domain", "user", "sender", "recipient"), self.argument),
        }
