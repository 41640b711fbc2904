import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailwake.smtp.line_buffer import LineBuffer, LineFlaw


def lines_of(chunks: list[bytes], limit: int) -> list[bytes | LineFlaw]:
    buffer = LineBuffer()
    lines: list[bytes | LineFlaw] = []
    for chunk in chunks:
        buffer.octets += chunk
        while (line := buffer.take_line(limit)) is not None:
            lines.append(line)
        assert len(buffer.octets) <= limit
    return lines


@pytest.mark.parametrize(
    ("octets", "lines"),
    [
        (b"NOOP\r\n", [b"NOOP"]),
        (b"\r\n", [b""]),
        (b"a\r\nb\r\nrest", [b"a", b"b"]),
        (b"a\rb\r\n", [b"a\rb"]),
        (b"a\n", [LineFlaw.BARE_LF]),
        (b"\n", [LineFlaw.BARE_LF]),
        (b"a\r\n\nb\r\n", [b"a", LineFlaw.BARE_LF, b"b"]),
        (b"12345678\r\n", [b"12345678"]),
        (b"123456789\r\nNOOP\r\n", [LineFlaw.TOO_LONG, b"NOOP"]),
        (b"1234567890\n", [LineFlaw.BARE_LF]),
        (b"123456789\r\r\r\r\r\nNOOP\r\n", [LineFlaw.TOO_LONG, b"NOOP"]),
    ],
)
def test_lines_are_the_same_whole_and_byte_by_byte(octets: bytes, lines: list[bytes | LineFlaw]) -> None:
    assert lines_of([octets], 10) == lines
    assert lines_of([octets[i : i + 1] for i in range(len(octets))], 10) == lines
    for cut in range(len(octets)):
        assert lines_of([octets[:cut], octets[cut:]], 10) == lines


@given(st.lists(st.text("a\r\n").map(str.encode)), st.integers(2, 20))
def test_chunking_never_matters_and_memory_is_bounded(chunks: list[bytes], limit: int) -> None:
    whole = b"".join(chunks)
    buffer = LineBuffer()
    buffer.octets += whole
    expected = []
    while (line := buffer.take_line(limit)) is not None:
        expected.append(line)
    seen: list[bytes | LineFlaw] = []
    buffer = LineBuffer()
    for chunk in chunks:
        buffer.octets += chunk
        while (line := buffer.take_line(limit)) is not None:
            seen.append(line)
        assert len(buffer.octets) <= limit
    assert seen == expected


def test_clear_forgets_that_a_line_was_too_long() -> None:
    buffer = LineBuffer()
    buffer.octets += b"x" * 50
    assert buffer.take_line(10) is None
    buffer.clear()
    buffer.octets += b"NOOP\r\n"
    assert buffer.take_line(10) == b"NOOP"
