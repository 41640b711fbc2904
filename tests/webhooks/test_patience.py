"""When a failed batch is tried again, and when it is given up."""

from __future__ import annotations

import pytest

from mailwake.webhooks.patience import Patience, read_retry_after

HOUR = 3600.0
NOW = 1_790_000_000.0


def patience(uniform: float = 1.0) -> Patience:
    return Patience((5, 10, 600), 4 * HOUR, uniform=lambda low, high: min(max(uniform, low), high))


@pytest.mark.parametrize(
    ("attempts", "due", "failing", "retry_after", "expected"),
    [
        (1, 0, 0, None, 5),
        (2, 0, 0, None, 10),
        (3, 0, 0, None, 600),
        (99, 0, 0, None, 600),
        (1, 0, 0, 90.0, 90),
        (3, 0, 0, 90.0, 600),
        (1, 0, 0, 1e9, HOUR),
        (3, 4 * HOUR - 60, 4 * HOUR - 60, None, 60),  # the last attempt is made when the time is over
        (3, 4 * HOUR, 4 * HOUR, None, None),
        (1, 9 * HOUR, 0, None, 5),  # old, but its target has only begun to fail
        (1, 0, 9 * HOUR, None, 5),  # young, and its target has failed for long
        (1, 9 * HOUR, 4 * HOUR, None, None),  # what has piled up: one attempt
        (1, 9 * HOUR, 4 * HOUR - 2, None, 2),
    ],
)
def test_the_pause_after_a_failure(
    attempts: int, due: float, failing: float, retry_after: float | None, expected: float | None
) -> None:
    given = patience().pause(
        attempts=attempts, due=NOW - due, failing_since=NOW - failing, now=NOW, retry_after=retry_after
    )
    assert given == expected


def test_pauses_are_varied_by_a_fifth_both_ways() -> None:
    for uniform, expected in ((0.0, 8.0), (2.0, 12.0)):
        assert patience(uniform).pause(attempts=2, due=NOW, failing_since=NOW, now=NOW) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("99999999999999999999", 999_999_999.0),
        ("Mon, 21 Sep 2026 14:15:00 GMT", 1_790_000_100.0 - NOW),
        ("Mon, 21 Sep 2020 14:15:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Mon, 99 Foo 2026", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected: float | None) -> None:
    assert read_retry_after(text, NOW) == expected
