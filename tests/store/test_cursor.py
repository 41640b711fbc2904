"""Cursors are opaque to whoever asks, and hold for one question in one store."""

from __future__ import annotations

import dataclasses
from base64 import urlsafe_b64encode

import msgspec
import pytest

from mailwake.events.model import EventType
from mailwake.store.cursor import PageCursor
from mailwake.store.question import Question, QuestionError

ASKED = Question(since=5, types=(EventType.CLICK,), recipients=("bob@example.org",))
STORE = 77


def cursor_of(question: Question) -> PageCursor:
    return PageCursor(STORE, question.fingerprint(), 12, 3, 1_790_000_000_000, 1 << 62)


def test_what_was_written_is_read_back() -> None:
    cursor = cursor_of(ASKED)
    assert PageCursor.parse(str(cursor), ASKED, STORE) == cursor


def test_the_page_size_may_change_between_pages() -> None:
    other = dataclasses.replace(ASKED, per_page=7, cursor="x")
    assert PageCursor.parse(str(cursor_of(ASKED)), other, STORE) == cursor_of(ASKED)


@pytest.mark.parametrize(
    "change",
    [
        {"since": 6},
        {"recipients": ("bob@example.org", "eve@example.org")},
        {"recipients": (), "campaigns": ("bob@example.org",)},
        {"only_customer": "42"},
        {"types": (EventType.OPEN,)},
    ],
)
def test_another_question_is_refused(change: dict[str, object]) -> None:
    other = dataclasses.replace(ASKED, **change)  # type: ignore[arg-type]  # fields of several types
    with pytest.raises(QuestionError, match="other filters"):
        PageCursor.parse(str(cursor_of(ASKED)), other, STORE)


def test_the_cursor_of_a_store_that_was_rebuilt_is_refused() -> None:
    with pytest.raises(QuestionError, match="rebuilt"):
        PageCursor.parse(str(cursor_of(ASKED)), ASKED, STORE + 1)


def packed(*values: object) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode(values)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "€",
        "'; DROP TABLE events; --",
        "A" * 5000,
        packed(),
        packed(STORE, ASKED.fingerprint(), 12, 3, "1790000000000", 1),
        packed(STORE, ASKED.fingerprint(), 12, 3, 1 << 63, 1),
        packed(STORE, ASKED.fingerprint(), -1, 3, 0, 1),
        str(cursor_of(ASKED))[:-4],
    ],
)
def test_any_other_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(QuestionError, match="none of ours") as refused:
        PageCursor.parse(text, ASKED, STORE)
    assert "\n" not in str(refused.value)
