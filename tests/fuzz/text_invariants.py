"""What holds for any plain text: its URLs are spans that say just what they span, and rewriting them can be undone."""

from __future__ import annotations

import re

from mailwake.rewrite import macros, text_links
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.found_links import LinkCollector
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings

_JOINT = re.compile(rb" \r?\n")
_LIMITED = RewriteSettings(text_click_limit=2)


def check_text(text: bytes, codec: str, *, joined_lines: bool) -> None:
    """Check the URLs found in a text in a charset whose ASCII bytes mean ASCII."""
    found = list(text_links.urls(text, codec, joined_lines=joined_lines))
    position = 0
    for url in found:
        assert position <= url.start < url.end <= url.notes_end <= len(text)
        spanned = macros.replaced(text[url.start : url.end])
        assert spanned.lower().startswith((b"http://", b"https://"))
        if joined_lines:
            spanned = _JOINT.sub(b"", spanned)
        assert not re.search(rb"[\x00-\x20\x7f<>\"]", spanned)
        assert url.url == spanned.decode(codec, "replace")
        notes = text[url.end : url.notes_end]
        assert notes == b"" or (notes.startswith(b"[[") and notes.endswith(b"]]"))
        position = url.notes_end
    check_edits(text, codec, found, joined_lines=joined_lines)


def check_edits(text: bytes, codec: str, found: list[text_links.TextUrl], *, joined_lines: bool) -> None:
    """Each URL is one link; every edit is one of a URL or its notes, and each put back gives the text again."""
    collector = LinkCollector()
    edits = text_links.find(text, codec, collector, DEFAULT_SETTINGS, joined_lines=joined_lines)
    assert len(collector.links) == len(found)
    spans = {(url.start, url.end) for url in found} | {(url.end, url.notes_end) for url in found}
    assert {(edit.start, edit.end) for edit in edits} <= spans
    assert len([edit for edit in edits if edit.slot is not None]) == len(collector.tracked)
    in_order = chosen(edits, Purpose.CLICK | Purpose.CLEANUP)
    assert sorted(in_order) == sorted(edits)
    undo, out, position = [], b"", 0
    for edit in in_order:
        out += text[position : edit.start]
        value = b"" if edit.slot is None else b"http://t.example/%d" % edit.slot
        undo.append((len(out), len(out) + len(value), text[edit.start : edit.end]))
        out += value
        position = edit.end
    out += text[position:]
    for start, end, before in reversed(undo):
        out = out[:start] + before + out[end:]
    assert out == text
    limited = LinkCollector()
    text_links.find(text, codec, limited, _LIMITED, joined_lines=joined_lines)
    assert [link.target for link in limited.tracked] == [link.target for link in collector.tracked][:2]
