"""Momentum's Lua as text: it knows `!=` for `~=` and `!` for `not`, which no other Lua does."""

from __future__ import annotations

import re

# Comments and strings are passed over whole; what is broken in them is for Lua to say.
_TOKEN = re.compile(
    r"""
      (?P<skip> --\[(?P<c>=*)\[ .*? \](?P=c)\]        # a long comment
              | --[^\n]*
              | \[(?P<s>=*)\[ .*? \](?P=s)\]          # a long string
              | "(?:\\.|[^"\\\n])*+"
              | '(?:\\.|[^'\\\n])*+'
      )
      | (?P<unequal> !=) | (?P<not> !)
    """,
    re.VERBOSE | re.DOTALL,
)


def plain_lua(source: str) -> str:
    """The same script for any Lua; every line keeps its number."""
    if source.startswith("#"):  # the first line of an executable file, which lua's own loader passes over
        source = "--" + source
    return _TOKEN.sub(_translated, source) if "!" in source else source


def _translated(token: re.Match[str]) -> str:
    if token["unequal"]:
        return "~="
    return " not " if token["not"] else token[0]
