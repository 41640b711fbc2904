"""A search: which events, how many at once, and where to go on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

from mailwake.store.filters import MAX_ID, MAX_VALUES, Filters, QuestionError

__all__ = [
    "DEFAULT_PER_PAGE",
    "INITIAL_CURSOR",
    "MAX_ID",
    "MAX_PER_PAGE",
    "MAX_VALUES",
    "Question",
    "QuestionError",
]

MAX_PER_PAGE = 10_000
DEFAULT_PER_PAGE = 1_000

INITIAL_CURSOR = "initial"
"""The cursor of the first page, as the vendor calls it; "" is the same."""

_NO_FILTERS = ("per_page", "cursor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Filters):
    """A page of the events that fulfil the filters, newest first."""

    per_page: int = DEFAULT_PER_PAGE
    cursor: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.per_page <= MAX_PER_PAGE:
            raise QuestionError(f"per_page: must be from 1 to {MAX_PER_PAGE}")
        Filters.__post_init__(self)

    def fingerprint(self) -> bytes:
        """The same for questions that differ in page size and cursor only."""
        filters = [getattr(self, each.name) for each in fields(self) if each.name not in _NO_FILTERS]
        return hashlib.blake2b(repr(filters).encode(), digest_size=8).digest()
