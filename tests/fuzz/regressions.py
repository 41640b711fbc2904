"""Inputs of the fuzz targets that once showed a bug: each target's check is run over them in the tests."""

from __future__ import annotations

from tests.fuzz.bodies import body_input

REGRESSIONS: dict[str, tuple[bytes, ...]] = {
    "header": (
        b"Subject: =?utf-8?B?a?=\r\n",  # an exception: no base64
        b"From: =?utf-7?Q?+2AA-?=\r\n",  # half of a surrogate pair in an event
        b"Subject: =?raw_unicode_escape?Q?\\ud800?=\r\n",
    ),
    "mime": (
        # A part without a blank line: the image stood in its header.
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b--\n",
        # An escape character beside a link, which says something else when other text follows it.
        b"\n\x1bhttp://m\x1b$",
        # A soft line break put the text `--b--` on a line of its own, where it was the last boundary.
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhttp://c\n" + b"x" * 75 + b"--b--\n--b--\n",
        # A control character in a host with others beyond ASCII reached the target, and so the Location field.
        b"Content-Type:text/html\n\n<a href=http://\x17:\xfe>",
        # A line of 999 octets before a bare line feed counted as one of 998.
        b"\n" + b"y" * 999 + b"\nhttp://e {{closing_double_curly()}}",
    ),
    "conversion": (
        # A label on the second line of its field, where the standard library does not find it.
        b"Content-Type: x/y\r\nContent-Transfer-Encoding:\r\n binary\r\n\r\n\xe4\r\n",
        # A closing boundary alone, behind which the text stood that was made ASCII.
        b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r[\n\r\nSubject: x\r\n\r\n\xe4\r\n--d--",
    ),
    "html": (
        body_input(b"<math><mi><a></mi><textarea><a href=>", "base64"),  # the end tag of mi closed the a
        body_input(b"<a r data-msys-unsubscribe=f =>"),  # without it, `=` was the value of r
        body_input(b"<script><!--<script></script>--></script>"),  # the image stood in the script
        # A removed attribute joined two lines to one that was too long.
        body_input(b"<a id=" + b"x" * 700 + b"\r\n data-msys-linkname=n title=" + b"y" * 700 + b">"),
    ),
    "text": (
        body_input(b"\x1bhttp://m\x1b$", "7bit", "us-ascii"),
        # An escape character that introduces nothing; the letter that ended its sequence stood in a link.
        body_input("\x1b[1 http://e.com/D \u3000x".encode(), "7bit", "iso-2022-jp"),
        body_input(b"HTTP://{{closing \n_double_curly()}}", variant=b"4"),  # the check, not the code, was wrong
    ),
    "msys_header": (),
    "http_request": (
        # An upgrade ended the message before its chunks, which were no body then.
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ),
}
