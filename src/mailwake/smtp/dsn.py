"""What a sender asks of delivery status notifications (DSN, RFC 3461), for one recipient."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mailwake.smtp.xtext import XtextError, decode_xtext, normal_xtext

LONGEST_ENVELOPE_ID = 100
"""Characters of ENVID (RFC 3461 §4.4)."""
LONGEST_ORIGINAL_RECIPIENT = 500
"""Characters of ORCPT (RFC 3461 §4.2)."""

_CONDITIONS = ("SUCCESS", "FAILURE", "DELAY")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*+/?^_`{|}~-]++")  # an atom; "=" cannot stand in a parameter
# RFC 6533 §3: the address in ASCII, other characters as \x{HEX}. In xtext's own way "+" and "=" would be written.
_UTF8_CHARACTER = r"\\x\{(?:[1-9A-F][0-9A-F]|[1-9A-F][0-9A-F]{2,4}|10[0-9A-F]{4})\}"
_UTF8_ADDRESS = re.compile(rf"(?:[!-*,-<>-\[\]-~]|{_UTF8_CHARACTER})++")
_UTF8_UNSAFE = re.compile(r"[^!-*,-<>-\[\]-~]")

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


def is_notify(value: str) -> bool:
    """Whether NOTIFY may have this value (RFC 3461 §4.1)."""
    names = value.upper().split(",")
    return names == ["NEVER"] or (len(set(names)) == len(names) and set(names) <= set(_CONDITIONS))


def is_envelope_id(value: str) -> bool:
    """Whether ENVID may have this value: xtext of printable ASCII (RFC 3461 §4.4)."""
    return len(value) <= LONGEST_ENVELOPE_ID and _is_printable_xtext(value)


def is_original_recipient(value: str) -> bool:
    """Whether ORCPT may have this value (RFC 3461 §4.2, RFC 6533 §3)."""
    kind, _, address = value.partition(";")
    if len(value) > LONGEST_ORIGINAL_RECIPIENT or _ADDRESS_TYPE.fullmatch(kind) is None:
        return False
    if kind.lower() != "utf-8":
        return _is_printable_xtext(address)
    return address.isprintable() and _UTF8_ADDRESS.fullmatch(_utf8_in_ascii(address)) is not None


def request_of(notify: str, original_recipient: str) -> DsnRequest:
    """What the parameters of one RCPT ask, once they have been found good; "" for one that was not given."""
    kind, semicolon, address = original_recipient.partition(";")
    # Written in ASCII it can go to any next hop, and means the same (RFC 6533 §3).
    address = _utf8_in_ascii(address) if kind.lower() == "utf-8" else normal_xtext(address)
    return DsnRequest(notify.upper(), f"{kind}{semicolon}{address}")


def _is_printable_xtext(value: str) -> bool:
    try:
        meant = decode_xtext(value)
    except XtextError:
        return False
    return meant != "" and meant.isascii() and meant.isprintable()


def _utf8_in_ascii(address: str) -> str:
    if address.isascii():
        return address
    return _UTF8_UNSAFE.sub(lambda found: rf"\x{{{ord(found[0]):X}}}", address)
