"""An insertion mode (WHATWG HTML §13.2.4.1): what a start tag, an end tag and text do in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.html.tags import Tag
    from mailwake.html.tree_construction import TreeConstruction

SPACE, NUL, OTHER = "space", "nul", "other"
"""The kinds of text: white space opens no element, NUL is dropped, anything else shows that the body has begun."""

_SPACE_REFERENCE = rb"&#0*+(?:9|10|12|13|32)(?![0-9]);?|&#[xX]0*+(?:9|[aAcCdD]|20)(?![0-9a-fA-F]);?|&Tab;|&NewLine;"
_SPACE_AND_NUL = re.compile(rb"(?:[\t\n\f\r \0]|" + _SPACE_REFERENCE + rb")*+")


class InsertionMode(NamedTuple):
    """The three functions of a mode; each may change the mode and hand on what it was given."""

    start: Callable[[TreeConstruction, Tag], None]
    end: Callable[[TreeConstruction, Tag], None]
    text: Callable[[TreeConstruction, str], None]


def kind_of_text(text: bytes) -> str:
    """The kind of a run of text as it stands in a document, character references and all."""
    if _SPACE_AND_NUL.fullmatch(text) is None:
        return OTHER
    return SPACE if text.strip(b"\0") else NUL
