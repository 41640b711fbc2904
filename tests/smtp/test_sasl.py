import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.replies import Refusal
from mailwake.smtp.sasl import MECHANISMS, LoginExchange, PlainExchange, decode_response


@pytest.mark.parametrize("response", [b"\0ann\0secret", b"ann\0ann\0secret"])
def test_plain(response: bytes) -> None:
    assert PlainExchange().respond(response) == ("ann", "secret")


def test_plain_in_utf8() -> None:
    assert PlainExchange().respond("\0zoë\0pässwörd".encode()) == ("zoë", "pässwörd")


@pytest.mark.parametrize(
    ("response", "codes"),
    [
        (b"", "501 5.5.2"),
        (b"ann\0secret", "501 5.5.2"),
        (b"\0ann\0secret\0", "501 5.5.2"),
        (b"\0\0secret", "501 5.5.2"),
        (b"\0ann\0", "501 5.5.2"),
        (b"\0\xff\0secret", "501 5.5.2"),
        (b"root\0ann\0secret", "535 5.7.8"),
    ],
)
def test_plain_refused(response: bytes, codes: str) -> None:
    with pytest.raises(Refusal, match=codes):
        PlainExchange().respond(response)


def test_login() -> None:
    exchange = LoginExchange()
    assert base64.b64decode(exchange.challenge) == b"Username:"
    assert exchange.respond(b"ann") is None
    assert base64.b64decode(exchange.challenge) == b"Password:"
    assert exchange.respond(b"secret") == ("ann", "secret")


@pytest.mark.parametrize(("username", "password"), [(b"", b"x"), (b"x", b""), (b"\xff", b"x")])
def test_login_refused(username: bytes, password: bytes) -> None:
    exchange = LoginExchange()
    exchange.respond(username)
    with pytest.raises(Refusal, match=r"501 5\.5\.2"):
        exchange.respond(password)


def test_an_initial_response_may_be_empty_and_a_later_one_may_cancel() -> None:
    assert decode_response(b"=", initial=True) == b""
    assert decode_response(b"YW5u") == b"ann"
    with pytest.raises(Refusal, match=r"501 5\.7\.0"):
        decode_response(b"*")


@pytest.mark.parametrize("line", [b"=", b"YW5", b"YW5u!", b"YW 5u", b"\xff\xff\xff\xff", b"YW5u=", b"===="])
def test_responses_that_are_not_base64(line: bytes) -> None:
    with pytest.raises(Refusal, match=r"501 5\.5\.2"):
        decode_response(line)


@given(st.sampled_from(sorted(MECHANISMS)), st.lists(st.binary(), min_size=2, max_size=2))
def test_any_response_is_taken_or_refused(name: str, responses: list[bytes]) -> None:
    exchange = MECHANISMS[name]()
    with contextlib.suppress(Refusal):
        for response in responses:
            if exchange.respond(response) is not None:
                return
