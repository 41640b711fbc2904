"""The reference of what tracking does to a message: attributes of links, macros, what stays (1-injection §4).

The example and the reasons are made by the planner itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.links.body import RAW_URL_NAME
from mailwake.links.tracked_url import DEFAULT_SUB_PATH, click_url, initial_open_url, open_url
from mailwake.markdown import code, table
from mailwake.message.mime_tree import parse
from mailwake.rewrite.link_target import MAX_NAME_BYTES, MAX_SUB_PATH_LENGTH, MAX_TARGET_BYTES
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOMAIN = "track.example.com"

EXAMPLE_HTML = """\
<html><body>
<a href="https://www.example.com/sale" data-msys-linkname="banner">Sale</a>
<a href="https://www.example.com/terms" data-msys-clicktrack="0">Terms</a>
<a href="https://www.example.com/out" data-msys-unsubscribe="1">Unsubscribe</a>
<a href="https://www.example.com/item/7" data-msys-sublink="open in app">Item 7</a>
<p>Your code: {{opening_double_curly()}}code{{closing_double_curly()}}</p>
</body></html>
"""

EXAMPLE_TEXT = """\
Sale: https://www.example.com/sale
Terms: https://www.example.com/terms[[data-msys-clicktrack="0"]]
Unsubscribe: https://www.example.com/out[[data-msys-unsubscribe="1"]]
"""

UNTRACKED_LINKS = (
    '<a href="">',
    '<a href="#top">',
    '<a href="/terms">',
    '<a href="mailto:shop@example.com">',
    '<a href="tel:+4930123456">',
    '<a href="myapp://item/7">',
    '<a href="https:///path">',
    f'<a href="https://www.example.com/{"a" * MAX_TARGET_BYTES}">',
    '<a href="https://www.example.com/terms" data-msys-clicktrack="0">',
)
"""Links that stay as they are."""

_TEXT = "Content-Type: text/plain"
UNTRACKED_PARTS = (
    ("inside `multipart/signed`, or S/MIME", 'Content-Type: multipart/signed; boundary="b"\n\n--b\n\nA\n--b--\n'),
    (
        "a message that arrives with a DKIM or ARC signature, unless `on_signed` is `track` *(ours)*",
        f"DKIM-Signature: d=a.example; b=x\n{_TEXT}\n\nA\n",
    ),
    ("inside `multipart/encrypted`", 'Content-Type: multipart/encrypted; boundary="b"\n\n--b\n\nA\n--b--\n'),
    ("text with an inline PGP block", f"{_TEXT}\n\n-----BEGIN PGP SIGNED MESSAGE-----\n\nA\n"),
    ("a multipart whose boundary is not there", 'Content-Type: multipart/mixed; boundary="b"\n\nA\n'),
    ("a header that says two things", f"{_TEXT}\nContent-Type: text/html\n\nA\n"),
    ("HTML without a blank line behind its header", "Content-Type: text/html\n"),
    ("UTF-16 or UTF-32 without quoted-printable or base64", f"{_TEXT}; charset=utf-16le\n\nA\0"),
    ("an unknown charset", f"{_TEXT}; charset=x-unheard-of\n\nA\n"),
    ("text that its charset cannot give back", f"{_TEXT}; charset=utf-7\n\n+AEE-\n"),
    ("an unknown transfer encoding", f"{_TEXT}\nContent-Transfer-Encoding: x-uuencode\n\nA\n"),
    ("quoted-printable that is damaged", f"{_TEXT}\nContent-Transfer-Encoding: quoted-printable\n\n=ZZ\n"),
    ("base64 that is damaged", f"{_TEXT}\nContent-Transfer-Encoding: base64\n\nAB*C\n"),
)
"""Parts that stay as they are: in words, and a message that has one."""


def rewriting_reference() -> str:
    """The sections about the message itself, in Markdown."""
    return (
        _INTRODUCTION
        + table(("in HTML", "in plain text, right behind the URL", "effect"), _attributes())
        + _MACROS
        + f"For example, the HTML part\n\n{_block(EXAMPLE_HTML)}becomes\n\n{_block(tracked('text/html', EXAMPLE_HTML))}"
        + f"and the text part\n\n{_block(EXAMPLE_TEXT)}becomes\n\n{_block(tracked('text/plain', EXAMPLE_TEXT))}"
        + _LINKS
        + table(("link", "reason"), untracked_links())
        + _PARTS
        + table(("part", "reason"), untracked_parts())
    )


def _block(text: str) -> str:
    return f"```\n{text}```\n\n"


def tracked(media_type: str, body: str) -> str:
    """The body with its links tracked and both images in it; `TOKEN-1` and so on stand for tokens."""
    content = f"Content-Type: {media_type}; charset=utf-8\r\n\r\n".encode() + body.replace("\n", "\r\n").encode()
    plan = make_plan(content, parse(content))
    urls = [
        click_url("http", _DOMAIN, link.sub_path, f"TOKEN-{number}".encode())
        for number, link in enumerate(plan.tracked, 1)
    ]
    copy = b"".join(
        render(
            plan,
            click_urls=urls,
            open_url=open_url("http", _DOMAIN, b"TOKEN-OPEN"),
            initial_open_url=initial_open_url("http", _DOMAIN, b"TOKEN-INITIAL-OPEN"),
        )
    )
    return copy.partition(b"\r\n\r\n")[2].decode().replace("\r\n", "\n")


def untracked_links() -> Iterator[tuple[str, str]]:
    """Each example of a link that stays as it is, with the reason that the planner gives."""
    for tag in UNTRACKED_LINKS:
        content = f"Content-Type: text/html\r\n\r\n{tag}".encode()
        (link,) = make_plan(content, parse(content)).links
        shown = tag if len(tag) < MAX_TARGET_BYTES else f"a target longer than {MAX_TARGET_BYTES} bytes"
        yield code(shown) if shown is tag else shown, code(link.reason)


def untracked_parts() -> Iterator[tuple[str, str]]:
    """Each kind of part that stays as it is, with the reason that the planner gives."""
    for words, message in UNTRACKED_PARTS:
        content = message.replace("\n", "\r\n").encode()
        (skipped,) = make_plan(content, parse(content)).skipped_parts
        yield words, code(skipped.reason)


def _attributes() -> Iterator[tuple[str, str, str]]:
    name = f"the link's name in events, cut at {MAX_NAME_BYTES} bytes; without it `{RAW_URL_NAME}`"
    sub_path = (
        f"the path before the token, for links that an app opens; without it `{DEFAULT_SUB_PATH}`. Spaces become `_`; "
        f"more than {MAX_SUB_PATH_LENGTH} characters, `..` and empty segments give the default *(ours)*"
    )
    for attribute, effect in (
        ('data-msys-linkname="banner"', name),
        ('data-msys-clicktrack="0"', "this link stays as it is"),
        ('data-msys-unsubscribe="1"', "its click is a `link_unsubscribe` event"),
        ('data-msys-sublink="custom_path"', sub_path),
    ):
        yield code(attribute), "–" if "linkname" in attribute else code(f"[[{attribute}]]"), effect


_INTRODUCTION = """\
## Attributes of links

They are removed from every copy in which anything is tracked. A message in which nothing is tracked keeps every byte
but the header's *(ours)*.

"""

_MACROS = """
## Macros

`{{opening_double_curly()}}` becomes `{{` and `{{closing_double_curly()}}` becomes `}}`, in parts that are tracked;
other double curly braces stay. With the setting `open_pixel = "macro"`, `{{open_pixel()}}` in the HTML part says where
the image that reports an open stands, there is no image at the start, and a part without the macro gets none *(ours)*.

"""

_LINKS = f"""\
## Links that stay as they are

A link is tracked when it begins with `http://` or `https://`, in any case, and names a host, in the first `text/html`,
`text/plain` and `text/x-amp-html` part that is a body. A target of more than {MAX_TARGET_BYTES} bytes is not tracked.
The reason is what `mailwake explain` shows.

"""

_PARTS = """
## Parts that stay as they are

Attachments (a part with a file name is one, unless it is all of the message *(ours)*), messages inside the message, and
what cannot be changed without risk: nothing is guessed, the part leaves as it came, and it is counted in
`mailwake_parts_unchanged_total` under this reason.

"""
