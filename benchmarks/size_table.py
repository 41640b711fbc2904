"""How much longer tracking makes a 25 KB newsletter, beside what the links of a simple tracker would add to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import peer_links
from benchmarks.newsletter import newsletter
from benchmarks.recipients import FACTS, Worker

from mailwake.message.mime_tree import parse
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import make_plan
from mailwake.smtp.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.links.token import LinkContext
    from mailwake.rewrite.plan import MessagePlan

LINKS = 20
RECIPIENT = "anna.example@mail.example.org"
CLIPPED_AT = 102 * 1024
"""Octets of HTML after which Gmail hides the rest of a message, the image at its end with it."""
PAGE = 25_000
"""Octets of a page without its links."""


_CLICK = re.compile(rb'<a href="(https?://[^/"]+/f/[^"]+)"')
_OPEN = re.compile(rb'<img src="(https?://[^/"]+/q/[^"]+)"')
_INITIAL_OPEN = re.compile(rb'<img src="(https?://[^/"]+/o/[^"]+)"')
_OUR_MARKUP = len('<img src="" alt="" width="1" height="1" border="0">')


@dataclass(frozen=True, slots=True)
class _Urls:
    """What one tracker puts into one copy."""

    clicks: list[bytes]
    initial_open: bytes
    open: bytes
    extra: int = 0
    """Octets by which its images' markup is longer than ours."""

    @property
    def mean(self) -> float:
        """Characters of a tracked URL."""
        return sum(map(len, self.clicks)) / len(self.clicks)


def show() -> None:
    """Print both tables."""
    print(
        f"a newsletter of 25 KB, {LINKS} links in its HTML and two images: octets of its body, and what tracking adds"
    )
    print(f"{'':48}{'before':>8}{'mailwake':>17}{'peer, its facts':>17}{'peer, our facts':>17}")
    fitting: list[tuple[str, list[float], float]] = []
    for facts, msys_api in FACTS.items():
        for encoding in ("8bit", "quoted-printable", "base64"):
            content = newsletter(links=LINKS, html_links=LINKS, encoding=encoding, msys_api=msys_api)
            plan = make_plan(content, parse(content))
            urls = _all_urls(plan, msys_api)
            before = len(content) - plan.root.body_start
            columns = [_added(plan, one, encoding) for one in urls]
            shown = "".join(f"{f'{added:,} ({added / before:.1%})':>17}" for added in columns)
            print(f"{f'{encoding}, {facts}':48}{before:>8,}{shown}")
        own = sum(len(link.target) for link in plan.tracked) / LINKS
        fitting.append((facts, [one.mean for one in urls], own))
    _show_fitting(fitting)


def _show_fitting(rows: Sequence[tuple[str, Sequence[float], float]]) -> None:
    print(
        "characters of a tracked URL, and how many links fit"
        f" beside {PAGE // 1000} KB of page before Gmail clips it (102 KB)"
    )
    print(f"{'':48}{'untracked':>17}{'mailwake':>17}{'peer, its facts':>17}{'peer, our facts':>17}")
    markup = len('<a href="" style="color:#0066cc;text-decoration:none">Read more</a>')
    for facts, means, own in rows:
        lengths = [own, *means]
        cells = (f"{length:.0f}: {(CLIPPED_AT - PAGE) / (markup + length):.0f} links" for length in lengths)
        print(f"{facts:48}" + "".join(f"{cell:>17}" for cell in cells))


def _all_urls(plan: MessagePlan, msys_api: str) -> list[_Urls]:
    """Ours, as they stand in a copy that the real preparation made, and the peer's with its own facts and with ours."""
    worker = Worker()
    content = newsletter(links=LINKS, html_links=LINKS, msys_api=msys_api)
    message = worker.preparation.prepare(worker.session, Envelope("news@sender.example", [RECIPIENT]), content)
    copy = b"".join(worker.preparation.copy(message, 0).pieces)
    ours = _Urls(_CLICK.findall(copy), *_INITIAL_OPEN.findall(copy), *_OPEN.findall(copy))
    base = ours.open.partition(b"/q/")[0].decode() + "/"
    opened = worker.codec.decode(ours.open.rpartition(b"/")[2].decode(), "q")
    return [ours, _peer(plan, base, None), _peer(plan, base, opened.context)]


def _peer(plan: MessagePlan, base: str, context: LinkContext | None) -> _Urls:
    def url(action: str, target: str = "", name: str = "") -> bytes:
        if context is None:
            return peer_links.peer_url(base, action, RECIPIENT, target)
        return peer_links.peer_url_with_our_facts(base, action, context, target, name)

    return _Urls(
        [url(peer_links.CLICK, link.target, link.name) for link in plan.tracked],
        url(peer_links.INITIAL_OPEN),
        url(peer_links.OPEN),
        peer_links.INITIAL_OPEN_MARKUP + peer_links.OPEN_MARKUP - 2 * _OUR_MARKUP,
    )


def _added(plan: MessagePlan, urls: _Urls, encoding: str) -> int:
    """Octets by which the body grows with these URLs in the places where ours would stand."""
    clicks, images = urls.clicks, [urls.initial_open, urls.open]
    if encoding == "quoted-printable":
        clicks = [url.replace(b"=", b"=3D") for url in clicks]
        images = [url.replace(b"=", b"=3D") for url in images]
    copy = b"".join(render(plan, click_urls=clicks, initial_open_url=images[0], open_url=images[1]))
    root = parse(copy)
    extra = urls.extra * 4 // 3 if encoding == "base64" else urls.extra
    return (len(copy) - root.body_start) - (len(plan.content) - plan.root.body_start) + extra
