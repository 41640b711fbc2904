from __future__ import annotations

import pytest

from mailwake.clock import ManualClock
from mailwake.errors import MailwakeError
from mailwake.events.unique_ids import EPOCH, RESERVE_AHEAD_MS, UniqueIdError, UniqueIds, id_milliseconds


class Mark:
    """A durable mark that can fail."""

    def __init__(self) -> None:
        self.ms = -1
        self.calls = 0
        self.error: Exception | None = None

    def reserve(self, ms: int) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.ms = ms


def a_clock() -> ManualClock:
    return ManualClock(EPOCH + 50_000_000.0)


def ids_of(clock: ManualClock, mark: Mark, node: int = 1, slot: int = 0) -> UniqueIds:
    return UniqueIds(node, slot, clock.now, mark.reserve, used_up_to=mark.ms)


def test_an_id_says_when_and_where_it_was_made() -> None:
    clock = ManualClock(EPOCH + 12.345)
    unique_id = ids_of(clock, Mark(), node=0xAB, slot=0x55).next()
    assert unique_id == 12_345 << 22 | 0xAB << 14 | 0x55 << 7
    assert id_milliseconds(unique_id) == EPOCH * 1000 + 12_345


def test_ids_fit_into_63_bits_and_rise() -> None:
    clock = ManualClock(EPOCH + 69 * 365 * 86_400)
    ids = ids_of(clock, Mark(), node=255, slot=127)
    made = [ids.next() for _ in range(1000)]
    assert made == sorted(set(made))
    assert made[-1] < 2**63


def test_200_000_ids_of_several_generators_differ() -> None:
    clock = a_clock()
    generators = [ids_of(clock, Mark(), node, slot) for node in (0, 1, 255) for slot in (0, 1, 127)]
    made: set[int] = set()
    for turn in range(200_000 // len(generators) + 1):
        made.update(ids.next() for ids in generators)
        if turn % 100 == 0:
            clock.advance(0.0004)
    assert len(made) == (200_000 // len(generators) + 1) * len(generators)


def test_more_than_128_ids_in_a_millisecond_borrow_from_the_next() -> None:
    ids = ids_of(ManualClock(EPOCH + 1), Mark())
    made = [ids.next() for _ in range(300)]
    assert len(set(made)) == 300
    assert [id_milliseconds(unique_id) - EPOCH * 1000 for unique_id in (made[127], made[128], made[299])] == [
        1000,
        1001,
        1002,
    ]


def test_a_clock_that_jumps_back_repeats_nothing() -> None:
    clock = a_clock()
    ids = ids_of(clock, Mark())
    made = [ids.next() for _ in range(50)]
    clock.jump(-3600)
    made += [ids.next() for _ in range(500)]
    assert made == sorted(set(made))


def test_a_restart_begins_above_what_may_have_been_used_even_with_the_clock_behind() -> None:
    clock, mark = a_clock(), Mark()
    before = ids_of(clock, mark)
    used = [before.next() for _ in range(1000)]
    clock.jump(-86_400)
    after = ids_of(clock, mark)
    assert min(after.next() for _ in range(1000)) > max(used)


def test_the_mark_runs_ahead_and_is_not_written_for_each_id() -> None:
    clock, mark = a_clock(), Mark()
    ids = ids_of(clock, mark)
    for _ in range(10_000):
        clock.advance(0.001)
        assert id_milliseconds(ids.next()) - EPOCH * 1000 <= mark.ms
    assert mark.calls == pytest.approx(10_000 / RESERVE_AHEAD_MS, abs=1)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MailwakeError("broken")])
def test_no_id_is_given_out_beyond_a_mark_that_could_not_be_written(error: Exception) -> None:
    clock, mark = a_clock(), Mark()
    ids = ids_of(clock, mark)
    first = ids.next()
    mark.error = error
    assert ids.next() == first + 1  # still below the mark
    clock.advance(RESERVE_AHEAD_MS / 1000 + 1)
    for _ in range(3):
        with pytest.raises(UniqueIdError, match="no unique id can be made"):
            ids.next()
    mark.error = None
    assert ids.next() > first + 1


def test_a_clock_before_the_epoch_still_gives_ids() -> None:
    ids = ids_of(ManualClock(0.0), Mark())
    made = [ids.next() for _ in range(300)]
    assert made == sorted(set(made))
    assert made[0] >= 0


def test_a_clock_beyond_41_bits_gives_none_and_spoils_nothing() -> None:
    clock, mark = a_clock(), Mark()
    ids = ids_of(clock, mark)
    first = ids.next()
    reserved = mark.ms
    clock.jump(100 * 365 * 86_400)
    with pytest.raises(UniqueIdError, match="clock"):
        ids.next()
    assert mark.ms == reserved
    clock.jump(-100 * 365 * 86_400)
    assert ids.next() == first + 1


@pytest.mark.parametrize(("node", "slot"), [(-1, 0), (256, 0), (0, -1), (0, 128)])
def test_nodes_and_slots_out_of_range_are_refused(node: int, slot: int) -> None:
    with pytest.raises(ValueError, match="must be 0 to"):
        UniqueIds(node, slot, a_clock().now, Mark().reserve)
