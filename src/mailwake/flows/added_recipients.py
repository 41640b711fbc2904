"""Recipients from the header: who gets a copy besides those of the envelope, and what each copy's header shows."""

from __future__ import annotations

import re
from email.utils import formataddr, getaddresses
from typing import TYPE_CHECKING, NamedTuple

from mailwake.message.headers import fields, find
from mailwake.message.msys_header import HEADER_NAME, read_msys_header
from mailwake.message.msys_recipients import Mailbox, same_address
from mailwake.policy.message_view import header_end
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailwake.smtp.envelope import Envelope

MOST_COPIES = 65_000
"""Copies of one message: the number of a copy has 16 bits in its message id."""

# A value that may name a list: in the clear, or in encoded-words (RFC 2047), which hide it.
_MAY_ADD = re.compile(rb"\"(?:b?cc|archive)\"|=\?")
# Found much sooner than the field is; without one of them nobody is added.
_MARKS = (b'cc"', b'archive"', b"=?")
_TOO_MANY = Reply(452, "4.5.3", f"Too many copies: recipients and archive copies are limited to {MOST_COPIES}")
_NEEDS_SMTPUTF8 = Reply(550, "5.6.7", "X-MSYS-API: addresses beyond ASCII need SMTPUTF8")


class Addressee(NamedTuple):
    """One copy to be made: for whom, as what, and whose links it carries."""

    address: str
    rcpt_type: str = ""
    """`cc`, `bcc`, `archive`, or "" for a recipient of the envelope."""
    links_of: int = -1
    """The place of the recipient whose links an archive copy carries; -1: its own."""
    added_fields: bytes = b""
    """Header fields that this copy alone has."""


class Addressees(NamedTuple):
    """All copies of a message that has lists in its header."""

    all: Sequence[Addressee]
    cc_field: bytes
    """The Cc field of every copy, which takes the place of any that is there; empty: the message's own stays."""


def addressees(envelope: Envelope, content: bytes) -> Addressees | None:
    """Who gets a copy; None for the great majority of messages, whose header adds nobody. Raises Refusal."""
    header = content[: header_end(content)]
    if not any(mark in header for mark in _MARKS):
        return None
    header_fields = fields(header, 0, len(header))
    ours = find(header_fields, HEADER_NAME)
    values = [content[each.value_start : each.value_end] for each in ours]
    if not any(_MAY_ADD.search(value) for value in values):
        return None
    read = read_msys_header(values)
    if read is None or read.added is None:
        return None
    added = read.added
    everybody = [mailbox.email for mailbox in (*added.cc, *added.bcc, *added.archive)]
    if not envelope.smtputf8 and not all(map(str.isascii, everybody)):
        raise Refusal(_NEEDS_SMTPUTF8, "X-MSYS-API adds addresses beyond ASCII to a transaction without SMTPUTF8")
    known = {same_address(address) for address in envelope.recipients}
    found = [Addressee(address) for address in envelope.recipients]
    found += [Addressee(each.email, "cc") for each in added.cc if same_address(each.email) not in known]
    found += [
        Addressee(each.email, "bcc", added_fields=_field(b"Bcc", [each]))
        for each in added.bcc
        if same_address(each.email) not in known
    ]
    archives = [each for each in added.archive if same_address(each.email) not in known]
    if len(found) + len(archives) * len(envelope.recipients) > MOST_COPIES:
        raise Refusal(_TOO_MANY, f"{len(archives)} archive addresses for {len(envelope.recipients)} recipients")
    found += _archive_copies(archives, len(envelope.recipients))
    shown = [content[each.value_start : each.value_end] for each in find(header_fields, b"Cc")]
    return Addressees(found, _cc_field(shown, added.cc) if added.cc else b"")


def _archive_copies(archives: Sequence[Mailbox], recipients: int) -> Iterator[Addressee]:
    for each in archives:
        for index in range(recipients):
            yield Addressee(each.email, "archive", index)


def _cc_field(present: Sequence[bytes], added: Sequence[Mailbox]) -> bytes:
    """One Cc field with those it names already and those that the lists add (RFC 5322 §3.6: there may be but one)."""
    text = [value.decode("utf-8", "replace").replace("\r\n", "") for value in present]
    named = [Mailbox(email, name) for name, email in getaddresses(text) if email]
    known = {same_address(each.email) for each in named}
    return _field(b"Cc", [*named, *(each for each in added if same_address(each.email) not in known)])


def _field(name: bytes, mailboxes: Sequence[Mailbox]) -> bytes:
    written = [formataddr((each.name, each.email)) if each.email.isascii() else _raw(each) for each in mailboxes]
    return name + b": " + ",\r\n\t".join(written).encode() + b"\r\n"


def _raw(mailbox: Mailbox) -> str:
    quoted = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{mailbox.email}>' if quoted else f"<{mailbox.email}>"
