"""From the value of a link to where its click must lead, to its name, and to the sub-path of its tracked URL."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from mailwake.links.body import RAW_URL_NAME
from mailwake.links.tracked_url import DEFAULT_SUB_PATH

MAX_TARGET_BYTES = 4096
"""A longer target is not tracked (2-tracking §1)."""
MAX_NAME_BYTES = 63
MAX_SUB_PATH_LENGTH = 256

_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_TABS_AND_LINE_BREAKS = {0x09: None, 0x0A: None, 0x0D: None}
# What most links are: nothing in them has to be looked at more closely.
_PLAIN_HTTP = re.compile(r"[hH][tT][tT][pP][sS]?://[!-.0->@-\[\]-~][!-~]*+")
_HTTP = re.compile(r"[hH][tT][tT][pP][sS]?://(?P<authority>[^/\\?#]*)")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
# Named in counters and reports; all others together are "other", for a sender can invent any number of them.
_KNOWN_SCHEMES = frozenset(
    (
        *("mailto", "tel", "sms", "smsto", "ftp", "ftps", "cid", "mid", "data", "file", "javascript", "geo", "maps"),
        *("callto", "skype", "whatsapp", "webcal", "market", "itms-apps", "news", "intent", "facetime", "tg", "viber"),
        *("sip", "sips", "http", "https"),
    )
)
# What must not go into a header field as it is; a browser percent-encodes the same in a path (WHATWG URL §1.3).
_UNSAFE = re.compile(r"[^\x20-\x7e]+")
_IGNORED_IN_HOST = re.compile("[\u00ad\u200b\u2060\ufeff\ufe00-\ufe0f]")
_DOTS_IN_HOST = re.compile("[\u3002\uff0e\uff61]")
_HOST_LABEL = re.compile(r"[a-z0-9_-]+")
_SUB_PATH_SAFE = "-._~/"


def resolve(value: str) -> tuple[str, str]:
    """(target, "") for a link that can be tracked, (target, reason) for one that stays as it is.

    `value` is the link with its character references decoded. The target is what `Location` must say: white space
    around it and tabs and line breaks in it dropped, characters beyond ASCII encoded as a browser does (the host by
    IDNA, the rest as percent-encoded UTF-8, also in the query, for web mail shows every message as UTF-8), and nothing
    else normalised.
    """
    if len(value) <= MAX_TARGET_BYTES and _PLAIN_HTTP.fullmatch(value):
        return value, ""
    target = value.strip(_C0_AND_SPACE)
    if not (target.isascii() and target.isprintable()):
        target = target.translate(_TABS_AND_LINE_BREAKS)
    match = _HTTP.match(target)
    if match is None:
        return target, _why_not_http(target)
    if not match["authority"]:
        return target, "no host"
    if len(target) > MAX_TARGET_BYTES:
        return target, "too long"
    if not (target.isascii() and target.isprintable()):
        target = _as_ascii(target, *match.span("authority"))
    # All of it is ASCII now, so characters are bytes.
    return target, "too long" if len(target) > MAX_TARGET_BYTES else ""


def host_of(target: str) -> str:
    """The host that a target names, in lower case and without user and port; "" when it names none."""
    match = _HTTP.match(target)
    return match["authority"].rpartition("@")[2].partition(":")[0].lower() if match else ""


def link_name(value: str | None) -> str:
    """The name of a link in events: at most 63 bytes of UTF-8, cut between characters (1-injection §4)."""
    if not value:
        return RAW_URL_NAME
    if len(value) <= MAX_NAME_BYTES and value.isascii():
        return value
    return value.encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore")


def sub_path(value: str | None) -> str:
    """The path between `/f/` and the token: spaces become underscores, what a path cannot hold is percent-encoded.

    A value that a browser or proxy would shorten (`.`, `..`, empty segments), or a very long one, gives the default.
    """
    if not value:
        return DEFAULT_SUB_PATH
    path = quote(value.strip().replace(" ", "_").strip("/"), safe=_SUB_PATH_SAFE, errors="replace")
    if not path or len(path) > MAX_SUB_PATH_LENGTH or any(part in ("", ".", "..") for part in path.split("/")):
        return DEFAULT_SUB_PATH
    return path


def _why_not_http(target: str) -> str:
    if not target:
        return "empty"
    if target[0] == "#":
        return "anchor"
    scheme = _SCHEME.match(target)
    if scheme is None:
        return "relative"
    name = scheme[1].lower()
    return f"scheme {name}" if name in _KNOWN_SCHEMES else "scheme other"


def _as_ascii(target: str, authority_start: int, authority_end: int) -> str:
    before, authority, after = (
        target[:authority_start],
        target[authority_start:authority_end],
        target[authority_end:],
    )
    user, at, host_and_port = authority.rpartition("@")
    return before + _percent_encoded(user) + at + _ascii_host(host_and_port) + _percent_encoded(after)


def _percent_encoded(text: str) -> str:
    return _UNSAFE.sub(lambda match: quote(match[0].encode("utf-8", "replace"), safe=""), text)


def _ascii_host(host_and_port: str) -> str:
    """The host by UTS #46 without its transitional rules, as browsers do; percent-encoded where that gives no name.

    A host must never turn into another one: where a character decomposes into something that means more than a letter
    (U+2100 holds a slash), the label is percent-encoded, and a browser refuses it as it would refuse the original.
    """
    if host_and_port.isascii():
        return _percent_encoded(host_and_port)
    host, colon, port = host_and_port.partition(":")
    labels = [_ascii_label(label) for label in _DOTS_IN_HOST.sub(".", host).split(".")]
    if None in labels:
        return _percent_encoded(host_and_port)
    return ".".join(label for label in labels if label is not None) + colon + _percent_encoded(port)


def _ascii_label(label: str) -> str | None:
    if label.isascii():
        return None if _UNSAFE.search(label) else label
    mapped = unicodedata.normalize("NFKC", _IGNORED_IN_HOST.sub("", unicodedata.normalize("NFKC", label).lower()))
    if mapped.isascii():
        return mapped if _HOST_LABEL.fullmatch(mapped) else None
    if any(character.isascii() and not character.isalnum() and character not in "-_" for character in mapped):
        return None
    return "xn--" + mapped.encode("punycode").decode("ascii")
