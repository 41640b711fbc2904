"""The reference of the tracker's HTTP: each request with its answer, taken from the code that gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.links.token import FAMILIES
from mailwake.links.tracked_url import DEFAULT_SUB_PATH
from mailwake.markdown import code, table
from mailwake.tracker import client_facts, domains, responses
from mailwake.tracker.address_rate import MINUTE
from mailwake.tracker.http_limits import HttpLimits

if TYPE_CHECKING:
    from mailwake.tracker.messages import Response


class Answer(NamedTuple):
    """One answer: when it is given, its label in `mailwake_tracker_requests_total`, its code, and what is recorded."""

    request: str
    label: str
    response: Response
    event: str = "–"


ANSWERS = (
    Answer(
        f"`GET /f/{DEFAULT_SUB_PATH}/TOKEN`, a click",
        "redirect",
        responses.redirect("TARGET"),
        "`click`, `amp_click` or `link_unsubscribe`",
    ),
    Answer("`GET /q/TOKEN`, the image at the end", "image", responses.IMAGE, "`open` or `amp_open`"),
    Answer("`GET /o/TOKEN`, the image at the start", "image", responses.IMAGE, "`initial_open` or `amp_initial_open`"),
    Answer(
        "`GET /u/TOKEN`, the link of List-Unsubscribe: nobody is unsubscribed by looking at it",
        "unsubscribe_page",
        responses.UNSUBSCRIBE_PAGE,
    ),
    Answer(
        "`POST /u/TOKEN` with the form field `List-Unsubscribe=One-Click`, urlencoded or as multipart/form-data",
        "unsubscribed",
        responses.UNSUBSCRIBED,
        "`list_unsubscribe`",
    ),
    Answer(
        "the same with the field `from=page`, where the tracking domain has an `unsubscribed_url`",
        "unsubscribed",
        responses.see_other("URL"),
        "`list_unsubscribe`",
    ),
    Answer("`POST /u/TOKEN` whose event cannot be written", "not_recorded", responses.NOT_RECORDED),
    Answer("`POST /u/TOKEN` without that field", "no_form", responses.NO_FORM),
    Answer("a token that is unknown, damaged, forged or cut short; any other path", "not_found", responses.NOT_FOUND),
    Answer("`GET /robots.txt`", "robots", responses.ROBOTS),
    Answer(
        ", ".join(f"`GET {domains.APP_LINKS_PREFIX}{name}`" for name in sorted(domains.APP_LINKS_FILES)),
        "app_links",
        responses.app_links(b"{}"),
    ),
    Answer(
        "any request for a host that is not served (`serve = false`, `tracker.unknown_hosts`)",
        "wrong_host",
        responses.NOT_FOUND,
    ),
    Answer("any method but GET and HEAD", "wrong_method", responses.WRONG_METHOD),
    Answer("any method but GET, HEAD and POST, under `/u/`", "wrong_method", responses.WRONG_METHOD_HERE),
    Answer("any other request with a body, or a form that is too long", "body_refused", responses.BODY_REFUSED),
    Answer("more requests from one address than `tracker.max_requests_per_address`", "too_many", responses.TOO_MANY),
    Answer("more, of `POST /u/TOKEN`", "too_many", responses.TOO_MANY_FORMS),
    Answer("what is no HTTP request", "bad_request", responses.BAD_REQUEST),
    Answer("a request target that is too long", "bad_request", responses.TARGET_TOO_LONG),
    Answer("a header that is too long, or has too many fields", "bad_request", responses.HEADER_TOO_LARGE),
    Answer("another version of HTTP", "bad_request", responses.WRONG_VERSION),
    Answer("a fault of the tracker that left nothing to redirect to", "failed", responses.FAILED),
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


def http_reference() -> str:
    """The part of the page that is about the tracker, in Markdown."""
    rows = []
    for answer in ANSWERS:
        status, *fields = answer.response.head.decode().splitlines()
        shown = [*fields[:-1], *(["connection: close"] if answer.response.close else [])]  # the last is the length
        headers = "<br>".join(map(code, shown))
        body = _body(answer.label, answer.response.body)
        rows.append((answer.request, status.split()[1], headers, body, answer.event, code(answer.label)))
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
                file_size=domains.SIZE_LIMIT >> 20,
            ),
            _limits(),
            "### Refused tokens\n\n`mailwake_tracker_tokens_refused_total` says why a link got 404.\n",
            table(("`reason`", "the token is"), [(code(name), why) for name, why in REFUSED_TOKENS.items()]),
        )
    )


def _introduction() -> str:
    letters = ", ".join(map(code, sorted(FAMILIES)))
    return (
        "## Tracker\n\n"
        'Served on the addresses of `tracker.listen`, in HTTP/1.1, over TLS where `tls = "on"`. A link is\n'
        f"`<scheme>://<tracking_domain>/<letter>/…/<token>`; the letters are {letters}. All that the tracker\n"
        "needs is inside the token, so any tracker with the same keys answers any link. A slash at the end is\n"
        "ignored, and so is a query.\n"
    )


def _limits() -> str:
    limits = HttpLimits()
    rows = (
        (f"{limits.header_timeout:g} s", "from a request's first octet to the end of its header"),
        (
            f"{limits.idle_timeout:g} s",
            "that a connection is kept after an answer, and that a client has to take one",
        ),
        (f"{limits.target_octets} octets", "of a request target; longer ones get 414"),
        (f"{limits.header_octets} octets", "of a request's header, its first line included; longer ones get 431"),
        (f"{limits.header_fields}", "fields of a header; more get 431"),
        (f"{limits.connections}", "connections open at once in each worker; then the one that waits longest is closed"),
        (f"{limits.grace:g} s", "for requests in hand when the tracker stops"),
    )
    return "### Limits\n\n" + table(("limit", "of"), rows)


def _body(label: str, body: bytes) -> str:
    if label == "image":
        return f"a transparent GIF of 1×1, {len(body)} bytes"
    if body.startswith(b"<!doctype html>"):
        return "a small page for people"
    if label == "app_links":
        return "the operator's file"
    return " ".join(code(line) for line in body.decode().splitlines()) or "none"


_REMARKS = """\
- "Counted as" is the label `answer` of `mailwake_tracker_requests_total`.
- HEAD gets the same header fields and no body, and records **no event**.
- `TARGET` is the link as the sender wrote it: character references decoded, tabs and line breaks dropped, what is not
  ASCII encoded as a browser does, nothing else changed.
- The event is on the tracker's disk before the answer leaves. When the disk fails, or does not answer in time, the
  person gets the answer all the same, and the loss is counted (`mailwake_events_lost_total`).
- `POST /u/TOKEN` is the exception: without its event on the disk nobody is told to be unsubscribed. It works for ever;
  `from=page` is what the button of mailwake's own page sends ([unsubscribing](../unsubscribing.md)).
- After `tracking_link_expiry` a link still redirects and an image is still shown; no event is recorded.
- A request with `Sec-Purpose`, `Purpose` or `X-Moz` that says `prefetch` is recorded as prefetched.
- The client's address is the peer's. Of a peer in `tracker.trusted_proxies` it is the one that `X-Forwarded-For` or
  `Forwarded` names: read from the right, past other trusted proxies, through {hops} hops at most. Where the two
  contradict each other, or cannot be read, it is the peer's.
- `tracker.max_requests_per_address` counts in spans of {minute} s, by IPv4 address or IPv6 /64, in each worker by
  itself.
- {agent} bytes of `User-Agent` and {language} bytes of `Accept-Language` are kept.
- The 404 page is the domain's `not_found_page`, or that of `[tracker]`, or mailwake's own.
- The files for apps are `<tracker.app_links_directory>/<tracking domain>/<name>`, or those in the domain's own
  `app_links_directory`, of {file_size} MiB at most, and are
  read for each request. Without such a file the answer is 404.
"""
