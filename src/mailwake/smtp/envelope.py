"""The envelope of a message: who sends it to whom (RFC 5321 §2.3.1), apart from what its header says."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Envelope:
    """Reverse-path, forward-paths and MAIL parameters of one transaction; addresses are without angle brackets."""

    sender: str
    """The reverse-path; "" is the null sender of reports (RFC 5321 §4.5.5)."""

    recipients: list[str] = field(default_factory=list)
    """The accepted forward-paths in the order they came, source routes removed."""

    smtputf8: bool = False
    """Whether the client asked for internationalised mail (RFC 6531)."""

    body: str = "7BIT"
    """The declared body type: "7BIT" or "8BITMIME" (RFC 6152)."""

    parameters: dict[str, str] = field(default_factory=dict)
    """All MAIL parameters as they came, keywords in upper case; "" for those without a value."""
