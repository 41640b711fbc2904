"""What may be asked."""

from __future__ import annotations

from typing import Any

import pytest

from mailwake.store.question import MAX_VALUES, Question, QuestionError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"per_page": 0}, "per_page: must be from 1 to 10000"),
        ({"per_page": 10_001}, "per_page: must be from 1 to 10000"),
        ({"recipients": ("a",) * (MAX_VALUES + 1)}, "recipients: at most 1000 values"),
        ({"transmissions": (1 << 64,)}, "transmissions: 18446744073709551616 is out of range"),
        ({"event_ids": (-1,)}, "event_ids: -1 is out of range"),
        ({"campaigns": ("\ud800",)}, r"campaigns: '\\ud800' is no text"),
        ({"tags": ("a\0b",)}, r"tags: 'a\\x00b' is no text"),
        ({"only_customer": "\ud800"}, "customer: "),
    ],
)
def test_what_cannot_be_asked_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        Question(**values)
