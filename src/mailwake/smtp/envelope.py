"""The envelope of a message: who sends it to whom (RFC 5321 §2.3.1), apart from what its header says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from mailwake.smtp.dsn import NO_REQUEST, DsnRequest, Returned
from mailwake.smtp.verp import verp_sender

BodyType = Literal["7BIT", "8BITMIME", "BINARYMIME"]


@dataclass(slots=True)
class Envelope:
    """Reverse-path, forward-paths and MAIL parameters of one transaction; addresses are without angle brackets."""

    sender: str
    """The reverse-path; "" is the null sender of reports (RFC 5321 §4.5.5)."""

    recipients: list[str] = field(default_factory=list)
    """The accepted forward-paths in the order they came, source routes removed."""

    smtputf8: bool = False
    """Whether the client asked for internationalised mail (RFC 6531)."""

    body: BodyType = "7BIT"
    """The declared body type (RFC 6152, RFC 3030 §3)."""

    parameters: dict[str, str] = field(default_factory=dict)
    """All MAIL parameters as they came, keywords in upper case; "" for those without a value."""

    returned: Returned = ""
    """RET of MAIL (RFC 3461 §4.3)."""

    envelope_id: str = ""
    """ENVID of MAIL, as xtext (RFC 3461 §4.4)."""

    requests: dict[str, DsnRequest] = field(default_factory=dict)
    """What RCPT asked of reports, by recipient; absent are those for whom nothing was asked.

    A recipient named twice has what was asked first, for both copies.
    """

    verp: str = ""
    """XVERP of MAIL: the two delimiters of each copy's own sender address; "" where all have the same."""

    def sender_for(self, recipient: str) -> str:
        """The reverse-path of this recipient's copy."""
        return verp_sender(self.sender, recipient, self.verp, smtputf8=self.smtputf8) if self.verp else self.sender

    def dsn_request(self, recipient: str) -> DsnRequest:
        """All that was asked of reports on this recipient's copy."""
        asked = self.requests.get(recipient, NO_REQUEST)
        if not (self.returned or self.envelope_id):
            return asked
        return replace(asked, returned=self.returned, envelope_id=self.envelope_id)
