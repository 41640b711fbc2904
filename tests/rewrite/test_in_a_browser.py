"""Chromium is the last oracle: it finds the links that we find, and a copy looks and acts as it should in it.

Every request is answered by the test itself, so nothing leaves the machine. Scripts of the page are off, as in mail;
the test's own questions are asked all the same.
"""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from benchmarks.link_lists import found, without_copies

from mailwake.message.mime_tree import parse
from mailwake.rewrite.charsets import working_text
from mailwake.rewrite.link_target import resolve
from mailwake.rewrite.per_recipient import render
from mailwake.rewrite.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailwake.rewrite.plan import MessagePlan

CHROMIUM = os.environ.get("MAILWAKE_CHROMIUM") or shutil.which("chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PAGE = "http://127.0.0.1/message"
OPEN_URL = "http://127.0.0.1/q/open"
INITIAL_OPEN_URL = "http://127.0.0.1/q/initial"
GIF = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")

LINKS = """() => [...document.querySelectorAll("a[href], area[href]")].map(
    (element) => [element.getAttribute("href"), String(element.href?.baseVal ?? element.href)]
)"""
# A document of its own for each, without loading anything; links of templates count as the scanner counts them.
PARSED = """(documents) => documents.map((text) => {
    const links = [], images = []
    const walk = (root) => {
        for (const element of root.querySelectorAll("a[href], area[href], img, template")) {
            if (element.content instanceof DocumentFragment) walk(element.content)
            else if (element.localName === "img") images.push(element.getAttribute("src"))
            else if (element.localName !== "template") links.push(element.getAttribute("href"))
        }
    }
    walk(new DOMParser().parseFromString(text, "text/html"))
    return [links, images]
})"""
TEXT = "() => document.body === null ? null : document.body.innerText"
WITHIN_REACH = """() => [...document.querySelectorAll("a[href]")].map((link) => {
    link.focus()  // what has no box takes no focus either, whatever its tabindex says
    const box = link.getBoundingClientRect()
    return {area: box.width * box.height > 0, tab: document.activeElement === link ? link.tabIndex : -1,
            text: link.innerText}
})"""
NORMALISED = """(urls) => urls.map((url) => { try { return new URL(url).href } catch { return "" } })"""


class Browser:
    """One page for all documents; it gets the document, the pixels, and nothing else."""

    def __init__(self, context: Any) -> None:
        self.document, self.content_type = b"", ""
        self.requests: Counter[str] = Counter()
        context.route("**/*", self._answer)
        self.page = context.new_page()

    def _answer(self, route: Any) -> None:
        url = route.request.url
        self.requests[url] += 1
        if url == PAGE:
            route.fulfill(body=self.document, content_type=self.content_type)
        elif url in (OPEN_URL, INITIAL_OPEN_URL):
            route.fulfill(body=GIF, content_type="image/gif", headers={"Cache-Control": "no-store"})
        else:
            route.abort()

    def load(self, document: bytes, charset: str) -> None:
        self.document, self.content_type = document, f"text/html; charset={charset}"
        self.requests.clear()
        self.page.goto(PAGE, wait_until="load")

    def ask(self, question: str, argument: Any = None) -> Any:
        return self.page.evaluate(question, argument)

    def links(self) -> list[tuple[str, str]]:
        """The `href` of each link as it is written, and the URL that it leads to."""
        return [(href, url) for href, url in self.ask(LINKS)]

    def words(self) -> list[str]:
        """What a reader sees, but for white space: an image keeps the space beside it that a line's end would hide."""
        text: str | None = self.ask(TEXT)
        return [] if text is None else text.split()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    reason = "CHROMIUM IS ABSENT: no browser checks the rewriting; install {} or set MAILWAKE_CHROMIUM"
    if CHROMIUM is None:
        pytest.skip(reason.format("Debian's chromium"))
    sync_api: Any = pytest.importorskip("playwright.sync_api", reason=reason.format("playwright from PyPI"))
    with sync_api.sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield Browser(program.new_context(java_script_enabled=False))
        program.close()


def browser_charset(content: bytes, charset: str | None) -> str:
    """The label under which a browser reads the document as we do."""
    return charset or working_text(content, b"").codec


def test_the_links_of_hostile_snippets(adversarial: list[dict[str, Any]], browser: Browser) -> None:
    wrong = {}
    for row in adversarial:
        # As UTF-8, for a browser takes the first two bytes of one snippet for a mark of UTF-16.
        octets = row["html_latin1"].replace("\xef\xbb\xbf", "\ufeff").encode()
        browser.load(octets, "utf-8")
        ours, theirs = found(octets, "utf-8"), [href for href, _ in browser.links()]
        # `querySelectorAll` does not look into a template, whose links are nobody's until a script copies them.
        if ours != without_copies(theirs, ours) and row["name"] != "template":
            wrong[row["name"]] = (ours, theirs)
    assert wrong == {}


def test_corpus(
    corpus: list[Any], browser: Browser, make_message: Callable[..., bytes], body_decoder: Callable[..., bytes]
) -> None:
    """Each file is loaded as it is and as a copy with everything that can be tracked."""
    wrong: dict[str, list[str]] = {}
    links = tracked = 0
    for file in corpus:
        charset = browser_charset(file.content, file.charset)
        browser.load(file.content, charset)
        before, words = browser.links(), browser.words()
        faults = [*scan_faults(file, before), *target_faults(browser, before)]

        content = make_message(file.content, charset=file.charset or '""', transfer_encoding="base64")
        plan = make_plan(content, parse(content))
        urls = [f"http://127.0.0.1/f/a/{number:04d}" for number in range(len(plan.tracked))]
        browser.load(copy_of(plan, urls, body_decoder), charset)
        after = [href for href, _ in browser.links()]
        faults += pixel_faults(browser.requests)
        faults += link_faults([href for href, _ in before], after, dict(zip(urls, plan.tracked, strict=True)))
        if browser.words() != words:
            faults.append("the visible text is another one")
        if faults:
            wrong[file.name] = faults
        links += len(before)
        tracked += len(urls)
    assert wrong == {}
    assert links > 900  # the comparison compared something
    assert tracked > 300


SOUP = (
    *('<a href="http://e.com/%d">', "<a href=http://e.com/%d>", "<area href='http://e.com/%d'/>", "</a>") * 8,
    *("<p>", "</p>", "<div>", "</div>", "<table>", "<tr>", "<td>", "</td>", "</table>", "<b>", "</b>", "<!--", "-->"),
    *("<style>", "</style>", "<title>", "</title>", "<script>", "</script>", "<textarea>", "</textarea>", "<select>"),
    *("<option>", "</select>", "<svg>", "</svg>", "<g>", "<desc>", "<math>", "<mi>", "</math>", "<![CDATA[", "]]>"),
    *("<template>", "</template>", "<frameset>", "<frame>", "<body>", "</body>", "</html>", "<noscript>", "<li>"),
    *("<![if x]>", "<!--[if mso]>", "<![endif]-->", "</noscript>", "text", "\r\n", '"', "'", "=", ">", "<", "/", "\0"),
)


def test_soup(browser: Browser, make_message: Callable[..., bytes], body_decoder: Callable[..., bytes]) -> None:
    """Of random documents all links lead to their own URLs, nothing else does, and both images can be seen."""
    chance = random.Random(20261126)
    documents, copies, expected, framesets = [], [], [], 0
    for _ in range(3000):
        first, *others = "".join(chance.choices(SOUP, k=chance.randrange(1, 30))).split("%d")
        document = first + "".join(f"{number}{rest}" for number, rest in enumerate(others))
        content = make_message(document.encode(), transfer_encoding="base64")
        plan = make_plan(content, parse(content))
        urls = [f"http://127.0.0.1/f/{link.target.removeprefix('http://e.com/')}" for link in plan.tracked]
        documents.append(document)
        copies.append(copy_of(plan, urls, body_decoder).decode())
        expected.append([INITIAL_OPEN_URL, OPEN_URL] if plan.can_open else [])
        framesets += not plan.can_open
    before, after = browser.ask(PARSED, documents), browser.ask(PARSED, copies)
    wrong = []
    for document, (old, _), (new, images), seen in zip(documents, before, after, expected, strict=True):
        # A parser's copies of a link are one with it: each link has its own number.
        tracked = {href.replace("http://e.com/", "http://127.0.0.1/f/") for href in old}
        if set(found(document.encode())) != set(old) or set(new) != tracked or sorted(images) != seen:
            wrong.append((document, old, new, images))
    assert wrong == []
    assert framesets > 20


def test_nobody_sees_the_hidden_link_or_gets_to_it_by_keyboard(browser: Browser) -> None:
    content = b'Content-Type: text/html\r\n\r\n<body><p>words</p><a href="http://e.com/">seen</a></body>'
    copy = b"".join(render(make_plan(content, parse(content)), honeypot_url=b"http://127.0.0.1/f/a/HIDDEN"))
    browser.load(copy.partition(b"\r\n\r\n")[2], "utf-8")
    assert [href for href, _ in browser.links()] == ["http://e.com/", "http://127.0.0.1/f/a/HIDDEN"]
    seen, hidden = browser.ask(WITHIN_REACH)
    assert seen == {"area": True, "tab": 0, "text": "seen"}
    assert hidden == {"area": False, "tab": -1, "text": ""}


def copy_of(plan: MessagePlan, urls: list[str], body_decoder: Callable[..., bytes]) -> bytes:
    """The decoded body of a copy with all of its URLs."""
    copy = b"".join(
        render(
            plan,
            click_urls=[url.encode() for url in urls],
            open_url=OPEN_URL.encode(),
            initial_open_url=INITIAL_OPEN_URL.encode(),
        )
    )
    root = parse(copy)
    return body_decoder(copy[root.body_start :], root.transfer_encoding)


def scan_faults(file: Any, theirs: list[tuple[str, str]]) -> list[str]:
    text = working_text(file.content, (file.charset or "").encode())
    ours = found(text.octets, text.codec)
    same = ours == without_copies([href for href, _ in theirs], ours)
    return [] if same else [f"the browser finds {len(theirs)} links, we {len(ours)}"]


def target_faults(browser: Browser, links: list[tuple[str, str]]) -> list[str]:
    """A browser goes to the same page from our target as from the link."""
    web = [(resolve(href), url) for href, url in links]
    targets = [(target, url) for (target, reason), url in web if not reason]
    normalised = browser.ask(NORMALISED, [target for target, _ in targets])
    return [
        f"{target} leads to {ours}, not to {url}"
        for (target, url), ours in zip(targets, normalised, strict=True)
        if ours != url
    ]


def pixel_faults(requests: Counter[str]) -> list[str]:
    return [f"{url} was loaded {requests[url]} times" for url in (OPEN_URL, INITIAL_OPEN_URL) if requests[url] != 1]


def link_faults(before: list[str], after: list[str], tracked: dict[str, Any]) -> list[str]:
    """Each link leads to its own tracked URL or stays as it was, in order; all of this as the browser sees it."""
    if len(before) != len(after):
        return [f"{len(before)} links became {len(after)}"]
    faults = []
    for old, new in zip(before, after, strict=True):
        target, reason = resolve(old)
        if reason and new != old:
            faults.append(f"{old} became {new}")
        elif not reason and (new not in tracked or tracked[new].target != target):
            faults.append(f"{old} became {new}, not the URL that leads to {target}")
    seen = list(dict.fromkeys(url for url in after if url in tracked))
    if seen != sorted(seen):
        faults.append("the URLs are out of order")
    return faults
