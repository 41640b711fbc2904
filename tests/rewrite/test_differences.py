"""Taking the differences away again gives back every byte: over the corpus, the transfer encodings and charsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.corpus import with_line_ends

from mailwake.html.scanner import scan
from mailwake.message.mime_tree import parse
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, RewriteSettings, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS = ("7bit", "8bit", "quoted-printable", "base64")
OPEN_URL = b"http://t.example/q/" + b"o" * 150
INITIAL_OPEN_URL = b"http://t.example/o/" + b"i" * 150
PIXEL = b'<img src="%s" alt="" width="1" height="1" border="0">'


def click_urls(plan: MessagePlan) -> list[bytes]:
    # Of different lengths, so that every column of a line is met; each is unique and none is part of another.
    return [
        b"http://t.example/f/a/%04d" % number + b"X" * (40 + number * 7 % 200) for number in range(len(plan.tracked))
    ]


def taken_back(plan: MessagePlan, text: bytes, urls: list[bytes], codec: str = "ascii") -> bytes:
    """`text`, the decoded part of a copy, with the original values in the place of the URLs, and without images."""

    def coded(value: bytes) -> bytes:
        return value.decode("ascii").encode(codec)

    (part,) = plan.parts
    for url in (OPEN_URL, INITIAL_OPEN_URL):
        image = coded(PIXEL % url)
        assert text.count(image) == 1
        text = text.replace(image, b"")
    for edit in chosen(part.edits, Purpose.CLICK):
        assert edit.slot is not None
        new = edit.before + coded(urls[edit.slot]) + edit.after
        assert text.count(new) == 1
        text = text.replace(new, part.text[edit.start : edit.end])
    return text


def check(content: bytes, decode: Callable[[bytes, bytes], bytes], codec: str = "ascii") -> MessagePlan:
    root = parse(content)
    plan = make_plan(content, root)
    assert b"".join(render(plan)) == content
    if not plan.parts:
        assert plan.skipped_parts
        return plan
    assert not plan.skipped_parts
    urls = click_urls(plan)
    copy = b"".join(render(plan, click_urls=urls, open_url=OPEN_URL, initial_open_url=INITIAL_OPEN_URL))
    new_root = parse(copy)
    encoding = new_root.transfer_encoding
    if encoding == root.transfer_encoding:
        assert copy[: new_root.body_start] == content[: root.body_start]
    else:
        assert encoding == b"quoted-printable"
        assert root.transfer_encoding in (b"7bit", b"8bit", b"binary")
        header = content[: root.body_start].replace(
            b"Transfer-Encoding: " + root.transfer_encoding, b"Transfer-Encoding: quoted-printable"
        )
        assert copy[: new_root.body_start] == header
    text = decode(copy[new_root.body_start :], encoding)
    assert taken_back(plan, text, urls, codec) == decode(content[root.body_start :], root.transfer_encoding)
    check_lines(content, copy, encoding, converted=encoding != root.transfer_encoding)
    return plan


def check_lines(content: bytes, copy: bytes, encoding: bytes, *, converted: bool) -> None:
    lines = copy.split(b"\r\n")
    longest = max(map(len, lines))
    if encoding == b"base64":
        assert longest <= 76
    elif encoding == b"quoted-printable":
        known = set() if converted else set(content.split(b"\r\n"))
        assert all(len(line) <= 76 for line in lines if line not in known)
    else:
        assert longest <= 998


@pytest.mark.parametrize("transfer_encoding", ENCODINGS)
def test_corpus(
    corpus: list[Any], transfer_encoding: str, make_message: Callable[..., bytes], body_decoder: Callable[..., bytes]
) -> None:
    unfit = []
    for file in corpus:
        utf_16 = file.charset == "utf-16"
        text = file.content if utf_16 else with_line_ends(file.content)
        content = make_message(text, charset=file.charset or "utf-8", transfer_encoding=transfer_encoding)
        plan = check(content, body_decoder, "utf-16-le" if utf_16 else "ascii")
        if not plan.parts:
            unfit.append(plan.skipped_parts[0].reason)
    # UTF-16 has no lines of bytes: without an encoding it could not be folded.
    assert unfit == (["charset needs an encoding"] if transfer_encoding in ("7bit", "8bit") else [])


@pytest.mark.parametrize("transfer_encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "ascii"),
        ("windows-1252", "ascii"),
        ("gb18030", "ascii"),
        ("iso-2022-jp", "iso2022_jp"),
        ("utf-16", "utf-16-le"),
        ("utf-16be", "utf-16-be"),
        ("shift_jis", "ascii"),
        ("big5", "ascii"),
        ("euc-kr", "ascii"),
    ],
)
def test_corpus_in_charsets(
    corpus: list[Any],
    transfer_encoding: str,
    charset: str,
    codec: str,
    make_message: Callable[..., bytes],
    body_decoder: Callable[..., bytes],
) -> None:
    reasons = set()
    for file in corpus:
        # What a charset cannot express is left out; the test is about bytes, not about words.
        text = "\r\n".join(file.content.decode("utf-8", "ignore").splitlines()).encode(charset, "ignore")
        content = make_message(text, charset=charset, transfer_encoding=transfer_encoding)
        plan = check(content, body_decoder, codec)
        reasons |= {skipped.reason for skipped in plan.skipped_parts}
    unfoldable = charset.startswith("utf-16") and transfer_encoding in ("7bit", "8bit")
    assert reasons == ({"charset needs an encoding"} if unfoldable else set())


def with_marks(document: bytes) -> tuple[bytes, int]:
    """The document with attributes for the tracking system in every link, at both ends of its tag, and their number."""
    pieces, position = [], 0
    tags = [tag for tag in scan(document).links if tag.href_start >= 0]
    for number, tag in enumerate(tags):
        pieces.append(document[position : tag.name_end])
        pieces.append(
            b' data-msys-linkname="n%d &amp; &#252;"' % number if number % 2 else b"\r\n\tDATA-MSYS-SubLink = x"
        )
        position = tag.name_end
        if number % 3 == 0 and document[tag.end - 2] not in b"/= \t\r\n":
            pieces += (document[position : tag.end - 1], b" data-msys-unsubscribe='1'")
            position = tag.end - 1
    pieces.append(document[position:])
    return b"".join(pieces), len(tags)


@pytest.mark.parametrize("transfer_encoding", ENCODINGS)
def test_attributes_for_the_tracking_system_leave_no_trace(
    corpus: list[Any], transfer_encoding: str, make_message: Callable[..., bytes], body_decoder: Callable[..., bytes]
) -> None:
    """The copy of a document with them is the copy of the document without them, octet for octet."""
    marked_links = 0
    for file in corpus:
        if file.charset == "utf-16":
            continue
        document = with_line_ends(file.content)
        marked, number = with_marks(document)
        marked_links += number
        copies = []
        for text in (document, marked):
            content = make_message(text, charset=file.charset or "utf-8", transfer_encoding=transfer_encoding)
            plan = make_plan(content, parse(content), settings=RewriteSettings(track_mso=False))
            copy = b"".join(render(plan, click_urls=click_urls(plan), open_url=OPEN_URL))
            root = parse(copy)
            copies.append((len(plan.tracked), body_decoder(copy[root.body_start :], root.transfer_encoding)))
        assert copies[0] == copies[1], file.name
    assert marked_links > 900
