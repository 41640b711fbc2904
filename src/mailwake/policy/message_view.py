"""The message as policy sees it: envelope, header, text; a header that policy changes is the one that leaves."""

from __future__ import annotations

import re
from email.utils import getaddresses
from typing import TYPE_CHECKING, Literal

from mailwake.message.headers import fields, find
from mailwake.message.summary import domain_of

if TYPE_CHECKING:
    from collections.abc import Sequence


HeaderMode = Literal["replace", "append", "prepend", "delete"]
_FIELD_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]{1,200}")


class Message:
    """One message; in `validate_data_spool_each_rcpt` one recipient's copy, whose changes reach no other."""

    def __init__(
        self,
        *,
        sender: str,
        recipients: Sequence[str],
        recipient: str = "",
        content: bytes = b"",
        message_id: str = "",
        peer: str = "",
        listener: str = "",
    ) -> None:
        self.mailfrom = sender
        """The envelope sender, "" for the null sender."""
        self.recipients = tuple(recipients)
        """The envelope recipients accepted so far."""
        self.rcptto = recipient
        """The recipient that this phase is about; "" in phases that are about none."""
        self.id = message_id
        """The message's number in events, "" before it has one."""
        self.reception_peer = peer
        """The client's address and port."""
        self.listener_addr = listener
        """The address it came in by."""
        self.discarded = ""
        """Why policy threw it away, "" when it did not."""
        self.changed = False
        """Whether policy has changed the header."""
        self._received = content
        split = header_end(content)
        self._header, self._body = content[:split], content[split:]

    @property
    def routing_domain(self) -> str:
        """The domain of the recipient that this phase is about, in lower case."""
        return domain_of(self.rcptto)

    @property
    def size(self) -> int:
        """Octets, with the header as it is now."""
        return len(self._header) + len(self._body)

    @property
    def content(self) -> bytes:
        """The whole message, with the header as it is now."""
        return self._header + self._body if self.changed else self._received

    def header(self, name: str) -> list[str]:
        """The values of all fields of that name, in their order, unfolded and otherwise as they stand."""
        return [value.decode("utf-8", "replace") for value in self.header_octets(name)]

    def header_octets(self, name: str) -> list[bytes]:
        """The same as `header`, without loss where a value is no UTF-8."""
        found = find(fields(self._header, 0, len(self._header)), name.encode("utf-8", "replace"))
        return [each.value(self._header) for each in found]

    def address_header(self, name: str) -> list[tuple[str, str]]:
        """(display name, address) of each address in the fields of that name (RFC 5322 §3.4)."""
        return [pair for pair in getaddresses(self.header(name)) if pair[1]]

    def set_header(self, name: str, value: str = "", mode: HeaderMode = "replace") -> None:
        """Change the header: one field for all of that name, one behind or before all others, or none of that name.

        ValueError for a name that is none, and for a value with a line break, which could start another field.
        """
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"{name[:100]!r} is no name of a header field")
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"the value of {name} has a line break or NUL in it")
        self.changed = True
        field = f"{name}: {value}\r\n".encode("utf-8", "surrogateescape")
        if mode in ("replace", "delete"):
            self._remove(name.encode())
        if mode == "prepend":
            self._header = field + self._header
        elif mode != "delete":
            self._header = self._closed_header() + field

    def text(self) -> str:
        """The message's body as text, as it stands in transit: not decoded."""
        return self._body.removeprefix(b"\r\n").decode("utf-8", "replace")

    def discard(self, reason: str = "discarded by policy") -> None:
        """Accept the message, or this recipient's copy, and throw it away."""
        self.discarded = reason or "discarded by policy"

    def _remove(self, name: bytes) -> None:
        for each in reversed(find(fields(self._header, 0, len(self._header)), name)):
            self._header = self._header[: each.start] + self._header[each.end :]

    def _closed_header(self) -> bytes:
        if not self._header or self._header.endswith(b"\n"):
            return self._header
        return self._header + b"\r\n"


def header_end(content: bytes) -> int:
    """The end of the last header field's line; a message may consist of header fields alone (RFC 5322 §3.5)."""
    if content.startswith(b"\r\n"):
        return 0
    blank = content.find(b"\r\n\r\n")
    return blank + 2 if blank >= 0 else len(content)
