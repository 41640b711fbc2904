"""The pauses of a next hop that cannot be reached."""

from random import Random

import pytest

from mailwake.relay.hop_health import FIRST_PAUSE, JITTER, LONGEST_PAUSE, HopHealth


class NoJitter(Random):
    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def test_a_hop_that_was_never_tried_is_up_and_usable() -> None:
    health = HopHealth(Random(1))
    assert health.up
    assert health.usable(0.0)
    assert not health.begins()


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_success() -> None:
    health, now, pauses = HopHealth(NoJitter()), 100.0, []
    for _ in range(9):
        health.failed(now, now)
        pauses.append(health.resumes_at - now)
        now = health.resumes_at
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    health.works()
    assert health.up
    health.failed(now, now)
    assert health.resumes_at - now == pytest.approx(FIRST_PAUSE)


def test_attempts_that_were_already_on_their_way_do_not_lengthen_the_pause() -> None:
    health = HopHealth(NoJitter())
    health.failed(10.0, 12.0)
    for ended in (12.1, 13.5, 30.0):
        health.failed(11.0, ended)
    assert health.resumes_at == pytest.approx(13.0)


def test_jitter_stays_within_its_share_and_differs() -> None:
    ends = set()
    for seed in range(200):
        health = HopHealth(Random(seed))
        health.failed(0.0, 0.0)
        ends.add(health.resumes_at)
    assert len(ends) == 200
    assert FIRST_PAUSE * (1 - JITTER) <= min(ends) < FIRST_PAUSE < max(ends) <= FIRST_PAUSE * (1 + JITTER)
    assert LONGEST_PAUSE > FIRST_PAUSE


def test_one_attempt_probes_after_the_pause_and_the_others_stay_away() -> None:
    health = HopHealth(NoJitter())
    health.failed(0.0, 0.0)
    assert not health.usable(0.9)
    assert health.usable(1.0)
    assert health.begins()
    assert not health.usable(1.0)
    assert not health.begins()
    health.probed()
    assert health.usable(1.0)
    health.works()
    assert health.usable(0.0)
    assert not health.begins()
