"""Bodies that are written as they are: which lines are too long."""

from __future__ import annotations

import pytest

from mailwake.rewrite.body_template import has_long_line


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n"])
@pytest.mark.parametrize("before", [b"", b"short", b"y" * 998, b"y" * 500])
@pytest.mark.parametrize("behind", [b"", b"short", b"y" * 998])
@pytest.mark.parametrize(("length", "is_long"), [(0, False), (997, False), (998, False), (999, True), (1000, True)])
def test_a_line_is_measured_without_its_line_break(
    line_break: bytes, before: bytes, behind: bytes, length: int, is_long: bool
) -> None:
    assert has_long_line(line_break.join((before, b"x" * length, behind))) is is_long
    assert has_long_line(b"x" * length) is is_long
    assert has_long_line(b"x" * length + line_break) is is_long
    assert has_long_line(b"\n\n" + b"x" * length) is is_long
