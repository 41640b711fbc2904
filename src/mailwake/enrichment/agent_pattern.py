"""How rules name programs: by a part, the beginning or the whole of their `User-Agent`, or by a regular expression."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class AgentPattern(NamedTuple):
    """One pattern as it was written, and the regular expression that finds it."""

    text: str
    expression: str


def parse_agent(text: str) -> AgentPattern:
    """`=` the whole text as it is, `^` its beginning, `~` a regular expression; else a part, in any case of letters.

    `=` alone means that there is none at all. ValueError for what is no pattern.
    """
    mark, rest = text[:1], text[1:]
    if mark == "=":
        return AgentPattern(text, rf"(?-i:\A{re.escape(rest)}\Z)")
    if mark not in ("^", "~"):
        rest, mark = text, ""
    if not rest.strip():
        raise ValueError("an empty pattern")
    if mark != "~":
        return AgentPattern(text, (r"\A" if mark else "") + re.escape(rest))
    try:
        re.compile(rest)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None
    return AgentPattern(text, rest)


def agent_matcher(patterns: Iterable[AgentPattern]) -> Callable[[str], bool]:
    """Whether an agent's text is one of these."""
    # Regular expressions stand alone: their groups and flags are nobody else's.
    plain: list[str] = []
    expressions: list[str] = []
    for pattern in patterns:
        (expressions if pattern.text.startswith("~") else plain).append(pattern.expression)
    searches = [
        re.compile(each, re.IGNORECASE).search for each in (*expressions, *(["|".join(plain)] if plain else []))
    ]
    return lambda agent: any(search(agent) is not None for search in searches)
