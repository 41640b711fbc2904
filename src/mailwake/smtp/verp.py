"""Variable envelope return paths, as Postfix has them (VERP_README): a sender address of its own for each recipient.

What comes back to `owner+user=domain@origin` says by its address alone that `user@domain` could not be reached.
"""

from __future__ import annotations

from mailwake.smtp.addresses import AddressError, parse_address

DEFAULT_DELIMITERS = "+="
_POSSIBLE = frozenset("-=+")


def is_verp(value: str) -> bool:
    """Whether XVERP may have this value: nothing, or the two delimiters."""
    return value == "" or (len(value) == 2 and set(value) <= _POSSIBLE)


def verp_sender(sender: str, recipient: str, delimiters: str, *, smtputf8: bool) -> str:
    """The sender's address for this recipient's copy.

    The sender itself where that would be no address: too long (RFC 5321 §4.5.3.1), or with a quoted string inside. A
    report then says less by its address, and the copy still arrives.
    """
    owner, _, origin = sender.rpartition("@")
    user, at, domain = recipient.rpartition("@")
    named = f"{user}{delimiters[1]}{domain}" if at else recipient
    try:
        return parse_address(f"{owner}{delimiters[0]}{named}@{origin}", smtputf8=smtputf8)
    except AddressError:
        return sender
