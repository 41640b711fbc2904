"""What is said of events: programs, proxies, places, machine or person; and files that change meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.enrichment.bench import AGENTS, Bench, event
from tests.enrichment.mmdb_writer import write_mmdb

from mailwake.config.enrichment_settings import Enrichment
from mailwake.enrichment.contract import HOLD_SECONDS
from mailwake.enrichment.enricher import Enricher
from mailwake.errors import StartupError
from mailwake.events.model import Event, EventType
from mailwake.links.body import HONEYPOT_NAME
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeBench = Callable[..., Bench]

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)"


def links(*times: float, **fields: Any) -> list[Event]:
    """Clicks on as many different links."""
    return [event(at=at, target_link_url=f"https://shop.example/{n}", **fields) for n, at in enumerate(times)]


def verdicts(events: list[Event]) -> list[bool | None]:
    return [each.is_bot for each in events]


def test_a_person_with_a_browser(bench: Bench) -> None:
    found = bench.judge(event())
    assert (found.agent_family, found.os_family, found.os_version) == ("Chrome", "Windows", "10")
    assert (found.is_mobile, found.is_proxy, found.is_prefetched, found.is_bot) == (False, False, False, False)
    assert (found.bot_reason, found.bot_confidence, found.country) == ("", None, "")


@pytest.mark.parametrize("kind", [each for each in EventType if each.group == "message_event"])
def test_message_events_stay_as_they_are(bench: Bench, kind: EventType) -> None:
    one = event(kind)
    assert bench.judge(one) is one


def test_an_image_proxy_is_no_machine_of_its_own_and_tells_nothing_of_the_device(bench: Bench) -> None:
    found = bench.judge(event(EventType.OPEN, user_agent=GMAIL))
    assert (found.is_proxy, found.is_prefetched, found.is_bot) == (True, False, False)
    assert (found.agent_family, found.os_family, found.is_mobile) == ("GmailImageProxy", "", None)


def test_a_proxy_that_comes_with_the_delivery_has_fetched_ahead(bench: Bench) -> None:
    delivery = event(EventType.DELIVERY, at=600)
    _, soon, later = bench.judged(
        delivery, event(EventType.OPEN, 601, user_agent=GMAIL), event(EventType.OPEN, 900, user_agent=GMAIL)
    )
    assert (soon.is_prefetched, later.is_prefetched) == (True, False)
    assert (soon.is_bot, later.is_bot) == (False, False)


def test_apple_fetches_ahead_and_a_link_is_never_followed_so(bench: Bench) -> None:
    opened, clicked = bench.judged(
        event(EventType.INITIAL_OPEN, user_agent="Mozilla/5.0"), event(user_agent="Mozilla/5.0")
    )
    assert (opened.is_proxy, opened.is_prefetched, opened.is_bot) == (True, True, False)
    assert (clicked.is_proxy, clicked.is_bot, clicked.bot_reason) == (False, True, "no_user_agent")


def test_the_mark_of_a_browser_that_prefetches_stays(bench: Bench) -> None:
    found = bench.judge(event(is_prefetched=True))
    assert (found.is_prefetched, found.is_proxy, found.is_bot) == (True, False, False)


def test_one_program_can_be_a_person_in_an_open_and_a_machine_in_a_click(bench: Bench) -> None:
    assert bench.judge(event(EventType.OPEN, user_agent=OUTLOOK)).is_bot is False
    clicked = bench.judge(event(user_agent=OUTLOOK))
    assert (clicked.is_bot, clicked.bot_reason) == (True, "link_check")


def test_a_provider_that_unsubscribes_for_a_person_is_no_machine(bench: Bench) -> None:
    found = bench.judge(event(EventType.LIST_UNSUBSCRIBE, at=0.5, user_agent="Go-http-client/2.0"))
    assert found.is_bot is False


def test_several_links_at_once_flag_the_first_of_them_too(bench: Bench) -> None:
    found = bench.judged(*links(3600, 3600.7, 3602), *links(3604.1))
    assert verdicts(found) == [True, True, True, False]
    assert {each.bot_reason for each in found[:3]} == {"several_links_at_once"}
    assert bench.count("events_bot_total", "click", "several_links_at_once") == 3


def test_two_links_at_once_are_suspicious_alone_and_a_machine_just_after_delivery(bench: Bench) -> None:
    _, *soon = bench.judged(event(EventType.DELIVERY, 10, copy=1), *links(20, 20.5, copy=1))
    assert verdicts(soon) == [True, True]
    later = bench.judged(*links(3600, 3600.5))
    assert verdicts(later) == [False, False]
    assert [each.bot_confidence for each in later] == [0.4, 0.4]
    assert [each.bot_reason for each in later] == ["several_links_at_once"] * 2


def test_one_link_many_times_is_one_link(bench: Bench) -> None:
    assert verdicts(bench.judged(*[event(at=3600 + n / 10) for n in range(9)])) == [False] * 9


def test_the_links_of_different_copies_are_not_added_up(bench: Bench) -> None:
    events = [event(at=3600 + n / 10, copy=n, target_link_url=f"https://e.example/{n}") for n in range(5)]
    assert verdicts(bench.judged(*events)) == [False] * 5


def test_an_anonymous_link_is_not_judged_by_what_others_do_with_theirs(bench: Bench) -> None:
    assert verdicts(bench.judged(*links(3600, 3600.1, 3600.2, rcpt_to=""))) == [False] * 3


@pytest.mark.parametrize(("after", "is_bot", "confidence"), [(0.9, True, 0.9), (3, False, 0.4), (5, False, None)])
def test_a_click_before_anybody_could_have_the_mail(
    bench: Bench, after: float, is_bot: bool, confidence: float | None
) -> None:
    _, found = bench.judged(event(EventType.DELIVERY, 7200), event(at=7200 + after))
    assert (found.is_bot, found.bot_confidence) == (is_bot, confidence)


def test_a_click_before_the_delivery_that_is_about_to_be_noted(bench: Bench) -> None:
    found, _ = bench.judged(event(at=7199.5), event(EventType.DELIVERY, 7200))
    assert (found.is_bot, found.bot_reason) == (True, "before_anybody_could")


def test_a_deferred_copy_may_have_arrived_all_the_same(bench: Bench) -> None:
    _, found, _ = bench.judged(event(EventType.DELAY, 60), event(at=119), event(EventType.DELIVERY, 120))
    assert found.is_bot is False


def test_without_a_delivery_the_time_counts_from_the_message(bench: Bench) -> None:
    assert verdicts(bench.judged(event(at=0.5), event(at=60, copy=1))) == [True, False]
    assert bench.judge(event(at=60, copy=2, injection_time=event(at=59.5).timestamp)).is_bot is True


def test_a_head_of_the_same_address_then_a_get(bench: Bench) -> None:
    one = event()
    for address in ("192.0.2.200", one.ip_address):
        bench.enricher.observe_head(one.message_id, one.target_link_url, address, one.timestamp - 3000)
        found = bench.judge(one)
        assert found.is_bot is (address == one.ip_address)
    assert found.bot_reason == "head_then_get"


def test_where_addresses_are_not_kept_nothing_is_said_to_be_of_one(bench: Bench) -> None:
    one = event(ip_address="")
    bench.enricher.observe_head(one.message_id, one.target_link_url, "", one.timestamp - 3000)
    image = event(EventType.OPEN, 3600, ip_address="", copy=1)
    found = bench.judged(one, image, *links(3600, 3600.2, 3600.4, ip_address="", copy=1))
    assert verdicts(found) == [False, False, True, True, True]


def test_heads_of_other_links_count_as_links_asked_for(bench: Bench) -> None:
    one = event()
    for number in range(2):
        bench.enricher.observe_head(one.message_id, f"https://other.example/{number}", "192.0.2.9", one.timestamp)
    assert bench.judge(one).bot_reason == "several_links_at_once"


def test_the_hidden_link_and_what_is_followed_around_it(bench: Bench) -> None:
    around = [event(at=3600 + shift, ip_address="192.0.2.1") for shift in (-3, -2, 8, 11)]
    trap = event(at=3600, target_link_name=HONEYPOT_NAME, target_link_url="https://track.example/")
    image = event(EventType.OPEN, 3601)
    found = bench.judged(around[0], around[1], trap, image, around[2], around[3])
    assert verdicts(found) == [False, True, True, True, True, False]
    assert {each.bot_reason for each in found if each.is_bot} == {"honeypot"}
    assert found[2].bot_confidence == 0.99


def test_an_anonymous_hidden_link_speaks_for_itself_alone(bench: Bench) -> None:
    trap = event(rcpt_to="", target_link_name=HONEYPOT_NAME)
    assert verdicts(bench.judged(trap, event(rcpt_to=""))) == [True, False]


def test_what_was_never_observed_is_judged_by_what_is_known(bench: Bench) -> None:
    assert bench.enricher.complete(event(target_link_name=HONEYPOT_NAME)).is_bot is True
    assert bench.enricher.complete(event()).is_bot is False


def test_the_verdict_does_not_hang_on_how_far_the_journal_was_read(make_bench: MakeBench) -> None:
    events = [event(EventType.DELIVERY, 10), *links(11, 12, 13), *links(20, 20.4), event(at=24, target_link_name="x")]
    events += [event(at=25, target_link_name=HONEYPOT_NAME), *links(25.1, 40)]
    at_once = make_bench().judged(*events)
    step_by_step, other = [], make_bench()
    waiting = list(events)
    for each in events:
        while waiting[0].timestamp + HOLD_SECONDS * 1000 < each.timestamp:
            step_by_step.append(other.enricher.complete(waiting.pop(0)))
        other.enricher.observe(each)
    step_by_step += [other.enricher.complete(each) for each in waiting]
    assert step_by_step == at_once
    assert {each.is_bot for each in at_once[1:]} == {True, False}


CHOICES = st.tuples(
    st.integers(0, 40),  # tenths of a second since the event before
    st.integers(0, 2),  # the copy
    st.sampled_from((EventType.CLICK, EventType.CLICK, EventType.OPEN, EventType.DELIVERY)),
    st.integers(0, 4),  # the link; the last is the hidden one
    st.sampled_from(("192.0.2.1", "192.0.2.2", "209.222.82.1")),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CHOICES, max_size=16), st.integers(0, 3600))
def test_a_journal_of_hours_that_is_read_at_once_is_judged_as_ever(
    choices: list[tuple[int, int, EventType, int, str]], pause: int
) -> None:
    events, at = [], 10.0
    for number, (tenths, copy, kind, link, address) in enumerate(choices):
        at += tenths / 10 + (pause if number == len(choices) // 2 else 0)
        fields = {"ip_address": address, "target_link_url": f"https://e.example/{link}"} if kind.value < 17 else {}
        events.append(event(kind, at, copy=copy, target_link_name=HONEYPOT_NAME if link == 4 else "", **fields))
    at_once, in_time = Bench(Enrichment()).judged(*events), []
    enricher, waiting = Bench(Enrichment()).enricher, list(events)
    for each in events:
        while waiting[0].timestamp + HOLD_SECONDS * 1000 < each.timestamp:
            in_time.append(enricher.complete(waiting.pop(0)))
        enricher.observe(each)
    in_time += [enricher.complete(each) for each in waiting]
    assert in_time == at_once


def test_own_rules_are_asked_too_and_read_anew_when_they_change(tmp_path: Path, make_bench: MakeBench) -> None:
    rules = tmp_path / "rules.toml"
    text = '[[rule]]\nname = "office"\nevents = ["click"]\nnetworks = ["198.51.100.0/24"]\nconfidence = {}\n'
    rules.write_text(text.format(0.6))
    bench = make_bench(bot_rules=rules)
    assert bench.judge(event()).bot_reason == "office"
    bench.enricher.reload_if_changed()
    assert bench.count("enrichment_reloads_total", "bot rules", "accepted") == 0
    rules.write_text(text.format(0.25))
    bench.enricher.reload_if_changed()
    assert (bench.judge(event()).is_bot, bench.judge(event()).bot_confidence) == (False, 0.25)
    rules.write_text("nonsense = 1")
    bench.enricher.reload_if_changed()
    bench.enricher.reload_if_changed()
    rules.unlink()
    bench.enricher.reload_if_changed()
    assert bench.judge(event()).bot_confidence == 0.25
    assert bench.count("enrichment_reloads_total", "bot rules", "accepted") == 1
    assert bench.count("enrichment_reloads_total", "bot rules", "refused") == 2
    rules.write_text("")
    bench.enricher.reload_if_changed()
    assert bench.judge(event()).bot_confidence is None


def test_a_shipped_rule_can_be_switched_off(tmp_path: Path, make_bench: MakeBench) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nname = "http-tools"\nenabled = false\n')
    assert make_bench(bot_rules=rules).judge(event(user_agent="curl/8")).is_bot is False
    assert make_bench().judge(event(user_agent="curl/8")).is_bot is True


def test_places_are_said_and_read_anew_but_not_of_a_proxy(tmp_path: Path, make_bench: MakeBench) -> None:
    database = tmp_path / "places.mmdb"
    database.write_bytes(write_mmdb({"198.51.100.0/24": {"country": {"iso_code": "AT"}}}))
    bench = make_bench(geoip_database=database)
    assert bench.judge(event()).country == "AT"
    assert bench.judge(event(ip_address="203.0.113.1")).country == ""
    assert bench.judge(event(EventType.OPEN, user_agent=GMAIL)).country == ""
    database.write_bytes(b"half a database")
    bench.enricher.reload_if_changed()
    assert bench.judge(event()).country == "AT"
    new = tmp_path / "new.mmdb"
    new.write_bytes(write_mmdb({"198.51.100.0/24": {"country": {"iso_code": "CH"}}}))
    os.replace(new, database)
    bench.enricher.reload_if_changed()
    assert bench.judge(event()).country == "CH"
    assert bench.count("enrichment_reloads_total", "database of places", "refused") == 1


def test_what_must_go_on_does_without_a_bad_file_until_it_is_good(tmp_path: Path) -> None:
    rules, places = tmp_path / "rules.toml", tmp_path / "places.mmdb"
    places.write_bytes(b"damaged")
    both, metrics = Enrichment(bot_rules=rules, geoip_database=places), Metrics()
    enricher = Enricher(both, make_logger("json", "error"), metrics, goes_on=True, agents=AGENTS)
    assert enricher.complete(event(user_agent="curl/8")).bot_reason == "http_tool"
    assert enricher.complete(event()).country == ""
    enricher.reload_if_changed()
    rules.write_text('[[rule]]\nname = "http-tools"\nenabled = false\n')
    places.write_bytes(write_mmdb({"198.51.100.0/24": {"country": {"iso_code": "AT"}}}))
    enricher.reload_if_changed()
    assert enricher.complete(event(user_agent="curl/8")).is_bot is False
    assert enricher.complete(event()).country == "AT"
    for what in ("bot rules", "database of places"):
        assert metrics.counter("enrichment_reloads_total", what, "refused").value == 1
        assert metrics.counter("enrichment_reloads_total", what, "accepted").value == 1


@pytest.mark.parametrize("setting", ["bot_rules", "geoip_database"])
def test_a_file_that_cannot_be_used_at_the_start_is_one_line(tmp_path: Path, setting: str) -> None:
    given_files: dict[str, Any] = {setting: tmp_path / "none"}
    with pytest.raises(StartupError, match=r"none: .*cannot be read: No such file") as error:
        Enricher(Enrichment(**given_files), make_logger("json", "error"), Metrics(), agents=AGENTS)
    assert "\n" not in str(error.value)
