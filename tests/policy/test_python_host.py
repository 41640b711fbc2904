"""Policies in Python: what a file may hold, and what is said of one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.policy.context import Context
from mailwake.policy.message_view import Message
from mailwake.policy.phases import PHASES, Phase
from mailwake.policy.python_host import PythonPolicy
from mailwake.policy.validation import Accept, Question, ValidationContext
from mailwake.policy.verdict import CONT, PolicyError

ACCEPT = Accept("192.0.2.7", 4711, "127.0.0.1:25")


def question(phase: Phase, *, tracing: bool = False) -> Question:
    context = ValidationContext(Context(), Context(), tracing=tracing)
    message = Message(sender="s@a.example", recipients=["r@b.example"], recipient="r@b.example")
    return Question(phase, context, ACCEPT, message, "argument")


def policy(directory: Path, source: str, name: str = "policy.py") -> PythonPolicy:
    path = directory / name
    path.write_text(source)
    return PythonPolicy(path)


@pytest.mark.parametrize("phase", list(Phase))
def test_each_phase_has_its_own_arguments(tmp_path: Path, phase: Phase) -> None:
    arguments = PHASES[phase].arguments
    made = policy(tmp_path, f"def {phase}({', '.join(arguments)}):\n    return [{', '.join(arguments)}]\n")
    assert made.phases == {phase}
    asked = question(phase)
    given = dict(zip(arguments, made.ask(asked), strict=True))
    for name, value in given.items():
        expected = {"accept": asked.accept, "context": asked.context, "message": asked.message}
        assert value is expected[name] if name in expected else value == "argument"


def test_a_policy_decides_by_what_it_returns_and_sets(tmp_path: Path) -> None:
    made = policy(
        tmp_path,
        "from mailwake.policy import CONT, refuse\n"
        "def validate_data_spool_each_rcpt(message, accept, context):\n"
        "    context.set('smtpapi_campaign_id', message.rcptto)\n"
        "    context.connection.set('seen', str(accept))\n"
        "    return CONT\n",
    )
    asked = question(Phase.EACH_RCPT)
    assert made.ask(asked) is CONT
    assert asked.context.message is not None
    assert asked.context.message.get("smtpapi_campaign_id") == "r@b.example"
    assert asked.context.connection.get("seen") == "192.0.2.7"


def test_who_set_a_variable_is_noted_where_it_is_wanted(tmp_path: Path) -> None:
    source = "def helper(c):\n    c.set('a', '1')\ndef validate_data(message, accept, context):\n    helper(context)\n"
    made = policy(tmp_path, source)
    for tracing, expected in ((True, "policy.py:2"), (False, "")):
        asked = question(Phase.DATA, tracing=tracing)
        made.ask(asked)
        assert asked.context.message is not None
        assert asked.context.message.source("a") == expected


def test_an_error_names_its_line(tmp_path: Path) -> None:
    made = policy(tmp_path, "def validate_connect(accept, context):\n    x = 1\n    raise KeyError('k')\n")
    with pytest.raises(KeyError) as caught:
        made.ask(question(Phase.CONNECT))
    assert made.where(caught.value) == "policy.py:3"
    assert made.where(ValueError()) == "policy.py"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def validate_data(message accept):\n    pass\n", r"policy\.py:1: .*correct the policy"),
        ("\n\n1/0\n", r"policy\.py:3: ZeroDivisionError"),
        ("import no_such_module\n", r"policy\.py:1: ModuleNotFoundError"),
        (
            "def validate_datta(message, accept, context): pass\n",
            "validate_datta is no phase; did you mean validate_data?",
        ),
        ("def validate_x(): pass\n", "validate_x is no phase; the phases are validate_connect"),
        ("x = 1\n", "no function for any phase"),
        (
            "def validate_connect(context): pass\n",
            r"policy\.py:1: must take these arguments: validate_connect\(accept, con",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(PolicyError, match=said) as caught:
        policy(tmp_path, source)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no such policy file"):
        PythonPolicy(tmp_path / "absent.py")
