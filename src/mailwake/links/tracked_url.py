"""The URLs of tracked links: the path is for people, CDNs and app-link patterns; what counts is in the token."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, urlsplit

from mailwake.links.token import FAMILIES

DEFAULT_SUB_PATH = "a"
"""What stands between `/f/` and the token unless `data-msys-sublink` says otherwise (2-tracking.md, section 1)."""


class TrackedPath(NamedTuple):
    """What a tracked URL's path says: the letter of its family, and the token."""

    family: str
    token: str


def click_prefix(scheme: str, domain: str, sub_path: str = "") -> bytes:
    """The URL of a click up to its token; the same for all links of a message that share a sub-path."""
    return f"{scheme}://{domain}/f/{clean_sub_path(sub_path)}/".encode("ascii")


def click_url(scheme: str, domain: str, sub_path: str, token: bytes) -> bytes:
    """`<scheme>://<domain>/f/<sub-path>/<token>`, ASCII."""
    return click_prefix(scheme, domain, sub_path) + token


def open_url(scheme: str, domain: str, token: bytes) -> bytes:
    """`<scheme>://<domain>/q/<token>`, ASCII."""
    return tracked_url(scheme, domain, "q", token)


def initial_open_url(scheme: str, domain: str, token: bytes) -> bytes:
    """`<scheme>://<domain>/o/<token>`, ASCII."""
    return tracked_url(scheme, domain, "o", token)


def tracked_url(scheme: str, domain: str, family: str, token: bytes) -> bytes:
    """`<scheme>://<domain>/<family>/<token>`, ASCII: every tracked URL but a click's."""
    return f"{scheme}://{domain}/{family}/".encode("ascii") + token


def clean_sub_path(sub_path: str) -> str:
    """A sub-path fit for a URL: spaces become underscores, other strange characters are percent-encoded.

    Segments that browsers would resolve (`.`, `..`) or that are empty are dropped; nothing left means the default.
    """
    segments = [segment.strip() for segment in sub_path.split("/")]
    kept = [segment.replace(" ", "_") for segment in segments if segment not in ("", ".", "..")]
    return quote("/".join(kept), safe="/-._~!$()*,;:@") or DEFAULT_SUB_PATH


# What programs that make text into links take for part of the URL, as it stands in a path.
_PUNCTUATION = ".,;:!?'\")*>]}|"
_ENCODED_PUNCTUATION = frozenset(f"%{ord(character):02X}" for character in _PUNCTUATION)
_MOST_ENCODED = 8
_TOKEN_END = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def parse_path(path: str) -> TrackedPath | None:
    """The family and token in a request's path (no query, no host); None when it is no tracked link's path.

    Punctuation behind the token is ignored: the sentence around a URL in plain text, which some programs take along.
    """
    last = path.rfind("/")
    family = path[1:2]
    if path[:1] != "/" or path[2:3] != "/" or family not in FAMILIES or last + 1 == len(path):
        return None
    if (last > 2) != (family == "f"):  # clicks have a sub-path, the others none
        return None
    token = path[last + 1 :]
    if token[-1] not in _TOKEN_END or "%" in token:
        token = _without_punctuation(token)
    return TrackedPath(family, token) if token else None


def _without_punctuation(token: str) -> str:
    for _ in range(_MOST_ENCODED):
        token = token.rstrip(_PUNCTUATION)
        if token[-3:].upper() not in _ENCODED_PUNCTUATION:
            break
        token = token[:-3]
    return token


def parse_url(url: str) -> TrackedPath | None:
    """The same for a whole URL, whatever its scheme and host; a query or fragment that something added is ignored."""
    try:
        return parse_path(urlsplit(url.strip()).path)
    except ValueError:  # not even a URL
        return None
