"""`cc`, `bcc` and `archive` of the `X-MSYS-API` header: recipients that the sender adds to those of the envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mailwake.smtp.addresses import AddressError, parse_address
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ADDED = 1000
"""Addresses in the three lists together."""


class Mailbox(NamedTuple):
    """An address, and the name that people see beside it."""

    email: str
    name: str = ""


class AddedRecipients(NamedTuple):
    """The three lists; each address stands in them once, the first time that it came."""

    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()
    archive: Sequence[Mailbox] = ()


def read_added(fields: dict[str, Any]) -> AddedRecipients | None:
    """The lists of a header's JSON object, None when it has none of them.

    An entry is an address, or an object with `email` and perhaps `name`. Raises Refusal for a list or entry of another
    type, for what is no address, and for more than 1,000 entries.
    """
    if not fields.keys() & set(AddedRecipients._fields):
        return None
    lists = [_mailboxes(name, fields.get(name, [])) for name in AddedRecipients._fields]
    if sum(map(len, lists)) > MOST_ADDED:
        raise _refused(f"X-MSYS-API 'cc', 'bcc' and 'archive' are limited to {MOST_ADDED} addresses")
    seen: set[str] = set()
    return AddedRecipients(*[[each for each in mailboxes if _is_new(each.email, seen)] for mailboxes in lists])


def _mailboxes(name: str, value: Any) -> list[Mailbox]:
    if not isinstance(value, list):
        raise _refused(f"X-MSYS-API '{name}' must be of type 'json array'")
    return [_mailbox(name, entry) for entry in value]


def _mailbox(name: str, entry: Any) -> Mailbox:
    email, shown = (entry.get("email"), entry.get("name", "")) if isinstance(entry, dict) else (entry, "")
    if not isinstance(email, str) or not isinstance(shown, str):
        raise _refused(f"X-MSYS-API '{name}' must hold strings, or objects with 'email' and 'name'")
    try:
        return Mailbox(parse_address(email, smtputf8=True), " ".join(shown.split()))
    except AddressError as error:
        raise _refused(f"X-MSYS-API '{name}' holds what is no address") from error


def _is_new(email: str, seen: set[str]) -> bool:
    known = same_address(email) in seen
    seen.add(same_address(email))
    return not known


def same_address(email: str) -> str:
    """What is the same for two spellings of one address: the domain's case means nothing (RFC 5321 §2.4)."""
    local_part, at, domain = email.rpartition("@")
    return local_part + at + domain.lower()


def _refused(text: str) -> Refusal:
    return Refusal(Reply(550, "5.6.0", text), text)
