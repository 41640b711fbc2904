"""HTML documents and plain texts as hypothesis makes them: well nested, cut off, and pieces in any order."""

from __future__ import annotations

from hypothesis import strategies as st

URLS = (
    *(
        "http://e.com/1",
        "https://e.com/?a=1&amp;b=2",
        "HTTP://E.COM/3",
        "http://e.com/{{opening_double_curly()}}x",
        "#a",
    ),
    *("mailto:a@e.com", "/relative", "//e.com/x", "", "http://e.com/ä", "http://日本.example/", " http://e.com/s \r\n"),
    *("http://e.com/" + "p" * 120, "javascript:void(0)", "http://", "http://e.com/&copy=2", "http://e.com/#f"),
)
_OUR_ATTRIBUTES = (
    *(
        'data-msys-linkname="n"',
        "data-msys-linkname='längerer Name'",
        "data-msys-clicktrack=0",
        "data-msys-unsubscribe=1",
    ),
    *(
        'data-msys-unsubscribe="1"',
        'data-msys-sublink="a b"',
        "DATA-MSYS-LINKNAME=x",
        "data-msys-other=1",
        "data-msys-linkname",
    ),
)
_OTHER_ATTRIBUTES = (
    *(
        'class="x"',
        "id=y",
        "style='a: b'",
        'title="<a href=x>"',
        "alt='>'",
        "disabled",
        'x="\'"',
        "/",
        "href",
        'xlink:href="z"',
    ),
)
_INLINE = ("b", "i", "span", "font", "em", "p", "div", "td", "li", "center", "object", "button", "noscript")
_RAW_TEXT = ("style", "script", "title", "textarea", "xmp", "iframe", "noembed")
_FOREIGN = ("svg", "math")
_TEXTS = (
    *(
        "text ",
        "ä",
        "日本",
        "&amp;",
        "&lt;a href=x&gt;",
        "x" * 80,
        "\r\n",
        " ",
        "http://e.com/t",
        "=",
        "=3D",
        ".",
        "\t",
    ),
    *("{{opening_double_curly()}}x{{closing_double_curly()}}", "{{open_pixel()}}", "{{", "}}", "y" * 400, "<", "a < b"),
)
_COMMENTS = (
    *("<!-- <a href='http://e.com/c'> -->", "<!---->", "<!-->", "<!--x--!>", "<!doctype x>", "<?xml a='>' ?>", "</>"),
    *('<!--[if mso]><v:roundrect href="http://e.com/v"><a href="http://e.com/m">x</a><![endif]-->', "</x y>"),
    *('<!--[if !mso]><!--><a href="http://e.com/n">x</a><!--<![endif]-->', "<![if gte vml 1]>", "<![CDATA[x]]>"),
)
_BROKEN = (
    *(
        "<a href=",
        "<a ",
        '"',
        "'",
        ">",
        "<!--",
        "-->",
        "<style>",
        "</style>",
        "<svg>",
        "</svg>",
        "<title>",
        "</body>",
        "<body>",
    ),
    *(
        "<html>",
        "</html>",
        "</a>",
        "\0",
        "=",
        "\n",
        "<frameset>",
        "\x1b$B",
        "<table>",
        "</p>",
        "<a href='x\"",
        "<script><!--",
    ),
)


def spaced_attribute(name: str, value: str, quote: str, space: str) -> str:
    """An attribute with white space around its equals sign; what cannot stand without quotes gets them."""
    if not quote and (not value or set(value) & set(" \t\r\n\f>\"'")):
        quote = '"'
    return f"{name}{space}={space}{quote}{value}{quote}"


hrefs = st.builds(
    spaced_attribute,
    st.sampled_from(("href", "HREF", "href", "src")),
    st.sampled_from(URLS),
    st.sampled_from(('"', "'", "")),
    st.sampled_from(("", "", " ", "\r\n")),
)
attributes = st.sampled_from(_OUR_ATTRIBUTES) | st.sampled_from(_OTHER_ATTRIBUTES) | hrefs
attribute_lists = st.lists(attributes, max_size=4).map(lambda found: "".join(f" {attribute}" for attribute in found))


def element(name: str, attribute_list: str, content: list[str]) -> str:
    """An element with its end tag."""
    return f"<{name}{attribute_list}>{''.join(content)}</{name}>"


_links = st.builds(
    element, st.sampled_from(("a", "A", "area")), attribute_lists, st.lists(st.sampled_from(_TEXTS), max_size=2)
)
_raw_texts = st.builds(
    element, st.sampled_from(_RAW_TEXT), attribute_lists, st.lists(st.sampled_from(_TEXTS + _COMMENTS[:1]), max_size=2)
)
_simple = st.sampled_from(_TEXTS) | st.sampled_from(_COMMENTS) | _links | _raw_texts
elements = st.recursive(
    _simple,
    lambda inside: st.builds(
        element, st.sampled_from(_INLINE + _FOREIGN + ("table",)), attribute_lists, st.lists(inside, max_size=4)
    ),
    max_leaves=12,
)


def document(head: str, body: list[str]) -> str:
    """A whole document."""
    return f"<!DOCTYPE html>\r\n<html><head>{head}</head>\r\n<body class=x>\r\n{''.join(body)}</body>\r\n</html>\r\n"


_documents = st.builds(document, _raw_texts, st.lists(elements, max_size=5))
_fragments = st.lists(elements, max_size=5).map("".join)
_soups = st.lists(st.sampled_from(_BROKEN) | _simple, max_size=15).map("".join)


@st.composite
def _cut(draw: st.DrawFn) -> str:
    whole = draw(_documents | _fragments)
    return whole[: draw(st.integers(0, len(whole)))]


html_documents: st.SearchStrategy[str] = _documents | _fragments | _soups | _cut()
"""HTML from a whole document to nonsense."""

_TEXT_PIECES = (
    *(
        "http://e.com/1",
        "https://e.com/ä",
        "HTTP://E.COM",
        "http://e.com/a_(b)",
        "http://日本.example/",
        "http",
        "://",
        "www.e.com",
    ),
    *(
        '[[data-msys-unsubscribe="1"]]',
        "[[data-msys-clicktrack='0']][[data-msys-sublink=a]]",
        "[[data-msys-",
        "]]",
        "[",
        "(",
        ")",
    ),
    *(
        " ",
        "\r\n",
        " \r\n",
        "> ",
        "<",
        ">",
        '"',
        "'",
        ".",
        ",",
        "。",
        "\u3000",
        "\u00a0",
        "=",
        "=3D",
        "x" * 70,
        "y" * 900,
        "*",
        "_",
    ),
    *("{{opening_double_curly()}}", "{{closing_double_curly()}}", "-- \r\n", "From ", "\n", "\t", "日本"),
)
plain_texts = st.lists(st.sampled_from(_TEXT_PIECES), max_size=30).map("".join)
"""Plain text in which there are URLs, with notes behind them."""
