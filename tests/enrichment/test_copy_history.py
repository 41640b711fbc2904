"""What is remembered of the requests of a copy, for how long, and how much at most."""

from __future__ import annotations

from mailwake.enrichment.copy_history import ARRIVALS_KEPT, LOOK_AHEAD_MS, REQUESTS_KEPT, CopyHistory

HOUR = 3_600_000


def test_links_are_counted_in_the_best_stretch_around_a_moment() -> None:
    history = CopyHistory(HOUR)
    for link, time in ((1, 0), (2, 1600), (3, 2500), (3, 2600), (4, 3500)):
        history.followed("m", link, "a", time)
    assert history.links_around("m", 0, 2000, None) == 2
    assert history.links_around("m", 1600, 2000, None) == 3  # 2, 3 and 4, once each
    assert history.links_around("m", 2500, 1500, None) == 2  # 2 and 3, or 3 and 4: never all three
    assert history.links_around("m", 10_000, 2000, None) == 0
    assert history.links_around("other", 0, 2000, None) == 0


def test_links_of_one_address_are_counted_alone_where_that_is_asked() -> None:
    history = CopyHistory(HOUR)
    for link, address in ((1, "a"), (2, "b"), (3, "a")):
        history.followed("m", link, address, link)
    assert history.links_around("m", 2, 2000, None) == 3
    assert history.links_around("m", 2, 2000, "a") == 2


def test_links_are_counted_for_a_moment_without_a_request_too() -> None:
    history = CopyHistory(HOUR)
    for link in range(3):
        history.followed("m", link, "a", 1000 + link)
    assert history.links_around("m", 500, 2000, None) == 3
    assert history.links_around("m", 3001, 2000, None) == 2


def test_a_head_counts_for_its_link_and_address_and_for_a_while() -> None:
    history = CopyHistory(HOUR)
    history.followed("m", 1, "a", 1000, head=True)
    history.followed("m", 2, "a", 1000)
    assert history.head_before("m", 1, "a", 1000, 500)
    assert history.head_before("m", 1, "a", 1500, 500)
    assert not history.head_before("m", 1, "a", 1501, 500)
    assert not history.head_before("m", 1, "a", 999, 500)
    assert not history.head_before("m", 1, "b", 1000, 500)
    assert not history.head_before("m", 2, "a", 1000, 500)
    assert not history.head_before("n", 1, "a", 1000, 500)


def test_the_first_moment_a_copy_may_have_arrived_counts() -> None:
    history = CopyHistory(HOUR)
    history.delivered("m", 1000)
    history.delivered("m", 5000)
    assert history.delivery_time("m", 6000) == 1000
    history.delivered("m", 900)  # a worker's file that was read later
    assert history.delivery_time("m", 6000) == 900
    for moment in range(10_000, 20_000, 100):
        history.delivered("m", moment)
    assert (
        history.delivery_time("m", 30_000) == 20_000 - 100 * ARRIVALS_KEPT
    )  # there is a limit to what one copy leaves


def test_a_moment_before_the_horizon_is_as_if_it_was_forgotten() -> None:
    history = CopyHistory(1000)
    history.delivered("m", 0)
    assert history.delivery_time("m", 1000) == 0
    assert history.delivery_time("m", 1001) is None
    history.delivered("m", 5000)
    assert history.delivery_time("m", 500) == 0
    assert history.delivery_time("m", 4000) == 5000


def test_what_comes_long_after_an_event_says_nothing_of_it() -> None:
    history = CopyHistory(HOUR)
    history.delivered("m", LOOK_AHEAD_MS + 1)
    assert history.delivery_time("m", 0) is None
    assert history.delivery_time("m", 1) == LOOK_AHEAD_MS + 1
    history.trapped("m", "a", LOOK_AHEAD_MS + 1)
    assert not history.honeypot_near("m", 0, 500, None)
    assert history.honeypot_near("m", 1, 500, None)
    assert history.honeypot_near("m", LOOK_AHEAD_MS + 501, 500, "a")
    assert not history.honeypot_near("m", LOOK_AHEAD_MS + 502, 500, None)
    assert not history.honeypot_near("m", 1, 500, "b")


def test_what_is_old_is_forgotten() -> None:
    history = CopyHistory(1000)
    history.followed("m", 1, "a", 0)
    history.delivered("m", 0)
    history.trapped("m", "a", 0)
    for number in range(100):
        history.followed(f"n{number}", 1, "a", 1001)
        history.delivered(f"n{number}", 1001)
        history.trapped(f"n{number}", "a", 1001)
    assert len(history) == 303  # nobody has been judged yet, and who will be may need it
    history.judged(1001)
    history.followed("o", 1, "a", 1002)
    history.delivered("o", 1002)
    history.trapped("o", "a", 1002)
    assert len(history) == 303
    assert history.delivery_time("m", 0) is None


def test_a_copy_that_is_asked_for_again_and_again_is_kept_while_others_go() -> None:
    history = CopyHistory(1000)
    for time in range(0, 5000, 500):
        history.followed("m", time, "a", time)
        history.followed(str(time), 1, "a", time)
        history.judged(time)
    assert len(history) == 5  # m, and the others of the last second or so
    assert history.links_around("m", 4500, 2000, None) == 5


def test_what_comes_much_too_late_is_forgotten_at_once() -> None:
    history = CopyHistory(1000)
    history.judged(1_000_000)
    history.followed("m", 1, "a", 5)
    history.delivered("m", 5)
    history.trapped("m", "a", 5)
    assert len(history) == 0


def test_there_is_a_limit_to_copies_and_to_requests_of_each() -> None:
    history = CopyHistory(HOUR, copies=10)
    for number in range(1000):
        history.followed(str(number), 1, "a", 0)
        history.followed("m", number, "a", 0)
        history.delivered(str(number), 0)
        history.trapped(str(number), "a", 0)
    assert len(history) == 30
    assert history.links_around("m", 0, 1, None) == REQUESTS_KEPT
