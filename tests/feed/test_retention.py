"""What may be deleted: the table of cases, and that nobody loses what it has not read, whatever the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.feed.contract import Position
from mailwake.feed.retention import Limits, StoredSegment, decide

DAY = 86_400
# Four segments of 100 octets, begun 40, 30, 20 and 10 days ago; the last one is in use.
NOW = 100 * DAY * 1000
SEGMENTS = [StoredSegment(number, NOW - (50 - 10 * number) * DAY * 1000, 100) for number in range(1, 5)]
READ_ALL = {"store": Position(4, 50)}


@pytest.mark.parametrize(
    ("keep_days", "max_octets", "positions", "deleted", "held"),
    [
        (365, 0, READ_ALL, [], {}),
        (15, 0, READ_ALL, [1, 2], {}),  # the second is as old as the third's beginning
        (25, 0, READ_ALL, [1], {}),
        (0, 0, READ_ALL, [1, 2, 3], {}),
        (0, 0, {}, [1, 2, 3], {}),  # nobody reads
        (365, 400, READ_ALL, [], {}),
        (365, 399, READ_ALL, [1], {}),
        (365, 150, READ_ALL, [1, 2, 3], {}),
        (365, 1, READ_ALL, [1, 2, 3], {}),
        (0, 0, {"slow": Position(2, 99), "store": Position(4, 0)}, [1], {"slow": 200}),
        (0, 0, {"slow": Position(2, 100)}, [1, 2], {"slow": 100}),
        (0, 0, {"new": Position(0, 0)}, [], {"new": 300}),
        (0, 0, {"a": Position(1, 99), "b": Position(3, 0)}, [], {"a": 300, "b": 100}),
        (365, 399, {"slow": Position(1, 0)}, [], {"slow": 100}),
        (365, 0, {"slow": Position(1, 0)}, [], {}),  # what is not due is held by nobody
    ],
)
def test_what_goes_and_who_holds_it(
    keep_days: int, max_octets: int, positions: dict[str, Position], deleted: list[int], held: dict[str, int]
) -> None:
    assert decide(SEGMENTS, positions, Limits(keep_days * DAY, max_octets), NOW) == (deleted, held)


@pytest.mark.parametrize(("wanted", "deleted"), [(0, []), (1, [1]), (100, [1]), (101, [1, 2]), (10**9, [1, 2, 3])])
def test_a_disk_that_is_nearly_full_takes_what_it_needs(wanted: int, deleted: list[int]) -> None:
    assert decide(SEGMENTS, READ_ALL, Limits(365 * DAY), NOW, octets_wanted=wanted).delete == deleted


@pytest.mark.parametrize("segments", [[], SEGMENTS[:1]])
def test_the_last_segment_stays(segments: list[StoredSegment]) -> None:
    assert decide(segments, {}, Limits(0, 1), NOW, octets_wanted=10**9) == ([], {})


@given(
    sizes=st.lists(st.integers(20, 300), max_size=12),
    places=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 300)), max_size=4),
    keep=st.integers(0, 20),
    max_octets=st.integers(0, 3000),
    wanted=st.integers(0, 3000),
)
def test_nobody_loses_what_it_has_not_read(
    sizes: list[int], places: list[tuple[int, int]], keep: int, max_octets: int, wanted: int
) -> None:
    segments = [StoredSegment(number + 1, NOW - (12 - number) * 1000, size) for number, size in enumerate(sizes)]
    positions = {str(index): Position(*place) for index, place in enumerate(places)}
    verdict = decide(segments, positions, Limits(keep, max_octets), NOW, octets_wanted=wanted)
    assert verdict.delete == [segment.number for segment in segments][: len(verdict.delete)]
    assert len(verdict.delete) < max(1, len(segments))
    for segment in segments[: len(verdict.delete)]:
        assert all(position >= (segment.number, segment.octets) for position in positions.values())
