"""Which events are meant: what searches and reports have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from mailwake.events.model import EventType

MAX_VALUES = 1_000
"""Values that one filter may have."""

MAX_ID = (1 << 64) - 1


class QuestionError(MailwakeError):
    """A question that cannot be asked so; its text is one line, fit for the answer 400."""


class Cut(Enum):
    """Whose engagement is meant; each holds less than the one before it. The value is its place in metric names."""

    ALL = ""
    NOT_PREFETCHED = "nonprefetched_"
    """Without what a mail program or proxy fetched before anybody looked (`is_prefetched`)."""
    PEOPLE = "human_"
    """Without that, and without machines (`is_bot`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
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
    link_names: tuple[str, ...] = ()
    """Of `target_link_name`; only clicks have one."""
    link_urls: tuple[str, ...] = ()
    """Of `target_link_url`."""
    cut: Cut = Cut.ALL

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, tuple):
                check_values(each.name, value)
        if self.only_customer is not None:
            check_values("customer", (self.only_customer,))


def check_values(name: str, values: tuple[object, ...]) -> None:
    """QuestionError when there are too many, or one that no event can have."""
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
