"""The examples in Lua and in Python: each pair answers the same questions alike, and as its first line says."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.policy.lua_questions import Printed, question

from mailwake.metrics import Metrics
from mailwake.policy.lua_host import LuaPolicy
from mailwake.policy.phases import Phase
from mailwake.policy.policies import ConfiguredPolicy, Policies, PolicyHost
from mailwake.policy.python_host import PythonPolicy
from mailwake.policy.validation import Question

EXAMPLES = Path(__file__).parents[2] / "examples" / "policy"


class Outcome(NamedTuple):
    """What is left of a question when it was answered."""

    reply: str = ""
    message: dict[str, str] | None = None
    connection: dict[str, str] | None = None
    disconnecting: bool = False
    discarded: str = ""
    content: bytes = b""


def content(*header: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*header, "", "Hello")).encode()


PLAIN = content("Subject: Hello")
EACH, SPOOL = Phase.EACH_RCPT, Phase.DATA_SPOOL
BULK = "List-Unsubscribe: <https://shop.example/u>"

# name, the question, what differs after it
CASES: list[tuple[str, Phase, dict[str, Any], dict[str, Any]]] = [
    (
        "campaign_from_header",
        EACH,
        {"content": content("Subject: a", "X-Campaign: black\r\n friday")},
        {"message": {"smtpapi_campaign_id": "black friday"}, "content": content("Subject: a")},
    ),
    (
        "campaign_from_header",
        EACH,
        {"content": content("X-Campaign: " + "a" * 70)},
        {"message": {"smtpapi_campaign_id": "a" * 64}, "content": content()},
    ),
    ("campaign_from_header", EACH, {"content": PLAIN}, {}),
    (
        "tags_by_recipient_domain",
        EACH,
        {"recipient": "bob@Hotmail.example"},
        {"message": {"smtpapi_tags": '["provider microsoft"]'}},
    ),
    (
        "tags_by_recipient_domain",
        EACH,
        {"recipient": "bob@a.example"},
        {"message": {"smtpapi_tags": '["provider other"]'}},
    ),
    (
        "tracking_off_for_domain",
        EACH,
        {"recipient": "bob@ward.hospital.example", "message": {"smtpapi_open_tracking": "1"}},
        {"message": {"smtpapi_open_tracking": "0", "smtpapi_click_tracking": "0"}},
    ),
    ("tracking_off_for_domain", EACH, {"recipient": "bob@nohospital.example"}, {}),
    ("customer_from_auth", Phase.AUTH, {"argument": "1042-news"}, {"connection": {"mo_customer_id": "1042"}}),
    (
        "customer_from_auth",
        Phase.AUTH,
        {"argument": "news"},
        {"reply": "535 5.7.8 Accounts are named CUSTOMER-PURPOSE"},
    ),
    (
        "tracking_domain_by_customer",
        EACH,
        {"connection": {"mo_customer_id": "1043"}},
        {
            "message": {
                "smtpapi_tracking_domain": "click.bank.example",
                "smtpapi_click_tracking_scheme": "https",
                "smtpapi_open_tracking_scheme": "https",
            }
        },
    ),
    ("tracking_domain_by_customer", EACH, {"connection": {"mo_customer_id": "7"}}, {}),
    ("tracking_domain_by_customer", EACH, {}, {}),
    (
        "shorter_expiry",
        EACH,
        {"content": content("Subject: Your new Password")},
        {"message": {"smtpapi_tracking_link_expiry": "86400"}},
    ),
    ("shorter_expiry", EACH, {"content": PLAIN}, {"message": {"smtpapi_tracking_link_expiry": "7776000"}}),
    ("shorter_expiry", EACH, {"content": content()}, {"message": {"smtpapi_tracking_link_expiry": "7776000"}}),
    (
        "refuse_without_campaign",
        SPOOL,
        {"content": content(BULK)},
        {"reply": "550 5.7.1 Bulk mail needs an X-Campaign header"},
    ),
    ("refuse_without_campaign", SPOOL, {"content": content(BULK, "X-Campaign: a")}, {}),
    ("refuse_without_campaign", SPOOL, {"content": PLAIN}, {}),
    (
        "metadata_from_headers",
        EACH,
        {"content": content("X-Order: 17", "X-Shop: Grüße")},
        {"message": {"smtpapi_metadata": '{"order":"17","shop":"Grüße"}'}},
    ),
    ("metadata_from_headers", EACH, {"content": PLAIN}, {}),
    ("senders_of_a_customer", Phase.MAILFROM, {"connection": {"mo_customer_id": "1042"}}, {}),
    (
        "senders_of_a_customer",
        Phase.MAILFROM,
        {"connection": {"mo_customer_id": "1042"}, "argument": "ann@bank.example"},
        {"reply": "550 5.7.1 bank.example is no domain of yours"},
    ),
    ("senders_of_a_customer", Phase.MAILFROM, {"connection": {"mo_customer_id": "1042"}, "argument": ""}, {}),
    (
        "senders_of_a_customer",
        Phase.MAILFROM,
        {},
        {"reply": "421 4.7.0 No customer of ours", "disconnecting": True},
    ),
    (
        "discard_load_tests",
        EACH,
        {"recipient": "bob@sink.example"},
        {"discarded": "a load test from 192.0.2.7"},
    ),
    (
        "discard_load_tests",
        EACH,
        {"content": PLAIN},
        {"content": content("Subject: Hello", "X-Received-Through: mailwake 2525")},
    ),
]


def asked(phase: Phase, given: dict[str, Any]) -> Question:
    made = question(phase, **{name: value for name, value in given.items() if name != "argument"})
    argument = given.get("argument", made.argument)
    return Question(made.phase, made.context, made.accept, made.message, argument)


def outcome(host: PolicyHost, made: Question) -> Outcome:
    log = Printed()
    reply = Policies([ConfiguredPolicy(host)], log=log.logger(), metrics=Metrics()).ask(made)
    assert not any(line["level"] == "error" for line in log), log
    context, message = made.context, made.message
    return Outcome(
        str(reply or ""),
        dict(context.message.items()) if context.message is not None else {},
        dict(context.connection.items()),
        context.disconnecting,
        message.discarded if message else "",
        message.content if message else b"",
    )


def in_lua(name: str) -> LuaPolicy:
    return LuaPolicy(EXAMPLES / "lua" / f"{name}.lua", log=Printed().logger())


def in_python(name: str) -> PythonPolicy:
    return PythonPolicy(EXAMPLES / "python" / f"{name}.py")


@pytest.mark.parametrize(("name", "phase", "given", "after"), CASES)
def test_both_do_the_same(name: str, phase: Phase, given: dict[str, Any], after: dict[str, Any]) -> None:
    untouched = asked(phase, given)
    wanted = Outcome(
        message=dict(untouched.context.message.items()) if untouched.context.message is not None else {},
        connection=dict(untouched.context.connection.items()),
        content=untouched.message.content if untouched.message else b"",
    )._replace(**after)
    assert outcome(in_python(name), asked(phase, given)) == wanted
    assert outcome(in_lua(name), asked(phase, given)) == wanted


def test_each_example_has_a_twin_and_a_case() -> None:
    names = {path.stem for path in (EXAMPLES / "lua").glob("*.lua")}
    assert names == {path.stem for path in (EXAMPLES / "python").glob("*.py")} == {name for name, *_ in CASES}
    assert len(names) >= 10


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_twins_have_the_same_phases_and_first_line(name: str) -> None:
    assert in_lua(name).phases == in_python(name).phases
    first = (EXAMPLES / "lua" / f"{name}.lua").read_text().splitlines()[0].removeprefix("-- ")
    assert (EXAMPLES / "python" / f"{name}.py").read_text().splitlines()[0] == f'"""{first}"""'
