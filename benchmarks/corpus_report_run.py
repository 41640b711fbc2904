"""A report over a corpus of e-mail HTML: what is found, what parsers find, and that nothing else is touched.

    benchmarks/corpus_report CORPUS

Links are compared as lists, in their order, with html5lib and lexbor. Copies that a parser makes of an `a` closed in
the wrong place are no links of the document; they are counted. Then each document becomes a message in its own charset
and in others, in each transfer encoding, gets a copy with tracked links and images, and the differences are taken away
again: every byte of what is left must be the original's. Exits 1 when a list differs, a byte is wrong, or a line too
long.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import link_lists
from benchmarks.corpus import (
    TRANSFER_ENCODINGS,
    CorpusFile,
    decode_body,
    message,
    read_corpus,
    read_snippets,
    with_line_ends,
)
from benchmarks.taken_back import click_urls, examine

from mailwake.message.mime_tree import parse
from mailwake.rewrite.charsets import LeftAlone
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import RewriteSettings, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ORACLES: dict[str, Callable[[str], list[str]]] = {
    "html5lib": link_lists.by_html5lib,
    "lexbor": link_lists.by_lexbor,
}
OTHER_CHARSETS = ("utf-8", "windows-1252", "iso-2022-jp", "gb18030", "utf-16")
_WITHOUT_OUTLOOK = RewriteSettings(track_mso=False)


@dataclass(slots=True)
class OracleReport:
    """One parser's view of the corpus."""

    links: int = 0
    copies: int = 0
    files_with_copies: int = 0
    differences: list[str] = field(default_factory=list)

    def compare(self, name: str, ours: list[str], theirs: list[str]) -> None:
        """Add one document; a difference is listed with its first two places."""
        without = link_lists.without_copies(theirs, ours)
        self.links += len(without)
        self.copies += len(theirs) - len(without)
        self.files_with_copies += len(theirs) != len(without)
        if without != ours:
            places = [i for i in range(max(len(ours), len(without))) if ours[i : i + 1] != without[i : i + 1]]
            shown = "; ".join(f"#{i} ours {ours[i : i + 1]} theirs {without[i : i + 1]}" for i in places[:2])
            self.differences.append(f"{name}: {len(places)} of {len(without)} links: {shown}")


@dataclass(slots=True)
class LinksReport:
    """What is found in the documents as they are."""

    found: int = 0
    tracked: int = 0
    for_outlook: int = 0
    outlook_files: int = 0
    left_alone: Counter[str] = field(default_factory=Counter)
    oracles: dict[str, OracleReport] = field(default_factory=lambda: {name: OracleReport() for name in ORACLES})
    of_copies: dict[str, OracleReport] = field(default_factory=lambda: {name: OracleReport() for name in ORACLES})
    not_compared: list[str] = field(default_factory=list)

    def add(self, file: CorpusFile) -> None:
        """Add one document."""
        content = message(file.content, charset=file.charset or "us-ascii", transfer_encoding="base64")
        plan = make_plan(content, parse(content))
        without_outlook = make_plan(content, parse(content), settings=_WITHOUT_OUTLOOK)
        for_outlook = len(plan.links) - len(without_outlook.links)
        self.for_outlook += for_outlook
        self.outlook_files += for_outlook > 0
        self.tracked += len(plan.tracked)
        self.left_alone.update(link.reason for link in plan.links if not link.tracked)
        try:
            text = file.working_text
        except LeftAlone as reason:
            self.not_compared.append(f"{file.name} ({reason})")
            return
        ours = link_lists.found(text.octets, text.codec)
        self.found += len(ours)
        urls = click_urls(without_outlook)
        copy = b"".join(render(without_outlook, click_urls=urls))
        root = parse(copy)
        changed = CorpusFile(file.name, decode_body(copy[root.body_start :], root.transfer_encoding), file.charset)
        remaining = iter(urls)
        links = zip(without_outlook.links, ours, strict=True)
        expected = [next(remaining).decode() if link.tracked else href for link, href in links]
        for name, oracle in ORACLES.items():
            self.oracles[name].compare(file.name, ours, oracle(file.text))
            self.of_copies[name].compare(file.name, expected, oracle(changed.text))

    def show(self) -> bool:
        """Print it; whether all is well."""
        print(f"links found: {self.found}", end="; ")
        print(f"besides, in comments for Outlook: {self.for_outlook} in {self.outlook_files} files")
        for name, oracle in self.oracles.items():
            print(
                f"  that {name} finds: {oracle.links}, differences {len(oracle.differences)}"
                f" (copies of misnested links, not counted: {oracle.copies} in {oracle.files_with_copies} files)"
            )
            _list(oracle.differences)
        print(f"links tracked: {self.tracked}; left alone: {_counted(self.left_alone)}")
        for name, oracle in self.of_copies.items():
            print(
                f"  links that {name} finds in tracked copies: {oracle.links}, other than the tracked URLs and"
                f" the links left alone, in their order: {len(oracle.differences)}"
            )
            _list(oracle.differences)
        if self.not_compared:
            print(f"  not compared: {', '.join(self.not_compared)}")
        every = [*self.oracles.values(), *self.of_copies.values()]
        return not any(oracle.differences for oracle in every)


@dataclass(slots=True)
class BytesReport:
    """What tracked copies change."""

    messages: int = 0
    size: int = 0
    links: int = 0
    changed: int = 0
    long_lines: int = 0
    left_alone: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, label: str, content: bytes) -> None:
        """Add one message."""
        found = examine(content)
        self.messages += 1
        self.size += len(content)
        self.links += len(found.plan.tracked)
        self.changed += found.changed
        self.long_lines += found.long_lines
        self.left_alone.update(part.reason for part in found.plan.skipped_parts)
        self.faults += [f"{label}: {fault}" for fault in found.faults]
        if found.changed:
            self.faults.append(f"{label}: {found.changed} bytes changed outside the spans")
        if found.long_lines:
            self.faults.append(f"{label}: {found.long_lines} lines too long")

    def show(self) -> bool:
        """Print it; whether all is well."""
        print(
            f"tracked copies made and taken back: {self.messages} messages, {self.size / 1e6:.1f} MB,"
            f" {self.links} tracked links"
        )
        print(f"  bytes changed outside the spans: {self.changed}")
        print(f"  lines over 998 bytes (76 in quoted-printable and base64) that we wrote: {self.long_lines}")
        print(f"  parts left alone: {_counted(self.left_alone)}")
        print(f"  faults: {len(self.faults)}")
        _list(self.faults)
        return not self.faults


def messages_of(file: CorpusFile) -> Iterator[tuple[str, bytes]]:
    """The document as messages in its own and other charsets, in each transfer encoding, with a label each."""
    own = file.charset or "us-ascii"
    for encoding in TRANSFER_ENCODINGS:
        # In base64 the document stays as it was found; else it gets the line ends of mail.
        as_found = encoding == "base64" or own.startswith("utf-16")
        body = file.content if as_found else with_line_ends(file.content)
        yield f"{file.name} {own} {encoding}", message(body, charset=own, transfer_encoding=encoding)
    text = file.text.replace("\r\n", "\n").replace("\n", "\r\n")
    for charset in OTHER_CHARSETS:
        body = text.encode(charset, "ignore")  # what a charset cannot express is left out
        for encoding in TRANSFER_ENCODINGS:
            yield f"{file.name} {charset} {encoding}", message(body, charset=charset, transfer_encoding=encoding)


def snippets_report(directory: Path) -> bool:
    """The odd snippets, where the parsers agree on them; whether all is well."""
    snippets = read_snippets(directory)
    report = OracleReport()
    for snippet in snippets:
        if snippet.agreed:
            report.compare(snippet.name, link_lists.found(snippet.content), snippet.hrefs)
    judged = [snippet for snippet in snippets if not snippet.agreed]
    print(f"odd snippets: {len(snippets)}, differences where the parsers agree: {len(report.differences)}", end="")
    differing = 0
    for snippet in judged:
        ours = link_lists.found(snippet.content)
        differing += link_lists.without_copies(snippet.hrefs, ours) != ours
    print(f"; of {len(judged)} on which they do not agree we differ from their majority in {differing}")
    _list(report.differences)
    return not report.differences


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"


def _list(lines: Sequence[str]) -> None:
    for line in lines[:20]:
        print(f"    {line}")
    if len(lines) > 20:
        print(f"    and {len(lines) - 20} more")


def main() -> int:
    """Print the report; 1 when anything differs."""
    if len(sys.argv) != 2:
        print("usage: benchmarks/corpus_report CORPUS", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    files = read_corpus(directory)
    print(f"files: {len(files)}, bytes: {sum(len(file.content) for file in files):,}")
    links, copies = LinksReport(), BytesReport()
    for file in files:
        links.add(file)
        for label, content in messages_of(file):
            copies.add(label, content)
    well = [links.show(), snippets_report(directory), copies.show()]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
