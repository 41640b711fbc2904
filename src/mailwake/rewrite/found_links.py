"""The links of a message, collected while its parts are scanned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mailwake.links.body import RAW_URL_NAME
from mailwake.links.tracked_url import DEFAULT_SUB_PATH
from mailwake.rewrite.edits import Edit, Purpose
from mailwake.rewrite.link_target import link_name, sub_path


@dataclass(slots=True)
class PlannedLink:
    """One link of the message, tracked or not. Not to be changed; freezing it would double what a scan costs."""

    index: int
    """Its number among all links of the message, from 0."""
    part: str
    """"html", "text" or "amp"."""
    target: str
    """Where a click must lead: what `Location` says."""
    name: str
    """Its name in events."""
    unsubscribe: bool
    """Its click is a `link_unsubscribe` event."""
    sub_path: str
    """The path before the token in the tracked URL."""
    tracked: bool
    reason: str
    """Why it is not tracked; "" when it is."""
    text_is_url: bool
    """A reader sees a URL as the link's text: tracked, text and target differ, which some filters take for phishing."""
    _document: bytes = field(repr=False, compare=False)
    _start: int = field(repr=False)

    @property
    def line(self) -> int:
        """The line of the decoded part in which it stands, from 1; counted when it is asked for, which is seldom."""
        return self._document.count(b"\n", 0, self._start) + 1


class Options(NamedTuple):
    """What the sender wrote beside one link: `data-msys-…` attributes, None where there is none."""

    name: str | None = None
    click_track: str | None = None
    unsubscribe: str | None = None
    sub_path: str | None = None


NO_OPTIONS = Options()


class LinkCollector:
    """Numbers links in the order of the message and keeps the edits of the part in hand."""

    def __init__(self) -> None:
        self.links: list[PlannedLink] = []
        self.tracked: list[PlannedLink] = []

    def add(
        self,
        part: str,
        document: bytes,
        start: int,
        target: str,
        reason: str,
        options: Options,
        *,
        text_is_url: bool = False,
    ) -> int | None:
        """Note the link at `start`; the number of its slot when it is tracked, None when it stays as it is."""
        name, unsubscribe, path = RAW_URL_NAME, False, DEFAULT_SUB_PATH
        if options is not NO_OPTIONS:
            name, unsubscribe = link_name(options.name), options.unsubscribe == "1"
            path = sub_path(options.sub_path)
            if options.click_track == "0":
                reason = reason or "data-msys-clicktrack=0"
        index = len(self.links)
        link = PlannedLink(
            index, part, target, name, unsubscribe, path, not reason, reason, text_is_url, document, start
        )
        self.links.append(link)
        if reason:
            return None
        self.tracked.append(link)
        return len(self.tracked) - 1

    def mark(self) -> tuple[int, int]:
        """How much has been noted, for `take_back`."""
        return len(self.links), len(self.tracked)

    def take_back(self, mark: tuple[int, int]) -> None:
        """Forget what was noted after `mark`: the part turned out to be one that is left alone."""
        del self.links[mark[0] :]
        del self.tracked[mark[1] :]


def click_edit(start: int, end: int, slot: int, quote: bytes = b"") -> Edit:
    """Replace a link by the tracked one; `quote` is put around a value that has no quotes of its own."""
    return Edit(start, end, Purpose.CLICK, quote, slot, quote)
