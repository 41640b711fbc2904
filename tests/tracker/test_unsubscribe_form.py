"""What counts as asking to unsubscribe: the one field of RFC 8058 in either encoding, and nothing else."""

from __future__ import annotations

import pytest

from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.unsubscribe_form import read_form

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="b 1"'


def multipart(*fields: tuple[str, str], boundary: str = "b 1", end: str = "--\r\n") -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    ]
    return ("".join(parts) + f"--{boundary}{end}").encode()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b"List-Unsubscribe=One-Click"),
        (URLENCODED + "; charset=UTF-8", b"a=b&List-Unsubscribe=One-Click&c"),
        (URLENCODED, b"List%2DUnsubscribe=One%2dClick\r\n"),
        (None, b"List-Unsubscribe=One-Click"),
        (MULTIPART, multipart(("List-Unsubscribe", "One-Click"))),
        ("Multipart/Form-Data; Boundary=x", multipart(("a", "b"), ("List-Unsubscribe", "One-Click"), boundary="x")),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=List-Unsubscribe\r\n\r\n"
            b"One-Click\r\n--x--",
        ),
    ],
)
def test_it_asks(content_type: str | None, body: bytes) -> None:
    assert read_form(content_type, body) == (True, False)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (URLENCODED, b""),
        (URLENCODED, b"List-Unsubscribe"),
        (URLENCODED, b"List-Unsubscribe=Two-Clicks"),
        (URLENCODED, b"list-unsubscribe=one-click"),
        (URLENCODED, b"x=List-Unsubscribe=One-Click"),
        (URLENCODED, "ä=b&List-Unsubscribe=One-Click".encode()),
        (URLENCODED, b"a=b&" * 20 + b"List-Unsubscribe=One-Click"),
        ("application/json", b'{"List-Unsubscribe": "One-Click"}'),
        (URLENCODED, multipart(("List-Unsubscribe", "One-Click"))),
        (MULTIPART, b"List-Unsubscribe=One-Click"),
        (MULTIPART, multipart(("List-Unsubscribe", "One-Click"), boundary="other")),
        (MULTIPART, multipart(("List-Unsubscribe", "no"))),
        (MULTIPART, multipart(*[("a", "b")] * 20, ("List-Unsubscribe", "One-Click"))),
        ("multipart/form-data", multipart(("List-Unsubscribe", "One-Click"))),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"'),
        ("multipart/form-data; boundary=x", b"--x" * (HttpLimits().body_octets // 3)),
    ],
)
def test_it_does_not_ask(content_type: str | None, body: bytes) -> None:
    assert read_form(content_type, body).one_click is False


def test_the_button_on_the_page_says_so() -> None:
    assert read_form(URLENCODED, b"from=page&List-Unsubscribe=One-Click") == (True, True)
    assert read_form(MULTIPART, multipart(("List-Unsubscribe", "One-Click"), ("from", "page"))) == (True, True)
    assert read_form(URLENCODED, b"from=page") == (False, True)
