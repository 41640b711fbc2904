import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.commands import parse_bdat, parse_command, parse_hello, parse_mail, parse_rcpt
from mailwake.smtp.dsn import NO_REQUEST
from mailwake.smtp.envelope import Envelope
from mailwake.smtp.replies import Refusal
from mailwake.smtp.states import Verb


def codes(refusal: Refusal) -> str:
    return f"{refusal.reply.code} {refusal.reply.enhanced}"


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"NOOP", Verb.NOOP, ""),
        (b"noop", Verb.NOOP, ""),
        (b"QuIt  \t ", Verb.QUIT, ""),
        (b"EHLO mx.example", Verb.EHLO, "mx.example"),
        (b"EHLO   mx.example  ", Verb.EHLO, "mx.example"),
        (b"MAIL FROM:<a@b> SIZE=1", Verb.MAIL, "FROM:<a@b> SIZE=1"),
        (b"VRFY \xc3\xa9\xff", Verb.VRFY, "é\udcff"),
    ],
)
def test_command_lines(line: bytes, verb: Verb, argument: str) -> None:
    assert parse_command(line) == (verb, argument)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "500 5.5.1"),
        (b" NOOP", "500 5.5.1"),
        (b"NOOPE", "500 5.5.1"),
        (b"GET / HTTP/1.1", "500 5.5.1"),
        ("QUıT".encode(), "500 5.5.1"),
        (b"EXPN list", "502 5.5.1"),
        (b"turn", "502 5.5.1"),
        (b"NO\0OP", "500 5.5.2"),
        (b"MAIL FROM:<a\0@b>", "500 5.5.2"),
        (b"NOOP\rQUIT", "500 5.5.2"),
        (b"MAIL FROM:<a@b>\tSIZE=1", "500 5.5.2"),
    ],
)
def test_lines_that_are_no_command(line: bytes, expected: str) -> None:
    with pytest.raises(Refusal) as raised:
        parse_command(line)
    assert codes(raised.value) == expected


@pytest.mark.parametrize(
    ("argument", "envelope"),
    [
        ("FROM:<>", Envelope("")),
        ("from:<a@b>", Envelope("a@b")),
        ("FROM: <a@b>", Envelope("a@b")),
        ('FROM:<"a>b <c"@d>', Envelope('"a>b <c"@d')),
        ("FROM:<@x,@y:a@b>", Envelope("a@b")),
        (
            "FROM:<a@b> size=12  Body=8bitMIME",
            Envelope("a@b", [], False, "8BITMIME", {"SIZE": "12", "BODY": "8bitMIME"}),
        ),
        ("FROM:<é@b> SMTPUTF8", Envelope("é@b", [], True, "7BIT", {"SMTPUTF8": ""})),
        ("FROM:<a@b> XVERP", Envelope("a@b", parameters={"XVERP": ""}, verp="+=")),
        ("FROM:<a@b> XVERP=-=", Envelope("a@b", parameters={"XVERP": "-="}, verp="-=")),
        ("FROM:<a@b> BODY=binaryMime", Envelope("a@b", body="BINARYMIME", parameters={"BODY": "binaryMime"})),
        ("FROM:<a@b> AUTH=<>", Envelope("a@b", [], False, "7BIT", {"AUTH": "<>"})),
        ("FROM:<a@b> AUTH=e+3Dmc2@example.com", Envelope("a@b", [], False, "7BIT", {"AUTH": "e+3Dmc2@example.com"})),
    ],
)
def test_mail(argument: str, envelope: Envelope) -> None:
    assert parse_mail(argument) == envelope


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("", "501 5.1.7"),
        ("FROM:", "501 5.1.7"),
        ("FROM:a@b", "501 5.1.7"),
        ("FROM <a@b>", "501 5.1.7"),
        ("FROM:  <a@b>", "501 5.1.7"),
        ("FROM:<a@b", "501 5.1.7"),
        ("FROM:<a@b>x", "501 5.1.7"),
        ("FROM:<a@b>SIZE=1", "501 5.1.7"),
        ("FROM:<<a@b>>", "501 5.1.7"),
        ("TO:<a@b>", "501 5.1.7"),
        ("FROM:<a b@c>", "501 5.1.7"),
        ("FROM:<postmaster>", "501 5.1.7"),
        ("FROM:< >", "501 5.1.7"),
        ("FROM:<é@b>", "553 5.6.7"),
        ("FROM:<\udcff@b>", "553 5.6.7"),
        ("FROM:<\udcff@b> SMTPUTF8", "501 5.1.7"),
        ("FROM:<a@b> FOO", "555 5.5.4"),
        ("FROM:<a@b> FOO=BAR", "555 5.5.4"),
        ("FROM:<a@b> =1", "501 5.5.4"),
        ("FROM:<a@b> -X=1", "501 5.5.4"),
        ("FROM:<a@b> SIZE", "501 5.5.4"),
        ("FROM:<a@b> SIZE=", "501 5.5.4"),
        ("FROM:<a@b> SIZE=-1", "501 5.5.4"),
        ("FROM:<a@b> SIZE=1k", "501 5.5.4"),
        ("FROM:<a@b> SIZE=٣", "501 5.5.4"),
        ("FROM:<a@b> SIZE=" + "9" * 21, "501 5.5.4"),
        ("FROM:<a@b> SIZE=1 SIZE=1", "501 5.5.4"),
        ("FROM:<a@b> BODY=BINARY", "501 5.5.4"),
        ("FROM:<a@b> XVERP=", "501 5.5.4"),
        ("FROM:<> XVERP=+=", "503 5.5.4"),
        ("FROM:<a@b> SMTPUTF8=1", "501 5.5.4"),
        ("FROM:<a@b> SMTPUTF8=", "501 5.5.4"),
        ("FROM:<a@b> ſIZE=1", "501 5.5.4"),
        ("FROM:<a@b> AUTH=", "501 5.5.4"),
        ("FROM:<a@b> AUTH=+3", "501 5.5.4"),
    ],
)
def test_mail_refused(argument: str, expected: str) -> None:
    with pytest.raises(Refusal) as raised:
        parse_mail(argument)
    assert codes(raised.value) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("", "501 5.1.3"),
        ("TO:<>", "501 5.1.3"),
        ("TO:a@b", "501 5.1.3"),
        ("FROM:<a@b>", "501 5.1.3"),
        ("TO:<nobody>", "501 5.1.3"),
        ("TO:<" + "l" * 65 + "@b>", "501 5.1.3"),
        ("TO:<é@b>", "553 5.6.7"),
        ("TO:<a@b> SIZE=1", "555 5.5.4"),
    ],
)
def test_rcpt_refused(argument: str, expected: str) -> None:
    with pytest.raises(Refusal) as raised:
        parse_rcpt(argument, smtputf8=False)
    assert codes(raised.value) == expected


def test_rcpt() -> None:
    assert parse_rcpt("TO:<a@b>", smtputf8=False) == ("a@b", NO_REQUEST)
    assert parse_rcpt("to: <Postmaster>", smtputf8=False) == ("Postmaster", NO_REQUEST)
    assert parse_rcpt("TO:<é@b>", smtputf8=True) == ("é@b", NO_REQUEST)


@pytest.mark.parametrize("argument", ["mx.example", "[192.0.2.1]", "under_score", "localhost", "x" * 255])
def test_hello(argument: str) -> None:
    assert parse_hello(argument, Verb.EHLO) == argument


@pytest.mark.parametrize("argument", ["", "a b", "é.example", "x" * 256])
def test_hello_refused(argument: str) -> None:
    with pytest.raises(Refusal, match=r"501 5\.5\.4"):
        parse_hello(argument, Verb.HELO)


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        ("0", (0, False)),
        ("86", (86, False)),
        ("86 LAST", (86, True)),
        ("0  last ", (0, True)),
        ("", None),
        ("LAST", None),
        ("-1", None),
        ("1x", None),
        ("1 LAST LAST", None),
        ("1 FIRST", None),
        ("9" * 21, None),
    ],
)
def test_bdat(argument: str, chunk: tuple[int, bool] | None) -> None:
    assert parse_bdat(argument) == chunk


@given(st.binary(max_size=60) | st.sampled_from([b"MAIL ", b"RCPT "]).flatmap(lambda v: st.binary().map(v.__add__)))
def test_any_line_is_a_command_or_a_refusal(line: bytes) -> None:
    with contextlib.suppress(Refusal):
        verb, argument = parse_command(line)
        if verb is Verb.MAIL:
            parse_mail(argument)
        elif verb is Verb.RCPT:
            parse_rcpt(argument, smtputf8=True)
        elif verb is Verb.BDAT:
            parse_bdat(argument)
