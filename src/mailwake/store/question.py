"""What may be asked of a store: which events, how many at once, and where to go on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from mailwake.events.model import EventType

MAX_PER_PAGE = 10_000
DEFAULT_PER_PAGE = 1_000
MAX_VALUES = 1_000
"""Values that one filter may have."""

INITIAL_CURSOR = "initial"
"""The cursor of the first page, as the vendor calls it; "" is the same."""

MAX_ID = (1 << 64) - 1
_NO_FILTERS = ("per_page", "cursor")


class QuestionError(MailwakeError):
    """A question that cannot be asked so; its text is one line, fit for the answer 400."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Events that fulfil all filters; a filter without values lets everything through, with several, any of them.

    Text is compared exactly, recipients and domains in lower case. QuestionError for values that nothing can have.
    """

    since: int | None = None
    """The first Unix millisecond, inclusive."""
    until: int | None = None
    """The Unix millisecond behind the last, exclusive."""
    types: tuple[EventType, ...] = ()
    event_ids: tuple[int, ...] = ()
    recipients: tuple[str, ...] = ()
    recipient_domains: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    transmissions: tuple[int, ...] = ()
    customers: tuple[str, ...] = ()
    """What the asker wants to see."""
    only_customer: str | None = None
    """What the asker may see; None is everything. Both hold."""
    tags: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    from_addresses: tuple[str, ...] = ()
    """Of `friendly_from`."""
    sending_domains: tuple[str, ...] = ()
    bounce_classes: tuple[int, ...] = ()
    per_page: int = DEFAULT_PER_PAGE
    cursor: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.per_page <= MAX_PER_PAGE:
            raise QuestionError(f"per_page: must be from 1 to {MAX_PER_PAGE}")
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, tuple):
                _check(each.name, value)
        if self.only_customer is not None:
            _check("customer", (self.only_customer,))

    def fingerprint(self) -> bytes:
        """The same for questions that differ in page size and cursor only."""
        filters = [getattr(self, each.name) for each in fields(self) if each.name not in _NO_FILTERS]
        return hashlib.blake2b(repr(filters).encode(), digest_size=8).digest()


def _check(name: str, values: tuple[object, ...]) -> None:
    if len(values) > MAX_VALUES:
        raise QuestionError(f"{name}: at most {MAX_VALUES} values")
    for value in values:
        if isinstance(value, int) and not 0 <= value <= MAX_ID:
            raise QuestionError(f"{name}: {value} is out of range")
        if isinstance(value, str) and not _is_text(value):
            raise QuestionError(f"{name}: {value!r} is no text")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a surrogate without its half
        return False
    return "\0" not in value
