"""Files of bot rules: what stands in them, what is wrong with them and where, and how two become one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.enrichment.rule_file import RuleFileError, merged, parse_rules, read_rules, shipped_rules
from mailwake.enrichment.rule_tables import JUDGED

CURL = '[[rule]]\nname = "curl"\nevents = ["click"]\nagents = ["curl"]\n'


def test_the_shipped_rules_are_in_order_and_leave_one_click_unsubscribes_alone() -> None:
    rules = shipped_rules()
    assert rules.threshold == 0.5
    assert len(rules.rule) > 15
    assert all("list_unsubscribe" not in (rule.events or ()) for rule in rules.rule)
    assert all(rule.networks is None or rule.source for rule in rules.rule)


def test_every_judged_event_can_be_named() -> None:
    events = ", ".join(f'"{name}"' for name in JUDGED)
    (rule,) = parse_rules(f'[[rule]]\nname="a"\nagents=["x"]\nevents=[{events}]', "f").rule
    assert rule.events == tuple(JUDGED)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rule = 1", "f:1: rule: 1 cannot be used here; write tables [[rule]]"),
        ("x = [", "f: not TOML: "),
        (CURL + "agent = 1", "f:5: rule.0.agent: unknown setting; did you mean 'agents'?"),
        (CURL + "confidence = 2", "f:5: rule.0.confidence: 2 cannot be used; give a number from 0 to 1"),
        (CURL.replace("click", "klick"), "f:3: rule.0.events: ['klick'] cannot be used; give a list that is not"),
        (CURL + 'networks = ["10.0.0.1/8"]', "f:5: rule.0.networks: "),
        (CURL + 'within = "1h"', 'f:5: rule.0.within: "1h" cannot be used; give seconds'),
        ('[[rule]]\nname = "a"\nevents = ["click"]\n', "f:1: rule.0: a has no condition and would hold for everybody"),
        ('[[rule]]\nname = "a"\nagents = ["b"]\n', "f:1: rule.0: a has no events; name those that it speaks of"),
        (CURL + CURL, "f:6: rule.1.name: curl stands there twice; rename or remove one"),
        ("[[rule]]\nevents = []", "f:1: rule.0.name: is missing; give"),
        ('[[proxy]]\nname = "p"\n', "f:1: proxy.0: p has no condition"),
        ("treshold = 1", "f:1: treshold: unknown setting; did you mean 'threshold'?"),
    ],
)
def test_a_problem_is_one_line_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(RuleFileError) as error:
        parse_rules(text, "f")
    assert str(error.value).startswith(problem)
    assert "\n" not in error.value.problems[0]


def test_all_problems_are_known_and_the_first_is_said() -> None:
    with pytest.raises(RuleFileError) as error:
        parse_rules("a = 1\nb = 2\n", "f")
    assert len(error.value.problems) == 2
    assert str(error.value).endswith("(and 1 more: `mailwake bots check` lists them)")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match=r"none\.toml: cannot be read: No such file"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xe9")
    with pytest.raises(RuleFileError, match=r"latin\.toml: is not UTF-8 at octet 0"):
        read_rules(tmp_path / "latin.toml")


def test_own_rules_come_beside_the_shipped_ones_and_take_the_place_of_their_namesakes() -> None:
    shipped = parse_rules(
        CURL + '[[rule]]\nname="b"\nevents=["open"]\nagents=["b"]\n[[proxy]]\nname="p"\nagents=["p"]\n', "shipped"
    )
    own = parse_rules(
        'threshold = 0.9\n[[rule]]\nname="b"\nenabled=false\n[[rule]]\nname="c"\nevents=["open"]\nagents=["c"]\n'
        '[[rule]]\nname="curl"\nevents=["open"]\nagents=["CURL"]\nconfidence=0.1\n',
        "own",
    )
    both = merged(shipped, own)
    assert both.threshold == 0.9
    assert [(rule.name, rule.confidence) for rule in both.rule] == [("curl", 0.1), ("c", 0.9)]
    assert [proxy.name for proxy in both.proxy] == ["p"]
