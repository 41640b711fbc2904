"""What the body of a POST to an unsubscription link says: a form field, in either of two encodings (RFC 8058 §3.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from mailwake.rewrite.unsubscribe_fields import ONE_CLICK

if TYPE_CHECKING:
    from collections.abc import Iterator

FROM_PAGE = ("from", "page")
"""The field that the button on the page sends besides: a person looks at the answer, not a program."""

_MOST_FIELDS = 16
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb';\s*name=(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_DISPOSITION = b"content-disposition:"


class UnsubscribeForm(NamedTuple):
    """What was sent."""

    one_click: bool
    """Whether it asks to unsubscribe."""
    from_page: bool
    """Whether it comes from the button on the page, and not from a mail program."""


def read_form(content_type: str | None, body: bytes) -> UnsubscribeForm:
    """What a form says; one that cannot be read asks for nothing. Without a type it is taken for urlencoded."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    fields = set(_multipart(content_type or "", body) if kind == "multipart/form-data" else _urlencoded(body))
    return UnsubscribeForm(ONE_CLICK in fields, FROM_PAGE in fields)


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return [(name, value.strip()) for name, value in parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS)]
    except ValueError:  # more fields than any form of ours has, or octets that should have been encoded
        return []


def _multipart(content_type: str, body: bytes) -> Iterator[tuple[str, str]]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        return
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1", "replace")
    for part in body.split(delimiter, _MOST_FIELDS + 1)[1:]:
        header, blank, value = part.partition(b"\r\n\r\n")
        if not blank:
            continue
        for line in header.split(b"\r\n"):
            name = _NAME.search(line) if line.lower().startswith(_DISPOSITION) else None
            if name is not None:
                yield (name[1] or name[2] or b"").decode("latin-1"), value.decode("latin-1").strip()
