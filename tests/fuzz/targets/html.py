"""HTML and AMP documents in every transfer encoding and many charsets; their links against those of lexbor."""

from __future__ import annotations

from tests.fuzz.bodies import BodyInput, body_input
from tests.fuzz.html_invariants import check_html
from tests.fuzz.message_invariants import check_message
from tests.fuzz.target import Target

from mailwake.rewrite.charsets import LeftAlone, working_text
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings

DOCUMENT = (
    b"<!DOCTYPE html>\r\n<html><head><title>x</title><style>a{}</style></head><body class=x>\r\n"
    b'<div style="display:none">pre-header</div><table><tr><td><a href="http://e.com/1?a=1&amp;b=2" '
    b'data-msys-linkname="n" class=y>x</a></td></tr></table>{{opening_double_curly()}}\r\n</body></html>\r\n'
)
SEEDS = (
    body_input(DOCUMENT),
    body_input(DOCUMENT, "quoted-printable"),
    body_input(DOCUMENT, "base64", "windows-1252", b"1"),
    body_input(DOCUMENT, "base64", "utf-16"),
    body_input(DOCUMENT.replace(b"pre", "prä".encode()), "quoted-printable", "utf-7"),
    body_input(DOCUMENT.replace(b"x", "日本".encode()), "7bit", "iso-2022-jp"),
    body_input(
        b"<a href=http://e.com/1><area href='//e.com'><a\nhref = \"mailto:x@e.com\">{{open_pixel()}}", variant=b"4"
    ),
    body_input(
        b'<!--[if mso]><v:roundrect href="http://e.com/2"/><a href=http://e.com/3><![endif]--><!--[if !mso]><!-->'
    ),
    body_input(
        b"<svg><a xlink:href=x href='http://e.com/4'><![CDATA[<a href=5>]]><foreignObject><a href=http://e.com/6>"
    ),
    body_input(
        b"<script><!--<script></script>--></script><textarea><a href=7></textarea><xmp></xmp><a href=http://e.com/8"
    ),
    body_input(
        b"<math><mi><a href=http://e.com/9></mi><annotation-xml encoding=text/html><a href=http://e.com/10>", "base64"
    ),
    body_input(
        b"<html amp4email><body><a href=https://e.com/11><a href=https://e.com/{{x}}></body></html>", variant=b"8"
    ),
)
TOKENS = (
    *(
        b"<a ",
        b"<a href=",
        b'<a href="http://e.com/">',
        b"<a href='http://e.com/'>",
        b"<a href=http://e.com/>",
        b"</a>",
    ),
    *(
        b"<area href=http://e.com/ />",
        b" href=",
        b"href",
        b"=",
        b'"',
        b"'",
        b">",
        b"<",
        b"/",
        b"/>",
        b" ",
        b"\r\n",
        b"\n",
        b"\f",
    ),
    *(
        b"<p>",
        b"</p>",
        b"<div>",
        b"</div>",
        b"<table>",
        b"<td>",
        b"</table>",
        b"<b>",
        b"</b>",
        b"<br>",
        b"<html>",
        b"</html>",
    ),
    *(b"<head>", b"</head>", b"<body>", b"</body>", b"<title>", b"</title>", b"<style>", b"</style>", b"<script>"),
    *(
        b"</script>",
        b"<textarea>",
        b"</textarea>",
        b"<noscript>",
        b"</noscript>",
        b"<iframe>",
        b"</iframe>",
        b"<plaintext>",
    ),
    *(b"<!--", b"-->", b"--!>", b"<!-->", b"<!", b"<?", b"</", b"<![CDATA[", b"]]>", b"<!--[if mso]>", b"<![endif]-->"),
    *(
        b"<svg>",
        b"</svg>",
        b"<math>",
        b"</math>",
        b"<foreignObject>",
        b"</foreignObject>",
        b"<desc>",
        b"<mi>",
        b"</mi>",
    ),
    *(b"<annotation-xml encoding=text/html>", b"<font color=x>", b"<svg/>", b"<img>", b"<li>", b"<button>", b"<form>"),
    *(b'data-msys-linkname="n"', b" data-msys-unsubscribe=1", b"data-msys-clicktrack='0'", b" data-msys-sublink=a/b"),
    *(
        b"{{opening_double_curly()}}",
        b"{{closing_double_curly()}}",
        b"{{open_pixel()}}",
        b"&amp;",
        b"&#x41;",
        b"&not",
        b"\0",
    ),
    *(
        b"x" * 75,
        b"y" * 990,
        b"\xc3\xa4",
        b"\xe4",
        b"\x1b$B",
        b"\x1b(B",
        b"~{",
        b"+-",
        b"=3D",
        b"=\r\n",
        b"\xef\xbb\xbf",
        b"\t",
    ),
    *(b'<div style="display:none">', b"<object>", b"</br>", b"<hr>", b"<caption>", b"<marquee>", b"<nobr>", b"<xmp>"),
)
_SETTINGS = (DEFAULT_SETTINGS, RewriteSettings(open_pixel="macro", tracked_link_text="skip"))


def check(data: bytes) -> None:
    body = BodyInput(data)
    amp, macro = body.variant & 8, body.variant & 4
    check_message(body.message("x-amp-html" if amp else "html"), settings=_SETTINGS[1 if macro else 0])
    try:
        text = working_text(body.text, body.charset.encode())
    except LeftAlone:
        return
    check_html(text.octets, text.codec)


TARGET = Target(check, SEEDS, TOKENS)
