"""When policy is asked, and with what: the phases of 3-policy.md as a table, for Python and Lua alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal


class Phase(StrEnum):
    """The phases in the order in which a message meets them; the values are the names of policy functions."""

    CONNECT = "validate_connect"
    EHLO = "validate_ehlo"
    AUTH = "validate_auth"
    MAILFROM = "validate_mailfrom"
    RCPTTO = "validate_rcptto"
    DATA = "validate_data"
    DATA_SPOOL = "validate_data_spool"
    EACH_RCPT = "validate_data_spool_each_rcpt"


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """One row: when the phase comes, what its function is given, and what a refusal says that names no code."""

    when: str
    arguments: tuple[str, ...]
    """In the order of Momentum's Lua callouts; `self` of a Lua module is not counted."""
    once: Literal["connection", "message", "recipient"]


PHASES: Mapping[Phase, PhaseFacts] = MappingProxyType(
    {
        Phase.CONNECT: PhaseFacts(
            "A client has connected; nothing has been said.",
            ("accept", "context"),
            "connection",
        ),
        Phase.EHLO: PhaseFacts("EHLO or HELO.", ("domain", "accept", "context"), "connection"),
        Phase.AUTH: PhaseFacts(
            "AUTH, after name and password were found right.",
            ("user", "accept", "context"),
            "connection",
        ),
        Phase.MAILFROM: PhaseFacts("MAIL FROM.", ("sender", "accept", "context"), "message"),
        Phase.RCPTTO: PhaseFacts("RCPT TO.", ("message", "recipient", "accept", "context"), "recipient"),
        Phase.DATA: PhaseFacts(
            "The message has come, and nothing was looked at yet.",
            ("message", "accept", "context"),
            "message",
        ),
        Phase.DATA_SPOOL: PhaseFacts(
            "validate_data let the message pass.", ("message", "accept", "context"), "message"
        ),
        Phase.EACH_RCPT: PhaseFacts(
            "The message has come; asked for each recipient, with a message context of its own. Tracking follows.",
            ("message", "accept", "context"),
            "recipient",
        ),
    }
)
"""Every phase, in order."""
