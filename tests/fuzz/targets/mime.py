"""Whole messages: the tree, the parts that are the body, the plan and the copies."""

from __future__ import annotations

from tests.fuzz.message_invariants import check_message
from tests.fuzz.target import Target

SEEDS = (
    b"""\
Received: x\r
X-MSYS-API: {"options":\r
  {}}\r
Subject: a\r
Content-Type: multipart/alternative; boundary="b"\r
\r
preamble\r
--b\r
Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r
\r
See http://e.com/t[[data-msys-clicktrack="0"]] or http://e.com/a \r
b \r
--b\r
Content-Type: text/html; charset=us-ascii\r
Content-Transfer-Encoding: quoted-printable\r
\r
<html><body><a data-msys-linkname=3D"n" href=3D"http://e.com/h">=\r
x</a> {{opening_double_curly()}}</body></html>\r
--b--\r
epilogue\r
""",
    b"""\
Content-Type: multipart/mixed; boundary=bb
MIME-Version: 1.0

--bb
Content-Type: multipart/related;
 boundary="b"; type="text/html"

--b
Content-Type: text/html
content-transfer-encoding: BASE64
Content-ID: <x>

PGEgaHJlZj0iaHR0cDovL2UuY29tIj54PC9hPg==
--b
Content-Type: image/gif; name=x.gif
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="x.gif"

R0lGODlhAQABAIAAAAAAAP==
--bb
Content-Type: message/rfc822

Content-Type: text/html

<a href=http://e.com/2>
--bb--
""",
    b"Content-Type: text/html; charset=shift_jis\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
    b"<p><a href=http://e.com/\r\n>x</a><!--[if mso]><v:rect href='http://e.com/3'><![endif]-->\r\n",
    b"Content-Type: multipart/signed; boundary=s; micalg=x\r\n\r\n--s\r\nContent-Type: text/html\r\n\r\n"
    b"<a href=http://e.com>\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n",
    b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: x\n\nhttp://e.com\n--d\n"
    b"Content-Type: text/x-amp-html\n\n"
    b"<html amp4email><body><a href=https://e.com/{{x}}></body></html>\n--d--",
    b"Subject: no type\r\n\r\nhttp://e.com/1 (http://e.com/2).\r\n" + b"x" * 990 + b" http://e.com/\r\n",
)
TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\r",
        b"--b\r\n",
        b"--b--\r\n",
        b"--b\n",
        b"--b",
        b"--bb\r\n",
        b"--bb--\n",
    ),
    *(b"Content-Type: text/html\r\n", b"Content-Type: text/plain\n", b"Content-Type: multipart/mixed; boundary=b\r\n"),
    *(b'Content-Type: multipart/alternative; boundary="bb"\n', b"Content-Type: text/x-amp-html\r\n", b"; boundary=b"),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b" \r\n", b"\t\n"),
    *(b"Content-Transfer-Encoding: 8bit\n", b"Content-Disposition: attachment\r\n", b"Content-Disposition: inline\n"),
    *(
        b"; charset=utf-16",
        b"; charset=iso-2022-jp",
        b"; charset=utf-7",
        b"; charset=gbk",
        b"; name=x",
        b"X-MSYS-API: {}\r\n",
    ),
    *(b"message/rfc822", b"multipart/signed", b"multipart/digest", b"text/calendar", b"; format=flowed; delsp=yes"),
    *(
        b'<a href="http://e.com/">',
        b"<a href=http://e.com/>",
        b'<a href=3D"http://e.com/">',
        b"http://e.com/",
        b"=\r\n",
    ),
    *(
        b"=\n",
        b"=3D",
        b"=20",
        b"=0D=0A",
        b"PGEgaHJlZj1odHRwOi8vZS5jb20+",
        b"</body>",
        b"</html>",
        b"<body>",
        b"<p>",
        b"=",
    ),
    *(
        b'[[data-msys-unsubscribe="1"]]',
        b' data-msys-linkname="n"',
        b"{{closing_double_curly()}}",
        b"x" * 75,
        b"y" * 990,
    ),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\x1b$B",
        b"\x1b(B",
        b"\xe4",
        b"<!--",
        b"-->",
        b"<style>",
        b"MIME-Version: 1.0\r\n",
    ),
)


def check(data: bytes) -> None:
    check_message(data)


TARGET = Target(check, SEEDS, TOKENS)
