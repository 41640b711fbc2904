"""The reference of the tracker's HTTP: each request with its answer, taken from the code that gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.links.token import FAMILIES
from mailwake.links.tracked_url import DEFAULT_SUB_PATH
from mailwake.markdown import code, table
from mailwake.tracker import app_links, client_facts, responses
from mailwake.tracker.address_rate import MINUTE
from mailwake.tracker.granian_server import HttpLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.tracker.rsgi import HeaderFields, Responder


class Answer(NamedTuple):
    """One answer: when it is given, its label in `mailwake_tracker_requests_total`, its code, and what is recorded."""

    request: str
    label: str
    respond: Callable[[Responder], None]
    event: str = "–"


def _redirect(responder: Responder) -> None:
    responses.redirect(responder, "TARGET")


def _app_links(responder: Responder) -> None:
    responses.app_links(responder, b"{}")


ANSWERS = (
    Answer(
        f"`GET /f/{DEFAULT_SUB_PATH}/TOKEN`, a click",
        "redirect",
        _redirect,
        "`click`, `amp_click` or `link_unsubscribe`",
    ),
    Answer("`GET /q/TOKEN`, the image at the end", "image", responses.image, "`open` or `amp_open`"),
    Answer("`GET /o/TOKEN`, the image at the start", "image", responses.image, "`initial_open` or `amp_initial_open`"),
    Answer("a token that is unknown, damaged, forged or cut short; any other path", "not_found", responses.not_found),
    Answer("`GET /robots.txt`", "robots", responses.robots),
    Answer(
        ", ".join(f"`GET {app_links.PATH_PREFIX}{name}`" for name in sorted(app_links.FILE_NAMES)),
        "app_links",
        _app_links,
    ),
    Answer("any method but GET and HEAD", "wrong_method", responses.wrong_method),
    Answer("a request with a body", "body_refused", responses.body_refused),
    Answer("more requests from one address than `tracker.max_requests_per_address`", "too_many", responses.too_many),
    Answer("a fault of the tracker that left nothing to redirect to", "failed", responses.failed),
)
"""Every answer that the tracker gives."""

REFUSED_TOKENS = {
    "length": "too short or too long for a token",
    "encoding": "not base64url",
    "version": "of a format that this release does not know",
    "key": "sealed with a key that is not in the keyring",
    "forged": "does not open with its key: damaged, forged, or used under another path",
    "body": "opens, and makes no sense",
    "kind": "opens, and is of a kind that this path does not serve",
    "target": "opens, and its target is no URL that can stand in a header field",
}
"""The label of `mailwake_tracker_tokens_refused_total`: why a link gets 404."""


class _Recorder:
    """Keeps the one answer that it is given."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: HeaderFields = ()
        self.body = b""

    def response_empty(self, status: int, headers: HeaderFields, /) -> None:
        self.status, self.headers = status, headers

    def response_bytes(self, status: int, headers: HeaderFields, body: bytes, /) -> None:
        self.status, self.headers, self.body = status, headers, body


def http_reference() -> str:
    """The part of the page that is about the tracker, in Markdown."""
    rows = []
    for answer in ANSWERS:
        recorder = _Recorder()
        answer.respond(recorder)
        headers = "<br>".join(code(f"{name}: {value}") for name, value in recorder.headers)
        body = _body(answer.label, recorder)
        rows.append((answer.request, str(recorder.status), headers, body, answer.event, code(answer.label)))
    return "\n".join(
        (
            _introduction(),
            "### Answers\n",
            table(("request", "status", "header fields", "body", "event", "counted as"), rows),
            _REMARKS.format(
                minute=f"{MINUTE:g}",
                agent=client_facts.USER_AGENT_LIMIT,
                language=client_facts.ACCEPT_LANGUAGE_LIMIT,
                hops=client_facts.HOP_LIMIT,
                file_size=app_links.SIZE_LIMIT >> 20,
            ),
            _limits(),
            "### Refused tokens\n\n`mailwake_tracker_tokens_refused_total` says why a link got 404.\n",
            table(("`reason`", "the token is"), [(code(name), why) for name, why in REFUSED_TOKENS.items()]),
        )
    )


def _introduction() -> str:
    unserved = sorted(FAMILIES - set("fqo"))
    others = f" (`/{unserved[0]}/` is reserved)" if unserved else ""
    return (
        "## Tracker\n\n"
        "Served on the addresses of `tracker.listen`, in clear HTTP/1.1: put a proxy in front for TLS. A link is\n"
        f"`<scheme>://<tracking_domain>/<letter>/…/<token>`; the letters are `f`, `q` and `o`{others}. All that the\n"
        "tracker needs is inside the token, so any tracker with the same keys answers any link. A slash at the end is\n"
        "ignored, and so is a query.\n"
    )


def _limits() -> str:
    limits = HttpLimits()
    rows = (
        (f"{limits.header_timeout:g} s", "for a request's header to be complete, and for an idle connection"),
        (f"about {limits.header_bytes} bytes", "of a request's header"),
        (f"{limits.connections}", "connections open at once in each worker; others wait"),
        (f"{limits.grace:g} s", "for requests in hand when the tracker stops"),
    )
    return "### Limits\n\n" + table(("limit", "of"), rows)


def _body(label: str, recorder: _Recorder) -> str:
    if label == "image":
        return f"a transparent GIF of 1×1, {len(recorder.body)} bytes"
    if label == "not_found":
        return "a small page for people"
    if label == "app_links":
        return "the operator's file"
    return " ".join(code(line) for line in recorder.body.decode().splitlines()) or "none"


_REMARKS = """\
- "Counted as" is the label `answer` of `mailwake_tracker_requests_total`.
- HEAD gets the same header fields and no body, and records **no event**.
- `TARGET` is the link as the sender wrote it: character references decoded, tabs and line breaks dropped, what is not
  ASCII encoded as a browser does, nothing else changed.
- The event is on the tracker's disk before the answer leaves. When the disk fails, or does not answer in time, the
  person gets the answer all the same, and the loss is counted (`mailwake_events_lost_total`).
- After `tracking_link_expiry` a link still redirects and an image is still shown; no event is recorded.
- A request with `Sec-Purpose`, `Purpose` or `X-Moz` that says `prefetch` is recorded as prefetched.
- The client's address is the peer's. Of a peer in `tracker.trusted_proxies` it is the one that `X-Forwarded-For` or
  `Forwarded` names: read from the right, past other trusted proxies, through {hops} hops at most. Where the two
  contradict each other, or cannot be read, it is the peer's.
- `tracker.max_requests_per_address` counts in spans of {minute} s, by IPv4 address or IPv6 /64, in each worker by
  itself.
- {agent} bytes of `User-Agent` and {language} bytes of `Accept-Language` are kept.
- The files for apps are `<tracker.app_links_directory>/<tracking domain>/<name>`, of {file_size} MiB at most, and are
  read for each request. Without such a file the answer is 404.
"""
