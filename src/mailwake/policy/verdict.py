"""What policy says of a phase: go on, skip the policies that follow, or refuse with a reply of its own."""

from __future__ import annotations

import re
from enum import Enum

from mailwake.errors import MailwakeError
from mailwake.smtp.replies import Reply

_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?:[ \t]+|\Z)")


class Verdict(Enum):
    """What a policy function returns when it refuses nothing; the names are Momentum's without `VALIDATE_`."""

    CONT = "continue"
    """Ask the next policy."""
    DONE = "done"
    """Skip the remaining policies of this phase."""


CONT, DONE = Verdict.CONT, Verdict.DONE


class PolicyError(MailwakeError):
    """A policy that cannot be loaded, or that did what it may not: one line that names file, line and phase."""


def refusal(code: int, text: str) -> Reply:
    """The reply with this code and text; an enhanced code may stand at the beginning of the text (RFC 2034).

    Raises PolicyError for a code that refuses nothing (4xx and 5xx do), or of another class than the enhanced code.
    """
    if not 400 <= code <= 599:
        raise PolicyError(f"a refusal needs a code from 400 to 599, not {code}")
    found = _ENHANCED.match(text)
    if found is None:
        return Reply(code, "", text or "Refused by policy")
    if int(found[1]) != code // 100:
        raise PolicyError(f"the code {code} and the enhanced code {found[0].strip()} are of different classes")
    return Reply(code, found[0].strip(), text[found.end() :] or "Refused by policy")
