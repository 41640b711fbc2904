import pytest

from mailwake.smtp.chunked_body import ChunkedBody
from mailwake.smtp.data_body import ContentRules
from mailwake.smtp.replies import Reply
from mailwake.smtp.states import State

RULES = ContentRules(message_size=10, text_line=8, bare_newlines="reject")


def gather(*chunks: bytes, step: int = 100) -> bytes | str:
    body = ChunkedBody(RULES)
    for chunk in chunks:
        body.begin(len(chunk), last=chunk is chunks[-1])
        octets = bytearray()
        whole = body.take(octets)
        rest = chunk + b"QUIT\r\n"
        while not whole:
            octets += rest[:step]
            rest = rest[step:]
            whole = body.take(octets)
            assert len(body._content) <= 10
        assert bytes(octets) + rest == b"QUIT\r\n" or not chunk
    content = body.content()
    return content if isinstance(content, bytes) else f"{content.code} {content.enhanced}"


@pytest.mark.parametrize("step", [1, 2, 100])
@pytest.mark.parametrize(
    ("chunks", "outcome"),
    [
        ((b"",), b""),
        ((b"abc\r\n",), b"abc\r\n"),
        ((b"a\r", b"\nb\r\n"), b"a\r\nb\r\n"),
        ((b".\r\n", b"..\r\n", b""), b".\r\n..\r\n"),
        ((b"\0\xff",), b"\0\xff"),
        ((b"1234567\r\n", b"x"), "550 5.6.0"),
        ((b"123456\r\n", b"xy"), b"123456\r\nxy"),
        ((b"123456\r\n", b"xyz"), "552 5.3.4"),
        ((b"x" * 500, b"y"), "552 5.3.4"),
        ((b"a\n", b"b\r\n"), "550 5.6.11"),
        ((b"a\r", b"b\r\n"), "550 5.6.11"),
        ((b"a", b"\r"), "550 5.6.11"),
    ],
)
def test_chunks_make_a_message(chunks: tuple[bytes, ...], outcome: bytes | str, step: int) -> None:
    assert gather(*chunks, step=step) == outcome


def test_a_refused_chunk_is_swallowed() -> None:
    refusal = Reply(503, "5.5.1", "No")
    body = ChunkedBody(RULES, refusal, State.READY)
    body.begin(7, last=True)
    octets = bytearray(b"1234567NOOP\r\n")
    assert body.take(octets)
    assert octets == b"NOOP\r\n"
    assert (body.refusal, body.resume, body._content) == (refusal, State.READY, bytearray())
