"""Where the images that report an open are put."""

from __future__ import annotations

import pytest

from mailwake.html.scanner import scan
from mailwake.rewrite.open_pixel import body_edits, end_position, start_position


def marked(document: bytes) -> bytes:
    """`^` where the initial image stands, `~` where the one at the end stands."""
    found = scan(document)
    start, end = start_position(document, found), end_position(document, found)
    assert start <= end
    return document[:start] + b"^" + document[start:end] + b"~" + document[end:]


@pytest.mark.parametrize(
    "expected",
    [
        b"<html><body class=x>^<p>hi</p>~</body></html>",
        b"^<p>hi</p>~",
        b"^text~ \r\n",
        b"<html><body>^x<!-- </body> --><style></body></style>~</body></html>",
        b"<html><body>^x</body></html><p>y</p>~</body></html>",
        b"<html>^<p>x</p>~</html>",
        b"<!doctype html>\r\n<html><head><title><b></title><style>p{}</style><meta name=x></head>\r\n^<p>x</p>~\r\n",
        b"\xef\xbb\xbf<!-- x -->^<p>~",
        b"<script>if (1 < 2) x()</script>^<p>~",
        b"^<script><!--<script></script>--></script><p>~",
        b'<body>^<p>x</p>~<a href="http://e.com',
        b"<body>^<p>x</p>~<!-- never closed </body>",
        b"<body>^<p>x</p>~<style>p{} </body>",
        b"<BODY\r\nbgcolor='>'>^x~</BODY >",
        b'<body><div style="display: none; max-height:0">Pre <div>x</div> text</div>^\r\n<p>x</p>~</body>',
        b"<body>\r\n<!-- p --><span class='preheader'>Pre</span>^<p>x</p>~</body>",
        b"<body><div style='font-size:0;mso-hide:all'>a</div><div style=visibility:hidden>b</div>^<p>x</p>~</body>",
        b'<body>^<div style="display:none">never closed<p>x</p>~</body>',
        b'<body>^<p class=x>x</p><div style="display:none">y</div>~</body>',
        b'<body><center bgcolor=x>\n<!-- P --><div style="DISPLAY : NONE">Pre</div>^<!-- E --><p>x</center>~</body>',
        b'<body><table><tr><td style="display:none">Pre</td><td>^x</td></tr></table>~</body>',
        b'<body><table style="max-height:0px"><tr><td>Pre</td></tr></table>^<table><tr><td>x</td></tr></table>~</body>',
        b"<body><table><tr><td><!--[if mso]><i>o</i><![endif]--><p id=pre-view>Pre</p>^x</td></tr></table>~</body>",
        b'<body><!--[if !gte mso 9]><!----><span style="opacity:0;">Pre</span>^<!--<![endif]--><p>x</p>~</body>',
        b"<body><style>p{display:none} <p></style><img src=x><div style='display:none'>Pre</div>^x~</body>",
        b'<body><div style="display:none"><style></div></style>Pre</div>^x~</body>',
        b'<body>^<div style="max-height:0.5em">x</div>~</body>',
        b'<body>^<p>x</p><div style="display:none">Post</div>~</body>',
        b"<body>^~</body><div style='display:none'>y</div>",
        b"<body>^<table><tr style='display:none'>Pre</tr>x</table>~</body>",
        b'<body>^<div class="preview-all">' + b"<p>x</p>" * 3000 + b"</div>~</body>",
        b'<body>^<div style="display:none">' + b"<p>x</p>" * 3000 + b"</div>y~</body>",
        b"<body>^<svg style='display:none'></svg>x~</body>",
        b"^~",
    ],
)
def test_places(expected: bytes) -> None:
    document = expected.replace(b"^", b"").replace(b"~", b"")
    assert marked(document) == expected


def test_a_frameset_takes_no_image() -> None:
    document = b"<html><head></head><frameset><frame src=x></frameset></html>"
    assert body_edits(document, scan(document), amp=False) == []
