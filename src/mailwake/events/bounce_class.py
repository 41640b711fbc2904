"""Why a next hop said no, as one of Momentum's bounce classes, guessed from the enhanced code (RFC 3463)."""

from __future__ import annotations

UNDETERMINED = 1
_BY_ENHANCED_CODE: dict[str, int] = {
    "1.0": 10,
    "1.1": 10,  # bad destination mailbox address: invalid recipient
    "1.2": 21,  # bad destination system address: DNS failure
    "1.3": 10,
    "1.6": 10,  # mailbox has moved
    "1.10": 10,  # null MX (RFC 7505)
    "2.1": 10,  # mailbox disabled
    "2.2": 22,  # mailbox full
    "2.3": 23,  # message too large
    "3.4": 23,
    "4.1": 20,  # no answer from the host: soft bounce
    "4.2": 20,
    "4.3": 21,
    "4.4": 21,  # unable to route
    "4.7": 24,  # delivery time expired
    "7.1": 50,  # refused by policy: mail block
    "7.20": 50,  # no passing DKIM signature (RFC 7372)
    "7.23": 50,  # SPF validation failed
    "7.25": 50,  # reverse DNS validation failed
}


def bounce_class(code: int, enhanced: str) -> int:
    """The class of an SMTP reply: 10 invalid recipient, 22 mailbox full, 50 block, 70 transient, 1 undetermined."""
    known = _BY_ENHANCED_CODE.get(enhanced.partition(".")[2])
    if known is not None:
        return known
    if code // 100 == 4:
        return 70
    return {552: 22, 550: 30}.get(code, UNDETERMINED)
