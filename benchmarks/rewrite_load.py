"""What rewriting costs, and that it changes nothing it should not: figures and a report over a corpus of e-mail HTML.

    benchmarks/rewrite [CORPUS]

CORPUS is a directory with `html/` and `manifest.json`; without one the speed on the corpus and the report are left out.
All times are CPU time, the best of several runs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import describe_machine
from benchmarks.newsletter import newsletter

from mailwake.message.mime_tree import parse
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.html_scanner import scan
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, RewriteSettings, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN_URL = b"https://track.example.com/q/" + b"A" * 160
HOSTILE = {
    "nested svg": b"<svg><g>",
    "unclosed quotes": b'<a href="',
    "unclosed comments": b"<!--",
    "links": b'<a href="http://example.com/">',
    "attributes": b"<a b=c ",
}


def seconds(work: Callable[[], object], *, repeat: int = 7) -> float:
    """CPU seconds of one run, the best of `repeat`."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def urls_for(plan: MessagePlan) -> list[bytes]:
    """Tracked URLs of the usual length, all different."""
    return [b"https://track.example.com/f/a/%04d" % number + b"A" * 180 for number in range(len(plan.tracked))]


def message_costs() -> None:
    """A newsletter of 25 KB with 20 links, in each transfer encoding."""
    print("25 KB, 20 links      µs: MIME tree   plan   first copy   each further copy   octets added")
    for encoding in ("8bit", "quoted-printable"):
        content = newsletter(encoding=encoding)
        plan = make_plan(content, parse(content))
        urls = urls_for(plan)

        def copy(plan: MessagePlan = plan, urls: list[bytes] = urls) -> bytes:
            return b"".join(render(plan, click_urls=urls, open_url=OPEN_URL, initial_open_url=OPEN_URL))

        def first(content: bytes = content, urls: list[bytes] = urls) -> bytes:
            plan = make_plan(content, parse(content))
            return b"".join(render(plan, click_urls=urls, open_url=OPEN_URL, initial_open_url=OPEN_URL))

        def many(times: int, work: Callable[[], object]) -> float:
            return seconds(lambda: [work() for _ in range(times)]) / times * 1e6

        tree = many(100, lambda content=content: parse(content))  # type: ignore[misc]
        root = parse(content)
        planned = many(50, lambda content=content, root=root: make_plan(content, root))  # type: ignore[misc]
        added = len(copy()) - len(content)
        print(
            f"{encoding:18}{tree:16.0f}{planned:12.0f}{many(50, first):10.0f}{many(200, copy):16.1f}"
            f"{added:18} ({added / len(content):.0%})"
        )


def growth() -> None:
    """Time for twice the input: under 2.5 times."""
    print("hostile input, 1 MB and 2 MB: ms, factor")
    for name, piece in HOSTILE.items():
        document = piece * (1_000_000 // len(piece))
        once, twice = seconds(lambda d=document: scan(d), repeat=3), seconds(lambda d=document * 2: scan(d), repeat=3)  # type: ignore[misc]
        print(f"  {name:20}{once * 1e3:8.0f}{twice * 1e3:8.0f}{twice / once:8.2f}")


def corpus_report(corpus: Path) -> bool:
    """The speed on real mail, and each file again from its copy by taking the differences away; False on damage."""
    rows: list[dict[str, Any]] = json.loads((corpus / "manifest.json").read_text())
    documents = [(row["charset"] or "utf-8", (corpus / "html" / row["file"]).read_bytes()) for row in rows]
    size = sum(len(document) for _, document in documents)
    taken = seconds(lambda: [scan(document) for _, document in documents])
    links = oracle = for_outlook = changed = left_alone = 0
    for charset, document in documents:
        head = f"Content-Type: text/html; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
        content = head + _base64(document)
        plan = make_plan(content, parse(content))
        left_alone += len(plan.skipped_parts)
        others = make_plan(content, parse(content), settings=RewriteSettings(track_mso=False)).links
        links += len(others)
        for_outlook += len(plan.links) - len(others)
        oracle += _oracle(document, charset)
        changed += _wrong_bytes(plan, document, len(head))
    print(f"corpus: {len(documents)} files, {size / 1e6:.1f} MB, scan {size / taken / 1e6:.0f} MB/s")
    print(f"  links found {links}, that lexbor finds {oracle}; besides, in comments for Outlook, {for_outlook}")
    print(f"  parts left alone {left_alone}, files with a byte changed outside the spans {changed}")
    return changed == 0


def _base64(document: bytes) -> bytes:
    import base64

    return base64.encodebytes(document).replace(b"\n", b"\r\n")


def _oracle(document: bytes, charset: str) -> int:
    from selectolax.lexbor import LexborHTMLParser

    return len(LexborHTMLParser(document.decode(charset, "replace")).css("a[href], area[href]"))


def _wrong_bytes(plan: MessagePlan, document: bytes, head: int) -> int:
    """1 when the copy without its differences is not the document, else 0."""
    import base64

    if not plan.parts:
        return 0
    urls = urls_for(plan)
    copy = base64.b64decode(b"".join(render(plan, click_urls=urls))[head:])
    (part,) = plan.parts
    for edit in chosen(part.edits, Purpose.CLICK | Purpose.CLEANUP):
        assert edit.slot is not None, "the corpus has no attributes for the tracking system"
        new = edit.before + urls[edit.slot].decode().encode(part.codec or "ascii") + edit.after
        copy = copy.replace(new, part.text[edit.start : edit.end], 1)
    return int(copy != document)


def main() -> int:
    """Print all of it; 1 when a byte of the corpus was damaged."""
    print(describe_machine())
    message_costs()
    growth()
    if len(sys.argv) > 1:
        return 0 if corpus_report(Path(sys.argv[1])) else 1
    print("no corpus given: pass its directory for the report over real mail")
    return 0


if __name__ == "__main__":
    sys.exit(main())
