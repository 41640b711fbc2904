"""Each function of the Lua API, tested by a script of its own under lua/: it asserts what it sees, we what it did."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from tests.policy.lua_questions import Printed, question

from mailwake.policy.lua_host import LuaPolicy
from mailwake.policy.lua_runtime import RUNTIMES
from mailwake.policy.phases import Phase
from mailwake.policy.validation import Question
from mailwake.policy.verdict import CONT

SCRIPTS = Path(__file__).parent / "lua"
PARTS = (
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZSBhdXMgZGVtIGVyc3RlbiBUZWls\r\n--b\r\n"
    b"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<p>Gr=FC=DFe=\r\n</p>\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n"
)


class Case(NamedTuple):
    """A script, when it is asked, and what it is to leave behind."""

    script: str
    phase: Phase = Phase.EACH_RCPT
    message: Mapping[str, str] = MappingProxyType({})
    """The message's variables after it."""
    connection: Mapping[str, str] = MappingProxyType({})
    """The connection's, beside auth_user."""
    reply: str = ""
    disconnecting: bool = False
    discarded: str = ""
    content: bytes | None = None


GIVEN = {"given": "Grüße"}
CASES = [
    Case("seed", message={**GIVEN, "smtpapi_campaign_id": "black friday", "smtpapi_click_tracking": "1"}),
    Case(
        "msg_context_set",
        message={**GIVEN, "text": "Grüße", "fraction": "1.5", "empty": ""},
        connection={"number": "1"},
    ),
    Case("msg_context_get", message={**GIVEN, "number": "17"}),
    Case("msg_context_exists", message={**GIVEN, "empty": ""}),
    Case("msg_context_delete", message={}),
    Case("msg_context_exists_and_get", message=GIVEN),
    *(
        Case(f"msg_{name}", message=GIVEN)
        for name in (
            "header_read",
            "header_change",
            "address_header",
            "mailfrom",
            "rcptto",
            "routing_domain",
            "id",
            "get_message_size",
            "reception_peer",
            "listener_addr",
            "text",
        )
    ),
    Case("msg_text_of_parts", message=GIVEN, content=PARTS),
    Case("msg_discard", message=GIVEN, discarded="550 5.7.0 not for us"),
    Case("msg_discard_without_a_reason", message=GIVEN, discarded="discarded by policy"),
    Case("vctx_get", message=GIVEN),
    Case(
        "vctx_set",
        Phase.MAILFROM,
        message={**GIVEN, "sender": "ann@shop.example"},
        connection={"mo_customer_id": "42"},
    ),
    Case("vctx_set_before_a_message", Phase.EHLO, connection={"seen": "client.example"}),
    Case("vctx_exists", message={}),
    Case("vctx_set_code", Phase.RCPTTO, message=GIVEN, reply="550 5.7.1 bob@gmail.example is unwanted"),
    Case("vctx_disconnect", Phase.CONNECT, reply="421 Go away", disconnecting=True),
    Case(
        "vctx_disconnect_without_a_code",
        Phase.CONNECT,
        reply="421 4.7.0 Closing connection by policy",
        disconnecting=True,
    ),
    Case("accept", Phase.CONNECT),
    *(
        Case(name, message=GIVEN)
        for name in ("print", "core", "missing", "require", "expand_macro", "momentums_operators")
    ),
    Case("validate_data_has_the_message", Phase.DATA, message={**GIVEN, "seen": "black friday"}),
]


@pytest.fixture(params=RUNTIMES)
def implementation(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(f"lupa.{request.param}")
    return str(request.param)


def ask(script: str, implementation: str, phase: Phase, **given: Any) -> tuple[Question, Printed]:
    printed = Printed()
    policy = LuaPolicy(SCRIPTS / f"{script}.lua", log=printed.logger(), implementation=implementation)
    asked = question(phase, message=GIVEN, connection={"auth_user": "alice"}, **given)
    assert policy.ask(asked) is CONT
    return asked, printed


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script)
def test_the_script(case: Case, implementation: str) -> None:
    given = {} if case.content is None else {"content": case.content}
    asked, _ = ask(case.script, implementation, case.phase, **given)
    context = asked.context
    assert dict(context.connection.items()) == {"auth_user": "alice", **case.connection}
    assert (dict(context.message.items()) if context.message is not None else {}) == case.message
    assert str(context.reply or "") == case.reply
    assert context.disconnecting is case.disconnecting
    assert (asked.message.discarded if asked.message else "") == case.discarded


def test_every_script_is_run() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.lua")} == {case.script for case in CASES} | {"every_phase"}


def test_what_a_script_does_to_the_header(implementation: str) -> None:
    asked, _ = ask("msg_header_change", implementation, Phase.EACH_RCPT)
    assert asked.message is not None
    assert asked.message.content == (
        b"X-First: 1\r\n"
        b'From: "Ann, of Sales" <ann+news@Shop.example>\r\n'
        b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
        b"X-Tag: one\r\nX-Tag: two\r\nX-Campaign: red monday\r\nX-Raw: again caf\xe9\r\nX-Tag: three\r\n"
        b"X-List: a\r\nX-List: b\r\nX-Word: =?utf-8?B?R3LDvMOfZQ==?=\r\n"
        b"\r\nHello there\r\n"
    )


def test_print_is_one_line_in_the_log(implementation: str) -> None:
    _, printed = ask("print", implementation, Phase.EACH_RCPT)
    assert printed == [
        {
            "level": "info",
            "event": "policy says",
            "policy": "print.lua",
            "phase": "validate_data_spool_each_rcpt",
            "text": "one\t2\tnil\ttrue\tbob@gmail.example",
        }
    ]


@pytest.mark.parametrize(
    ("phase", "last"),
    [
        (Phase.CONNECT, "connect 192.0.2.7"),
        (Phase.EHLO, "ehlo client.example"),
        (Phase.AUTH, "auth alice"),
        (Phase.MAILFROM, "mailfrom ann@shop.example"),
        (Phase.RCPTTO, "rcptto bob@gmail.example bob@gmail.example"),
        (Phase.DATA, "data ann@shop.example"),
        (Phase.DATA_SPOOL, "data_spool ann@shop.example"),
        (Phase.EACH_RCPT, "each bob@gmail.example"),
    ],
)
def test_every_phase_has_momentums_arguments(phase: Phase, last: str, implementation: str) -> None:
    asked, _ = ask("every_phase", implementation, phase)
    assert asked.context.connection.get("last") == last
