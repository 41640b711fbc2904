"""The bounds a server sets to its clients; none has a default here, as each is a decision of the operator."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How much of everything one connection may use; each at least 1."""

    command_line: int
    """Octets of a command line, CRLF included; RFC 5321 §4.5.3.1.4 asks for 512 and more with extensions."""

    auth_line: int
    """Octets of an AUTH command or of a response in its exchange, CRLF included; RFC 4954 §4 asks for 12288.

    A trusted peer's XSETCONTEXT may be as long.
    """

    text_line: int
    """Octets of a line of a message, CRLF included; RFC 5321 §4.5.3.1.6 has 1000, real mail has more."""

    message_size: int
    """Octets of a message (SIZE, RFC 1870)."""

    recipients: int
    """Recipients of a message; RFC 5321 §4.5.3.1.8 asks for 100."""

    errors: int
    """Bad commands and failed log-ins of a connection with no message accepted since; one more ends it with 421.

    Bad addresses do not count, however many a list has of them.
    """

    buffered: int
    """Octets that may wait while a decision is pending; above it the transport should pause reading."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"limit {field.name} must be at least 1")
