"""Messages on their way to servers without 8BITMIME or BINARYMIME."""

from __future__ import annotations

from tests.fuzz.conversion_invariants import check_conversion
from tests.fuzz.target import Target
from tests.fuzz.targets import mime

SEEDS = (
    *mime.SEEDS,
    b"Subject: x\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n",
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"pr\xe4amble\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"--x\xe4 \r\n-- \r\n" + b"\xe4x" * 80 + b"\r\n--b\r\nContent-Type: message/rfc822\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nSubject: \xe4\r\n\r\nGr\xfc\xdfe\r\n--b--\r\n\xe4\r\n",
    b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\xe4\r\n--s\r\n\r\nx\r\n--s--\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb\r\n"
    b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\x89PNG\r\n\x1a\n\0\n--b\n\r\r\n"
    b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    + b"y" * 1200
    + b"\r\n--b--\r\n\0\r",
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\xc3\xa4=C3=A4=\r\nx",
    b"Content-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\nR0lG\xe4ODlh\r\n",
    b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: x\r\n\r\n\xe4\r\n--d--",
)
TOKENS = (
    *mime.TOKENS,
    *(
        b"Content-Transfer-Encoding: binary\r\n",
        b"Content-Transfer-Encoding: 8bit\r\n",
        b"\0",
        b"\xc3\xa4",
        b"\r\n\r\n",
    ),
    *(b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: message/global\r\n\r\n", b"message/partial"),
    *(b"Content-Type: multipart/signed; boundary=b\r\n", b'Content-Type: multipart/mixed; boundary="x=E4"\r\n'),
    *(b"--x=E4\r\n", b"--x\xe4\r\n", b"--b\xe4\r\n", b"-- \r\n", b"z" * 997, b"\xe4" * 60),
)


def check(data: bytes) -> None:
    check_conversion(data)


TARGET = Target(check, SEEDS, TOKENS)
