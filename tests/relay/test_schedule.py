"""The retry schedule."""

from __future__ import annotations

import pytest

from mailwake.relay.schedule import DAY, DEFAULT_DELAYS, HOUR, MINUTE, RetrySchedule

_MIDDLE = RetrySchedule(uniform=lambda low, high: (low + high) / 2)


@pytest.mark.parametrize(
    ("attempts", "delay"), [(0, MINUTE), (1, MINUTE), (2, 5 * MINUTE), (5, HOUR), (7, 4 * HOUR), (50, 4 * HOUR)]
)
def test_delays(attempts: int, delay: float) -> None:
    assert _MIDDLE.next_attempt(queued_at=0, attempts=attempts, now=1000) == 1000 + delay


def test_the_last_attempt_is_made_when_the_copy_expires() -> None:
    assert _MIDDLE.next_attempt(queued_at=0, attempts=30, now=5 * DAY - 1) == 5 * DAY
    assert _MIDDLE.next_attempt(queued_at=0, attempts=30, now=5 * DAY) is None


def test_jitter_stays_within_its_share() -> None:
    for pick in (min, max):
        schedule = RetrySchedule(uniform=pick)
        assert schedule.next_attempt(queued_at=0, attempts=1, now=0) == pytest.approx(
            60 * (0.8 if pick is min else 1.2)
        )
    delays = {RetrySchedule().next_attempt(queued_at=0, attempts=1, now=0) for _ in range(50)}
    assert all(delay is not None and 48 <= delay <= 72 for delay in delays)
    assert len(delays) > 1


def test_the_table_only_grows() -> None:
    assert list(DEFAULT_DELAYS) == sorted(DEFAULT_DELAYS)
