"""Our scan and copies beside the candidates: speed, links, and what comes back when nothing is to be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import link_lists
from benchmarks.candidates import Candidate, available
from benchmarks.corpus import decode_body, message
from benchmarks.timing import seconds

from mailwake.html.scanner import scan
from mailwake.message.mime_tree import parse
from mailwake.rewrite.edits import Purpose, chosen
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import MessagePlan, make_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.corpus import CorpusFile, Snippet

_NEW_URL = "https://track.example.com/f/a/" + "A" * 130
_ROUNDS = 3
_A_ROUND = 1.0
"""Seconds of CPU that one figure may take in each round."""


@dataclass(slots=True)
class _Row:
    """One line of the table; an empty text where a column does not apply."""

    name: str
    finds: Callable[[], object] | None = None
    rewrites: Callable[[], object] | None = None
    files_wrong: str = ""
    snippets_wrong: str = ""
    unchanged: str = ""
    by_themselves: str = ""
    best: dict[str, float] = field(default_factory=dict)

    def measure(self) -> None:
        """One more round of both figures; the best of all rounds counts."""
        for name, work in (("finds", self.finds), ("rewrites", self.rewrites)):
            if work is not None:
                taken = seconds(work, repeat=15, enough=_A_ROUND)
                self.best[name] = min(taken, self.best.get(name, taken))

    def show(self, size: int) -> None:
        """Print it."""
        finds, rewrites = (self._rate(size, name) for name in ("finds", "rewrites"))
        print(
            f"{self.name:46}{finds:>8}{self.files_wrong:>8}{self.snippets_wrong:>10}"
            f"{rewrites:>10}{self.unchanged:>20}{self.by_themselves:>16}"
        )

    def _rate(self, size: int, name: str) -> str:
        if name not in self.best:
            return ""
        rate = size / self.best[name] / 1e6
        return f"{rate:.1f}" if rate < 20 else f"{rate:,.0f}"


def show(files: Sequence[CorpusFile], snippets: Sequence[Snippet]) -> None:
    """Print the table; texts are decoded beforehand, so that parsers of text need not do it, while ours take bytes."""
    texts = [file.text for file in files]
    size = sum(len(file.content) for file in files)
    oracle = [link_lists.by_html5lib(text) for text in texts]
    agreed = [snippet for snippet in snippets if snippet.agreed]
    candidates, missing = available()
    rows = _our_rows(files, oracle, agreed)
    rows += [_row(candidate, texts, oracle, agreed) for candidate in candidates]
    for _ in range(_ROUNDS):  # one after the other, so that a change of the machine's speed favours nobody
        for row in rows:
            row.measure()
    print(f"{len(files)} files, {size / 1e6:.2f} MB; MB/s of CPU time over all of them, the best of several passes")
    odd = f"of {len(agreed)}"
    print(
        f"{'':46}{'finds':>8}{'files':>8}{'snippets':>10}{'rewrites':>10}{'identical if':>20}{'links replaced':>16}\n"
        f"{'':46}{'MB/s':>8}{'wrong':>8}{odd:>10}{'MB/s':>10}{'nothing is changed':>20}{'by themselves':>16}"
    )
    for row in rows:
        row.show(size)
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")


def _our_rows(files: Sequence[CorpusFile], oracle: Sequence[list[str]], snippets: Sequence[Snippet]) -> list[_Row]:
    documents = [file.content for file in files]
    working = [file.working_text for file in files]
    contents = [message(file.content, charset=file.charset or "us-ascii") for file in files]
    plans = [make_plan(content, parse(content)) for content in contents]

    def lists() -> list[list[str]]:
        return [link_lists.found(text.octets, text.codec) for text in working]

    return [
        _Row("mailwake: scan", lambda: [scan(document) for document in documents]),
        _Row(
            "mailwake: scan, values decoded",
            lists,
            files_wrong=str(sum(map(_differs, lists(), oracle))),
            snippets_wrong=str(sum(_differs(link_lists.found(odd.content), odd.hrefs) for odd in snippets)),
        ),
        _Row("mailwake: MIME tree and plan", lambda: [make_plan(content, parse(content)) for content in contents]),
        _Row(
            "mailwake: MIME tree, plan, first copy",
            rewrites=lambda: [_copy(make_plan(content, parse(content))) for content in contents],
            unchanged=str(
                sum(b"".join(render(plan)) == content for plan, content in zip(plans, contents, strict=True))
            ),
            by_themselves=str(sum(map(_same_with_own_links, files))),
        ),
        _Row("mailwake: a further copy", rewrites=lambda: [b"".join(_copy(plan)) for plan in plans]),
    ]


def _row(candidate: Candidate, texts: Sequence[str], oracle: Sequence[list[str]], snippets: Sequence[Snippet]) -> _Row:
    def found(text: str) -> list[str] | None:
        try:
            return candidate.find(text)
        except RuntimeError:  # lol_html gives up on some documents
            return None

    row = _Row(candidate.name, lambda: [candidate.find(text) for text in texts])
    row.files_wrong = str(sum(_differs(found(text), hrefs) for text, hrefs in zip(texts, oracle, strict=True)))
    row.snippets_wrong = str(sum(_differs(found(odd.content.decode("latin-1")), odd.hrefs) for odd in snippets))
    rewrite = candidate.rewrite
    if rewrite is not None:
        row.rewrites = lambda: [rewrite(text, _tracked) for text in texts]
        row.unchanged = str(sum(rewrite(text, None) == text for text in texts))
        row.by_themselves = str(sum(rewrite(text, str) == text for text in texts))
    return row


def _tracked(href: str) -> str:
    return _NEW_URL if href.startswith("http") else href


def _differs(hrefs: list[str] | None, oracle: list[str]) -> bool:
    """Whether a list of links is another one than the oracle's, with or without the oracle's copies of links."""
    return hrefs is None or hrefs not in (oracle, link_lists.without_copies(oracle, hrefs))


def _copy(plan: MessagePlan) -> list[bytes]:
    return render(plan, click_urls=[_NEW_URL.encode()] * len(plan.tracked))


def _same_with_own_links(file: CorpusFile) -> bool:
    """Whether a copy in which each link leads where it led before is the original."""
    content = message(file.content, charset=file.charset or "us-ascii", transfer_encoding="base64")
    plan = make_plan(content, parse(content))
    if not plan.parts:
        return b"".join(render(plan)) == content
    (part,) = plan.parts
    own = [b""] * len(plan.tracked)
    for edit in chosen(part.edits, Purpose.CLICK):
        if edit.slot is not None:
            own[edit.slot] = part.text[edit.start : edit.end].decode(part.codec or "ascii").encode("ascii")
    copy = b"".join(render(plan, click_urls=own))
    root = parse(copy)
    return decode_body(copy[root.body_start :], root.transfer_encoding) == file.content
