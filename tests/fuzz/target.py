"""What a fuzz target is: a check over any bytes, with what the search for failing bytes starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET_NAMES = ("header", "mime", "conversion", "html", "text", "msys_header", "http_request")
"""The modules in `tests/fuzz/targets/`, each with one `TARGET`."""


class Target(NamedTuple):
    """`check` raises for bytes that show a bug; it is run without atheris too, by the tests and to reproduce."""

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    tokens: tuple[bytes, ...]
    """Pieces of the input language, which the mutations put in."""
    packages: tuple[str, ...] = ("mailwake.message", "mailwake.rewrite")
    """The modules that are instrumented for coverage."""
    max_length: int = 2048
