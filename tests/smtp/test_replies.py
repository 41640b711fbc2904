import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.replies import Refusal, Reply, ReplyError, parse_reply


def wire_lines(octets: bytes) -> list[bytes]:
    assert octets.endswith(b"\r\n")
    return octets[:-2].split(b"\r\n")


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "2.0.0", "Ok"), b"250 2.0.0 Ok\r\n"),
        (Reply(220, "", "mx.example ESMTP"), b"220 mx.example ESMTP\r\n"),
        (Reply(334, "", ""), b"334 \r\n"),
        (Reply(250, "", "mx\nSIZE 5\nPIPELINING"), b"250-mx\r\n250-SIZE 5\r\n250 PIPELINING\r\n"),
        (Reply(550, "5.7.1", "no\nway"), b"550-5.7.1 no\r\n550 5.7.1 way\r\n"),
    ],
)
def test_encoding_and_parsing_are_inverse(reply: Reply, octets: bytes) -> None:
    assert reply.encode() == octets
    assert parse_reply(wire_lines(octets)) == reply


def test_text_never_breaks_out_of_its_reply() -> None:
    hostile = "a\r\n250 2.0.0 accepted\rb\x00c\x1b[31m\u2028d"
    lines = wire_lines(Reply(550, "5.7.1", hostile).encode(utf8=True))
    assert all(line.startswith((b"550-5.7.1 ", b"550 5.7.1 ")) for line in lines)
    assert not any(octet < 32 for line in lines for octet in line)


def test_text_beyond_ascii_is_for_smtputf8_only() -> None:
    reply = Reply(550, "5.1.1", "Zoë is unknown")
    assert reply.encode() == b"550 5.1.1 Zo? is unknown\r\n"
    assert reply.encode(utf8=True) == "550 5.1.1 Zoë is unknown\r\n".encode()


@given(st.text(), st.booleans())
def test_lines_are_never_longer_than_512_octets(text: str, utf8: bool) -> None:
    for line in wire_lines(Reply(550, "5.123.123", text + "é" * 700).encode(utf8=utf8)):
        assert len(line) + 2 <= 512
        line.decode("utf-8")


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
def test_any_printable_text_comes_back(text: str) -> None:
    reply = Reply(451, "4.3.0", text)
    assert parse_reply(wire_lines(reply.encode())).text.replace("\n", "") == text


def test_classes() -> None:
    kinds = ("is_positive", "is_intermediate", "is_transient", "is_permanent")
    for code, enhanced, kind in ((250, "2.0.0", 0), (354, "", 1), (451, "4.3.0", 2), (550, "5.0.0", 3), (521, "", 3)):
        assert [getattr(Reply(code, enhanced, ""), name) for name in kinds] == [kind == i for i in range(4)]


@pytest.mark.parametrize(("code", "enhanced"), [(199, ""), (600, ""), (250, "5.1.1"), (250, "2.1"), (354, "3.0.0")])
def test_impossible_replies_cannot_be_made(code: int, enhanced: str) -> None:
    with pytest.raises(ValueError, match="code"):
        Reply(code, enhanced, "text")


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        ([b"250"], Reply(250, "", "")),
        ([b"250 "], Reply(250, "", "")),
        ([b"250 2.1.0"], Reply(250, "2.1.0", "")),
        ([b"550 4.7.1 mismatch"], Reply(550, "", "4.7.1 mismatch")),
        ([b"550 5.7 no code"], Reply(550, "", "5.7 no code")),
        ([b"550-5.1.1 one", b"550-two", b"550 5.1.1 three"], Reply(550, "5.1.1", "one\ntwo\nthree")),
        ([b"451 \xff\x80 raw"], Reply(451, "", "\ufffd\ufffd raw")),
    ],
)
def test_lenient_on_text(lines: list[bytes], reply: Reply) -> None:
    assert parse_reply(lines) == reply


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b" 250 x"],
        [b"250\tx"],
        [b"\xb2\xb250 x"],
        [b""],
        [b"25"],
        [b"199 x"],
        [b"650 x"],
        [b"2x0 x"],
        [b"250x"],
        [b"250-x"],
        [b"250 a", b"250 b"],
        [b"250-a", b"251 b"],
    ],
)
def test_strict_on_codes(lines: list[bytes]) -> None:
    with pytest.raises(ReplyError):
        parse_reply(lines)


@given(st.lists(st.binary(max_size=20), max_size=3))
def test_garbage_is_a_reply_or_a_reply_error(lines: list[bytes]) -> None:
    with contextlib.suppress(ReplyError):
        parse_reply(lines).encode()


def test_a_refusal_has_the_reply_and_the_truth() -> None:
    reply = Reply(550, "5.7.1", "Not here")
    assert Refusal(reply, "policy said no").log == "policy said no"
    assert str(Refusal(reply)) == "550 5.7.1 Not here"
