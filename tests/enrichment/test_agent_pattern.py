"""How rules name programs."""

from __future__ import annotations

import pytest

from mailwake.enrichment.agent_pattern import agent_matcher, parse_agent


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("Slackbot", ["Slackbot 1.0", "a slackBOT"], ["Slack", ""]),
        ("^curl/", ["curl/8.5", "CURL/8"], ["libcurl/8", ""]),
        ("=Mozilla/5.0", ["Mozilla/5.0"], ["mozilla/5.0", "Mozilla/5.0 (X11)", "Mozilla/5.0\n", ""]),
        ("=", [""], ["a", " "]),
        ("~(?<!cu)bot(?![a-z])", ["Googlebot/2.1", "bot"], ["CUBOT X19", "Botany"]),
        ("a.b*c", ["xa.b*cx"], ["aXbc"]),
    ],
)
def test_a_pattern_finds_what_it_names(pattern: str, matching: list[str], other: list[str]) -> None:
    matches = agent_matcher([parse_agent(pattern)])
    assert [text for text in matching + other if matches(text)] == matching


def test_one_of_several_is_enough_and_they_do_not_disturb_each_other() -> None:
    matches = agent_matcher([parse_agent(text) for text in (r"~(a)\1", r"~(b)\1", "=X", "^y", "|")])
    found = [text for text in ("aa", "bb", "ab", "X", "x", "Yes", "oy", "a|b") if matches(text)]
    assert found == ["aa", "bb", "X", "Yes", "a|b"]


@pytest.mark.parametrize("pattern", ["", " ", "^", "~", "~(", "~a{99999999999}", "~(?P<a"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the kind of setting says what is allowed
        parse_agent(pattern)
