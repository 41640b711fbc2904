import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailwake.smtp.data_body import BareNewlines, ContentRules, DataBody, check_content
from mailwake.smtp.replies import Reply

RULES = ContentRules(message_size=1000, text_line=100, bare_newlines="reject")
BARE = "550 5.6.11"
TOO_BIG = "552 5.3.4"
TOO_LONG = "550 5.6.0"


def take(chunks: list[bytes], rules: ContentRules = RULES) -> tuple[bytes | str | None, bytes]:
    """The content (or the codes of its refusal) and what was left in the buffer."""
    body, octets = DataBody(rules), bytearray()
    content: bytes | Reply | None = None
    for chunk in chunks:
        octets += chunk
        if content is None:
            content = body.take(octets)
    if isinstance(content, Reply):
        return f"{content.code} {content.enhanced}", bytes(octets)
    return content, bytes(octets)


def chunkings(octets: bytes) -> list[list[bytes]]:
    halves = [[octets[:cut], octets[cut:]] for cut in range(len(octets) + 1)]
    return [[octets], [octets[i : i + 1] for i in range(len(octets))], *halves]


@pytest.mark.parametrize("trailing", [b"", b"MAIL FROM:<a@b>\r\n", b".\r\n", b"\r\n.\r\n"])
@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".a\r\n..b\r\nc.\r\n.\r\n", b"a\r\n.b\r\nc.\r\n"),
        (b"a\r\n..\r\n..\r\n.\r\n", b"a\r\n.\r\n.\r\n"),
        (b"a\r\n.. \r\n.\r\n", b"a\r\n. \r\n"),
        (b"\0\xff\r\n.\r\n", b"\0\xff\r\n"),
        (b"a\r\n\r\n\r\n.\r\n", b"a\r\n\r\n\r\n"),
    ],
)
def test_content_is_found_and_unstuffed(wire: bytes, content: bytes, trailing: bytes) -> None:
    for chunks in chunkings(wire + trailing):
        assert take(chunks) == (content, trailing)


SMUGGLING = [
    b"\n.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n. \r\n",
    b"\n\n.\n\n",
    b"\n\r.\n\r",
    b"\r\n\x85.\r\n",
    b"\r\n.\x85\r\n",
    b"\r\n.\x0b\r\n",
    b"\xe2\x80\xa8.\r\n",
]


@pytest.mark.parametrize("false_end", SMUGGLING)
@pytest.mark.parametrize("bare_newlines", ["reject", "convert"])
def test_nothing_but_crlf_dot_crlf_ends_the_text(false_end: bytes, bare_newlines: BareNewlines) -> None:
    rules = ContentRules(1000, 500, bare_newlines)
    wire = b"first" + false_end + b"MAIL FROM:<smuggled@example.com>\r\n.\r\n"
    for chunks in chunkings(wire):
        content, left = take(chunks, rules)
        assert left == b""
        if re.search(rb"\r(?!\n)|(?<!\r)\n", false_end + b"M"):
            assert content == BARE if bare_newlines == "reject" else b"smuggled" in content  # type: ignore[operator]
        elif b"\0." in false_end:  # some servers drop the NUL
            assert content == "550 5.6.0"
        else:
            assert isinstance(content, bytes)
            assert b"smuggled" in content


def test_converted_newlines_never_make_an_end_that_was_none() -> None:
    rules = ContentRules(1000, 500, "convert")
    assert take([b"a\n.\nb\r.\rc\r\r\n.\r\n"], rules)[0] == b"a\r\n.\r\nb\r\n.\r\nc\r\n\r\n"


def test_size_limit_exactly_and_one_over() -> None:
    rules = ContentRules(20, 100, "reject")
    fits, over = b"x" * 18 + b"\r\n", b"x" * 19 + b"\r\n"
    for chunks in chunkings(fits + b".\r\nNOOP"):
        assert take(chunks, rules) == (fits, b"NOOP")
    for chunks in chunkings(over + b".\r\nNOOP"):
        assert take(chunks, rules) == (TOO_BIG, b"NOOP")


def test_stuffed_dots_do_not_count_for_the_size() -> None:
    rules = ContentRules(300, 100, "reject")
    for chunks in chunkings(b"..\r\n" * 100 + b".\r\nNOOP"):
        assert take(chunks, rules) == (b".\r\n" * 100, b"NOOP")
    for chunks in chunkings(b"..\r\n" * 101 + b".\r\nNOOP"):
        assert take(chunks, rules) == (TOO_BIG, b"NOOP")


@pytest.mark.parametrize("chunk", [b"x" * 70, b"\r\n..", b"\r\n", b"\r\n.\r", b"\n.\n"])
def test_an_endless_text_is_swallowed_in_bounded_memory(chunk: bytes) -> None:
    body, octets = DataBody(RULES), bytearray()
    for _ in range(2000):
        octets += chunk
        assert body.take(octets) is None
        assert len(octets) <= 1400 + len(chunk)
    for octet in b"x\r\n.\r":
        octets.append(octet)
        assert body.take(octets) is None
    octets += b"\nNOOP"
    assert body.take(octets) == Reply(552, "5.3.4", "The message is larger than 1000 octets")
    assert octets == b"NOOP"


def test_line_limit_exactly_and_one_over() -> None:
    fits, over = b"x" * 98 + b"\r\n", b"x" * 99 + b"\r\n"
    assert take([fits * 3 + b".\r\n"])[0] == fits * 3
    for lines in (over + fits, fits + over, fits + over + fits):
        assert take([lines + b".\r\n"])[0] == TOO_LONG
    refusal = check_content(over, RULES)
    assert isinstance(refusal, Reply)
    assert "100 octets" in refusal.text


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 2])
def test_both_ways_to_find_bare_newlines_agree(size: int) -> None:
    rules = ContentRules(1 << 22, 1 << 22, "reject")
    padding = b"y" * size
    for text in (b"", b"a", b"\r\n", b"a\r\nb", b"\r\n\r\n"):
        assert check_content(padding + text, rules) == padding + text
        assert check_content(text + padding, rules) == text + padding
    for text in (b"\r", b"\n", b"\rfoo\n", b"\r\r\n", b"\r\n\n", b"\n\r", b"a\r\nb\n", b"a\rb\r\n"):
        for content in (padding + text, text + padding):
            assert isinstance(check_content(content, rules), Reply), content[:20]


@given(st.text("a.\r\n").map(str.encode), st.lists(st.integers(1, 30)))
@example(b".\r\n", [])
@example(b"\r\n.\r\n", [1])
def test_any_text_in_any_chunking_against_a_plain_oracle(wire: bytes, sizes: list[int]) -> None:
    rules = ContentRules(40, 15, "reject")
    chunks, rest = [], wire
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    chunks.append(rest)
    end = (b"\r\n" + wire).find(b"\r\n.\r\n")
    if end < 0:
        assert take(chunks, rules)[0] is None
        return
    lines = wire[:end].split(b"\r\n")[:-1]
    content = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)
    expected: bytes | str = content
    if len(content) > 40:
        expected = TOO_BIG
    elif re.search(rb"\r(?!\n)|(?<!\r)\n", content):
        expected = BARE
    elif any(len(line.removeprefix(b".")) > 13 for line in lines):
        expected = TOO_LONG
    assert take(chunks, rules) == (expected, wire[end + 3 :])
