"""What a sender asks of delivery status notifications (DSN, RFC 3461), for one recipient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Returned = Literal["", "FULL", "HDRS"]


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """The parameters as they stand on the wire; "" is one that was not given."""

    notify: str = ""
    """`NEVER`, or some of `SUCCESS`, `FAILURE` and `DELAY` with commas between them (§4.1), in upper case."""

    original_recipient: str = ""
    """ORCPT: the address type, a semicolon, the address as xtext (§4.2)."""

    returned: Returned = ""
    """RET: whether a report of failure holds the whole message or its header (§4.3)."""

    envelope_id: str = ""
    """ENVID, as xtext (§4.4)."""

    @property
    def on_success(self) -> bool:
        """Whether a report is asked for when the copy has been delivered, or relayed to where DSN ends."""
        return "SUCCESS" in self.notify

    @property
    def on_failure(self) -> bool:
        """Whether a report of failure may be sent: unless the sender said otherwise."""
        return not self.notify or "FAILURE" in self.notify

    @property
    def on_delay(self) -> bool:
        """Whether a report of delay may be sent: §4.1 leaves that to us where the sender said nothing."""
        return not self.notify or "DELAY" in self.notify


NO_REQUEST = DsnRequest()
"""Nothing was asked for."""
