"""URLs in plain text: where they start, where they end, and the notes in double square brackets behind them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from mailwake.rewrite import macros
from mailwake.rewrite.edits import Edit, Purpose
from mailwake.rewrite.found_links import NO_OPTIONS, LinkCollector, Options, click_edit
from mailwake.rewrite.link_target import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.rewrite.settings import RewriteSettings

# A URL goes on to white space, a quote or an angle bracket, or to the notes behind it.
_RUN = re.compile(rb"(?:[^\x00-\x20\x7f<>\"\[]++|\[(?!\[[ \t]*(?i:data-msys-)))*+")
_NOTES = re.compile(rb"(?:\[\[[ \t]*+(?i:data-msys-)[^\[\]<>\x00-\x1f]{0,512}\]\])++")
_NOTE = re.compile(
    r"data-msys-(clicktrack|unsubscribe|sublink)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\]]+))", re.IGNORECASE
)
_OPTION_NAMES = {"clicktrack": "click_track", "unsubscribe": "unsubscribe", "sublink": "sub_path"}
# White space, separators and marks of direction beyond ASCII, and bytes that are no character of the charset.
_END_BEYOND_ASCII = re.compile(
    "[\x80-\xa0\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufeff\ufffc\udc80-\udcff]"
)
_CLOSING_PUNCTUATION = frozenset(
    ".,;:!?'*|`\u2013\u2014\u2019\u201d\u00bb\u203a\u2026\u3001\u3002\uff0c\uff0e\uff1a\uff1b\uff01\uff1f"
    "\u300d\u300f\u3011\uff09"
)
# They belong to the URL (ids often end so), unless the same one stands before it: `_http://e.com/a_`.
_EMPHASIS = frozenset("_~")
_OPENER = {")": "(", "]": "[", "}": "{"}
_NO_HOST = frozenset("/?#:@.")
# The next line goes on with the URL, unless it is quoted, indented, punctuation, or a URL of its own.
_LINE_BREAK_IN_URL = re.compile(rb" (?:\r\n|\n)(?![>\x20-\x2f]|(?i:https?://))")
_FIRST_WINDOW = 256
_LONGEST_RUN = 16384
_LONGEST_CHARACTER = 4
_FIRST_OF_TWO_BYTES = re.compile(rb"[\x80-\xff]")


class TextUrl(NamedTuple):
    """A URL in plain text: `start:end` is its span, `notes_end` the end of what stands in double square brackets."""

    start: int
    end: int
    url: str
    notes_end: int


def find(
    text: bytes, codec: str, collector: LinkCollector, settings: RewriteSettings, *, joined_lines: bool = False
) -> list[Edit]:
    """Give the URLs of a text to `collector`, and the edits that track them and remove their notes."""
    edits: list[Edit] = []
    limit = settings.text_click_limit if settings.text_click_tracking else 0
    tracked = 0
    for found in urls(text, codec, joined_lines=joined_lines):
        options = NO_OPTIONS
        if found.notes_end > found.end:
            edits.append(Edit(found.end, found.notes_end, Purpose.CLEANUP))
            options = _options(macros.replaced(text[found.end : found.notes_end]).decode(codec, "replace"))
        target, reason = resolve(found.url)
        if limit is not None and tracked >= limit:
            reason = reason or "text links off"
        slot = collector.add("text", text, found.start, target, reason, options)
        if slot is not None:
            tracked += 1
            edits.append(click_edit(found.start, found.end, slot))
    return edits


def urls(text: bytes, codec: str, *, joined_lines: bool = False) -> Iterator[TextUrl]:
    """The http and https URLs of a text in their order; linear in its length.

    `joined_lines`: format=flowed with delsp=yes, where a space before a line break joins two halves of a word
    (RFC 3676 §4.1).
    """
    position = run_end = 0
    notes = None
    while (colon := text.find(b"://", position)) >= 0:
        position = colon + 3
        start = _scheme_start(text, colon)
        if start < 0:
            continue
        if position >= run_end:  # else this URL lies in the same run as the one before
            run_end = _run_end(text, position, joined_lines=joined_lines)
            notes = _NOTES.match(text, run_end) if text.startswith(b"[[", run_end) else None
        end = _url_end(text, start, position, run_end, codec, trimmed=notes is None)
        if end <= position:
            continue
        url = macros.replaced(text[start:end])
        if joined_lines:
            url = _LINE_BREAK_IN_URL.sub(b"", url)
        position = notes.end() if notes is not None and end == run_end else end
        yield TextUrl(start, end, url.decode(codec, "replace"), position)


def _scheme_start(text: bytes, colon: int) -> int:
    """Where `http` or `https` before this colon starts; -1 when there is none, or when it ends a longer word."""
    before = text[max(0, colon - 5) : colon].lower()
    if before == b"https":
        start = colon - 5
    elif before.endswith(b"http"):
        start = colon - 4
    else:
        return -1
    # The second byte of a two-byte character (Shift_JIS, GBK, Big5) may look like a letter: it does not join the word.
    if start > 0 and text[start - 1 : start].isalnum() and not _FIRST_OF_TWO_BYTES.match(text, max(0, start - 2)):
        return -1
    return start


def _run_end(text: bytes, position: int, *, joined_lines: bool) -> int:
    match = _RUN.match(text, position)
    end = match.end() if match else position
    while joined_lines and (line_break := _LINE_BREAK_IN_URL.match(text, end)):
        match = _RUN.match(text, line_break.end())
        if match is None or match.end() == line_break.end():
            break
        end = match.end()
    return end


def _url_end(text: bytes, scheme: int, start: int, run_end: int, codec: str, *, trimmed: bool) -> int:
    """Where the URL ends whose host starts here; `start` when it is none. Nothing ends a URL after `run_end`."""
    # What is longer is too long to be tracked; looking at it once is enough.
    run = text[start : min(run_end, start + _LONGEST_RUN)]
    ascii_run = run.isascii()
    if ascii_run:
        url = run.decode("ascii")
    else:
        url, stopped = _up_to_stop(run, codec)
        trimmed = trimmed or stopped
    if len(url) >= _LONGEST_RUN // _LONGEST_CHARACTER and len(run) == _LONGEST_RUN:
        return run_end
    if trimmed:
        url = _without_closing_punctuation(url, before=chr(text[scheme - 1]) if scheme else "")
    if not url or url[0] in _NO_HOST:
        return start
    if ascii_run:
        return start + len(url)
    try:
        encoded = url.encode(codec, "surrogateescape")
    except UnicodeError:
        return start
    return start + len(encoded) if run.startswith(encoded) else start


def _up_to_stop(run: bytes, codec: str) -> tuple[str, bool]:
    """The text of `run` up to the first character that ends a URL, and whether there is one.

    Decodes no more than twice what it returns, so that many short URLs in one long run stay linear.
    """
    window = _FIRST_WINDOW
    while True:
        text = run[:window].decode(codec, "surrogateescape")
        stop = _END_BEYOND_ASCII.search(text)
        # At the very end of the window a stop may be no more than a character cut in two.
        if stop and (window >= len(run) or stop.start() < len(text) - _LONGEST_CHARACTER):
            return text[: stop.start()], True
        if window >= len(run):
            return text, False
        window *= 2


def _without_closing_punctuation(text: str, *, before: str) -> str:
    """Without what belongs to the sentence around it: `(see http://a/b_(c)).` holds `a/b_(c)`.

    `before` is the character before the URL.
    """
    end = len(text)
    excess: dict[str, int] = {}
    while end:
        last = text[end - 1]
        if last in _OPENER:
            if not excess:
                excess = {closer: text.count(closer) - text.count(opener) for closer, opener in _OPENER.items()}
            if excess[last] <= 0:
                break
            excess[last] -= 1
        elif last not in _CLOSING_PUNCTUATION and not (last == before and last in _EMPHASIS):
            break
        end -= 1
    return text[:end]


def _options(notes: str) -> Options:
    values: dict[str, str] = {}
    for name, double_quoted, single_quoted, bare in _NOTE.findall(notes):
        values.setdefault(_OPTION_NAMES[name.lower()], double_quoted or single_quoted or bare)
    return Options(**values)
