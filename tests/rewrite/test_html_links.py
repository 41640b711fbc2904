"""Which links of an HTML part are tracked, and what becomes of the attributes beside them."""

from __future__ import annotations

import pytest

from mailwake.html.scanner import scan
from mailwake.rewrite.edits import Purpose, chosen, pieces
from mailwake.rewrite.found_links import LinkCollector, PlannedLink
from mailwake.rewrite.html_links import find
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings


def rewritten(
    document: bytes, purposes: int = Purpose.CLEANUP | Purpose.CLICK, *, settings: RewriteSettings = DEFAULT_SETTINGS
) -> tuple[bytes, list[PlannedLink]]:
    """The document after its edits, `URL0`, `URL1`, … being the tracked ones."""
    collector = LinkCollector()
    edits = chosen(find(document, scan(document), "utf-8", "html", collector, settings), purposes)
    out = b""
    for piece in pieces(edits, len(document)):
        if isinstance(piece, bytes):
            out += piece
        elif isinstance(piece, int):
            out += b"URL%d" % piece
        else:
            out += document[piece.start : piece.end]
    return out, collector.links


@pytest.mark.parametrize(
    ("document", "after"),
    [
        (b'<a href="http://e.com/">', b'<a href="URL0">'),
        (b"<A HREF='http://e.com/'>", b"<A HREF='URL0'>"),
        (b"<a href=http://e.com/ >", b'<a href="URL0" >'),
        (b"<a href=http://e.com/>", b'<a href="URL0">'),
        (b"<a href = http://e.com/?a='\" class=b>", b'<a href = "URL0" class=b>'),
        (b'<a href="http://e.com/1" href="http://e.com/2">', b'<a href="URL0" href="http://e.com/2">'),
        (b'<area href="http://e.com/"/>', b'<area href="URL0"/>'),
        (b'<a href="mailto:x@e.com"><a href="#x"><a href=""><a href><a name=x>', None),
        (b'<link href="http://e.com/"><abbr href="http://e.com/">', None),
        (b'<!-- <a href="http://e.com/"> --><style><a href="http://e.com/"></style>', None),
        (b'<a href="http://e.com/1"><a href="http://e.com/2', b'<a href="URL0"><a href="http://e.com/2'),
        (b'<svg><a href="http://e.com/1"/></svg>', b'<svg><a href="URL0"/></svg>'),
    ],
)
def test_only_the_value_changes(document: bytes, after: bytes | None) -> None:
    assert rewritten(document)[0] == (document if after is None else after)


@pytest.mark.parametrize(
    ("document", "after"),
    [
        (b'<a data-msys-linkname="n" href="http://e.com/">', b'<a href="URL0">'),
        (b'<a href="http://e.com/" data-msys-linkname="n">', b'<a href="URL0">'),
        (b'<a href="http://e.com/"\r\n   data-msys-linkname="n"\r\n   class="x">', b'<a href="URL0"\r\n   class="x">'),
        (b'<a href=http://e.com/ data-msys-unsubscribe="1"/>', b'<a href="URL0" />'),
        (b'<a class=x data-msys-unsubscribe="1"/ href="http://e.com/">', b'<a class=x / href="URL0">'),
        (b'<a class="x"data-msys-linkname="n"href="http://e.com/">', b'<a class="x"href="URL0">'),
        (b'<a class=x data-msys-linkname="n"href="http://e.com/">', b'<a class=x href="URL0">'),
        (b"<a DATA-MSYS-LinkName=n href='http://e.com/'>", b"<a href='URL0'>"),
        (b'<a data-msys-linkname=a data-msys-linkname="b" href="http://e.com/">', b'<a href="URL0">'),
        (b'<a data-msys-clicktrack="0" href="http://e.com/">', b'<a href="http://e.com/">'),
        (b'<a data-msys-clicktrack href="http://e.com/">', b'<a href="URL0">'),
        (b'<a data-msys-linkname="n" href="mailto:x">', b'<a href="mailto:x">'),
        (b'<a data-msys-linkname="n">', b"<a>"),
        # What stands before it must not get a value.
        (b"<a href data-msys-linkname=n =x>", b"<a href data-msys-linkname=n =x>"),
        (b"<a r data-msys-linkname=n /=x>", b"<a r /=x>"),
        (b'<a href="http://e.com/" data-msys-linkname=>', b'<a href="URL0">'),
        (b'<a href="http://e.com/" data-msys-linkname = >', b'<a href="URL0">'),
        (b"<a href=\"http://e.com/\" data-msys-linkname = 'n' >", b'<a href="URL0" >'),
        (b'<a title data-msys-linkname="n" href="http://e.com/">', b'<a title href="URL0">'),
        (b"<a title='data-msys-linkname=x' data-msys-linkname2=y href=http://e.com>", None),
        (b"<svg><a/data-msys-linkname=n></a></svg>", b"<svg><a></a></svg>"),
        (b'<a data-msys-other="n" href="http://e.com/">', b'<a data-msys-other="n" href="URL0">'),
        (b'<p data-msys-linkname="n">', b'<p data-msys-linkname="n">'),
    ],
)
def test_attributes_for_the_tracking_system_are_removed(document: bytes, after: bytes | None) -> None:
    assert rewritten(document)[0] == (after or document.replace(b"http://e.com", b'"URL0"'))


def test_attributes_are_removed_although_clicks_are_off() -> None:
    document = b'<a data-msys-linkname="n" href=http://e.com/>'
    assert rewritten(document, Purpose.CLEANUP)[0] == b"<a href=http://e.com/>"


def test_what_the_attributes_say() -> None:
    document = (
        b'<a href="http://e.com/?a=1&amp;b=2" data-msys-linkname="Caf&eacute; &amp; Co" data-msys-sublink="my path">\n'
        b'<a data-msys-unsubscribe="1" href="http://e.com/u">\n\n<a href="tel:1">x</a>'
        b'<a data-msys-linkname="first" data-msys-linkname="second" href="http://e.com/">'
    )
    first, second, third, fourth = rewritten(document)[1]
    assert (first.target, first.name, first.sub_path, first.line) == (
        "http://e.com/?a=1&b=2",
        "Café & Co",
        "my_path",
        1,
    )
    assert (second.unsubscribe, second.name, second.line) == (True, "Raw URL", 2)
    assert (third.tracked, third.reason, third.line) == (False, "scheme tel", 4)
    assert fourth.name == "first"
    assert [link.index for link in (first, second, third, fourth)] == [0, 1, 2, 3]


def test_macros_inside_a_link_belong_to_its_target() -> None:
    document = b'<a href="http://e.com/{{opening_double_curly()}}id{{closing_double_curly()}}">'
    assert rewritten(document)[1][0].target == "http://e.com/{{id}}"


def test_a_host_that_is_damaged_is_no_error() -> None:
    (link,) = rewritten(b'<a href="http://[x/">a.example</a>')[1]
    assert (link.tracked, link.text_is_url) == (True, False)


MSO = (
    b'<!--[if mso]><v:roundrect xmlns:v="urn:x" href="http://e.com/v?a&amp;b" style="x"><w:anchorlock/></v:roundrect>'
    b'<a href="http://e.com/m">x</a><![endif]--><a href="http://e.com/n">y</a>'
    b'<!--[if !mso]> <a href="http://no"> <![endif]-->'
    b'<!--[if IE]><a href="http://no"><![endif]--><!-- mso <a href="http://no"> -->'
    b"<!--[if (gte mso 9)|(IE)]><a href=http://e.com/o><![endif]-->"
)


def test_links_for_outlook() -> None:
    after, links = rewritten(MSO)
    assert [link.target for link in links] == [
        "http://e.com/v?a&b",
        "http://e.com/m",
        "http://e.com/n",
        "http://e.com/o",
    ]
    expected = MSO.replace(b"http://e.com/v?a&amp;b", b"URL0").replace(b"http://e.com/m", b"URL1")
    assert after == expected.replace(b"http://e.com/n", b"URL2").replace(b"=http://e.com/o", b'="URL3"')
    after, links = rewritten(MSO, settings=RewriteSettings(track_mso=False))
    assert after == MSO.replace(b"http://e.com/n", b"URL0")


@pytest.mark.parametrize(
    ("text", "is_url"),
    [
        (b"https://a.example", True),
        (b" <b><font color=x>\r\nwww.a.example</font></b>", True),
        (b"a.example", True),
        (b"<b>A.Example</b>/sale", True),
        (b"example", False),
        (b"b.example", False),
        (b"xa.example", False),
        (b"a.example is open", True),
        (b"Node.js", False),
        (b"e.g. this", False),
        (b"Visit https://a.example", False),
        (b"</a>https://a.example", False),
        (b'<img src="https://a.example">', False),
    ],
)
def test_link_text_that_is_a_url(text: bytes, is_url: bool) -> None:
    document = b'<a href="https://a.example">' + text + b"</a>"
    (link,) = rewritten(document)[1]
    assert (link.text_is_url, link.tracked) == (is_url, True)
    (link,) = rewritten(document, settings=RewriteSettings(tracked_link_text="skip"))[1]
    assert link.reason == ("link text is a URL" if is_url else "")
