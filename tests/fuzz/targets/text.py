"""Plain text over every charset: its URLs, their notes, and the copies."""

from __future__ import annotations

from tests.fuzz.bodies import BodyInput, body_input
from tests.fuzz.message_invariants import check_message
from tests.fuzz.target import Target
from tests.fuzz.text_invariants import check_text

from mailwake.rewrite.charsets import LeftAlone, working_text

TEXT = (
    b'Go to http://e.com/a_(b)?c=d. Or (https://e.com/\xc3\xa4), "http://e.com/q"\r\n'
    b'http://e.com/n[[data-msys-unsubscribe="1"]][[ data-msys-sublink=a ]] {{opening_double_curly()}}x{{y}}\r\n'
    b"<http://e.com/angle> HTTP://E.COM/{{closing_double_curly()}} http://e.com/a \r\nb \r\n> http://e.com\r\n"
)
SEEDS = (
    body_input(TEXT),
    body_input(TEXT, "quoted-printable", variant=b"4"),
    body_input(TEXT, "base64", "utf-16le", b"1"),
    body_input(TEXT, "7bit", "utf-7"),
    body_input(TEXT + "http://e.com/日本。http://e.com/本".encode(), "7bit", "iso-2022-jp"),
    body_input(TEXT.decode().encode("cp932", "ignore") + b"\x83http://e.com/\x83\x5c", "binary", "shift_jis"),
    body_input(b"x" * 980 + b" http://e.com/ " + TEXT, "8bit", "gb18030"),
    body_input(TEXT + "http://e.com/日。".encode(), "base64", "hz-gb-2312"),
    body_input("http://e.com/\u3000http://e.com/한국".encode(), "7bit", "iso-2022-kr"),
)
TOKENS = (
    *(
        b"http://",
        b"https://",
        b"http://e.com/",
        b"HTTPS://e.com",
        b"://",
        b"http",
        b"e.com",
        b"/",
        b".",
        b",",
        b")",
        b"(",
    ),
    *(b"[", b"]", b"[[", b"]]", b'[[data-msys-unsubscribe="1"]]', b"[[data-msys-clicktrack='0']]", b"[[data-msys-"),
    *(
        b"[[ data-msys-sublink=a ]]",
        b'"',
        b"'",
        b"<",
        b">",
        b"> ",
        b" ",
        b"\r\n",
        b"\n",
        b" \r\n",
        b"\t",
        b"{",
        b"}",
        b"{{",
    ),
    *(
        b"{{opening_double_curly()}}",
        b"{{closing_double_curly()}}",
        b"_",
        b"*",
        b"&",
        b"?",
        b"#",
        b"@",
        b":",
        b"\0",
        b"\x7f",
    ),
    *(
        b"\xe3\x80\x82",
        b"\xe3\x80\x80",
        b"\xc2\xa0",
        b"\xc3\xa4",
        b"\xff",
        b"\x81",
        b"\xe4",
        b"\x1b$B",
        b"\x1b(B",
        b"~{",
        b"~}",
    ),
    *(
        b"+-",
        b"x" * 75,
        b"y" * 990,
        b"=3D",
        b"=\r\n",
        b"-----BEGIN PGP MESSAGE-----",
        b"\xef\xbb\xbf",
        b"\xe2\x80\x99",
    ),
)


def check(data: bytes) -> None:
    body = BodyInput(data)
    joined_lines = bool(body.variant & 4)
    check_message(body.message("plain", "; format=flowed; delsp=yes" if joined_lines else ""))
    try:
        text = working_text(body.text, body.charset.encode())
    except LeftAlone:
        return
    check_text(text.octets, text.codec, joined_lines=joined_lines)


TARGET = Target(check, SEEDS, TOKENS)
