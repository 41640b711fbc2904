"""Microseconds of a message's plan and of its copies: the newsletter, and real mail with about as many links."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.corpus import message, with_line_ends
from benchmarks.newsletter import newsletter
from benchmarks.timing import microseconds

from mailwake.message.mime_tree import parse
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, make_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.corpus import CorpusFile

ENCODINGS = ("8bit", "quoted-printable", "base64")
_OPEN_URL = b"https://track.example.com/q/" + b"A" * 110


def show(files: Sequence[CorpusFile]) -> None:
    """Print both tables; URLs are ready made, so that tokens do not count, and pieces are joined."""
    print("newsletter of 25 KB, 20 links, two images; µs of CPU without tokens")
    print(f"{'':20}{'MIME tree':>11}{'plan':>8}{'tree, plan, first copy':>24}{'a further copy':>16}")
    for encoding in ENCODINGS:
        content = newsletter(encoding=encoding)
        plan = make_plan(content, parse(content))
        tree = microseconds(partial(parse, content), times=100)
        planned = microseconds(partial(make_plan, content, plan.root), times=30)
        first = microseconds(partial(_first_copy, content), times=30)
        print(f"{encoding:20}{tree:>11.0f}{planned:>8.0f}{first:>24.0f}{_further(plan, times=200):>16.1f}")
    if files:
        _show_corpus(files)


def _show_corpus(files: Sequence[CorpusFile]) -> None:
    print("real mail; µs of CPU of a further copy with two images")
    print(f"{'':20}{'median of all':>15}{'links':>7}{'KB':>5}{'with 12 to 40 tracked links':>36}{'links':>7}{'KB':>5}")
    for encoding in ENCODINGS:
        rows = []
        for file in files:
            charset = file.charset or "us-ascii"
            text = file.content if charset.startswith("utf-16") else with_line_ends(file.content)
            plan = _plan(message(text, charset=charset, transfer_encoding=encoding))
            if plan.tracked:
                rows.append((_further(plan, times=20), len(plan.tracked), len(plan.content) / 1000))
        many = [row for row in rows if 12 <= row[1] <= 40]
        print(f"{encoding:20}{_medians(rows, 15)}{_medians(many, 36)}   ({len(rows)} and {len(many)} files)")


def _medians(rows: Sequence[tuple[float, int, float]], width: int) -> str:
    cost, links, kilobytes = (median(column) for column in zip(*rows, strict=True))
    return f"{cost:>{width}.1f}{links:>7.0f}{kilobytes:>5.0f}"


def _plan(content: bytes) -> MessagePlan:
    return make_plan(content, parse(content))


def _urls(plan: MessagePlan) -> list[bytes]:
    """Tracked URLs of a usual length, all different."""
    return [b"https://track.example.com/f/a/%04d" % number + b"A" * 126 for number in range(len(plan.tracked))]


def _copy(plan: MessagePlan, urls: Sequence[bytes]) -> bytes:
    return b"".join(render(plan, click_urls=urls, open_url=_OPEN_URL, initial_open_url=_OPEN_URL))


def _first_copy(content: bytes) -> bytes:
    plan = _plan(content)
    return _copy(plan, _urls(plan))


def _further(plan: MessagePlan, *, times: int) -> float:
    urls = _urls(plan)
    _copy(plan, urls)
    return microseconds(partial(_copy, plan, urls), times=times)
