"""The reference of the library, from its docstrings: the functions, and every field of what they take and give."""

from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from mailwake.library.settings import TrackError, TrackSettings
from mailwake.library.tracked_message import TrackedLink, TrackedMessage
from mailwake.library.tracking import read_keys, track
from mailwake.links.keyring import Keyring, KeyringError
from mailwake.markdown import code, table
from mailwake.rewrite.settings import RewriteSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from dataclasses import Field
    from typing import Any

TYPES: tuple[type, ...] = (TrackSettings, RewriteSettings, TrackedMessage, TrackedLink)
"""The types of which every field is described."""

EXAMPLE = """\
import mailwake

keys = mailwake.read_keys("mailwake-data/keys.json")
settings = mailwake.TrackSettings(tracking_domain="links.example.com", campaign_id="spring")

tracked = mailwake.track(message.as_bytes(), "ann@example.org", settings, keys)

smtp.sendmail("news@shop.example", ["ann@example.org"], tracked.content)
for link in tracked.links:
    print(link.line, link.target, "tracked" if link.tracked else f"left alone: {link.reason}")
for part in tracked.skipped:
    print(part.where, part.reason)
"""
"""As it stands in the page; a test runs it."""


def library_reference() -> str:
    """The page in Markdown."""
    example = "".join(f"    {line}".rstrip() + "\n" for line in EXAMPLE.splitlines())
    functions = "\n".join(_function(each) for each in (track, read_keys))
    types = "\n".join(f"## `{each.__name__}`\n\n{_prose(each)}\n\n{_fields(each)}" for each in TYPES)
    rest = table(
        ("name", "meaning"),
        [(code(each.__name__), _prose(each).split("\n\n")[0]) for each in (Keyring, TrackError, KeyringError)],
    )
    return f"{_INTRODUCTION}{example}\n{functions}\n{types}\n## Others\n\n{rest}"


def described_fields(described: type) -> dict[str, str]:
    """The docstring of every field of a dataclass, which stands below it in the source; "" where there is none."""
    (body,) = ast.parse(inspect.getsource(described)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, below in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = _string(below)
    return found


def _string(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def _fields(described: type) -> str:
    meanings = described_fields(described)
    head: tuple[str, ...] = ("field", "type", "meaning")
    rows: Iterator[tuple[str, ...]] = (
        (code(each.name), code(str(each.type)), meanings[each.name])
        for each in fields(described)
        if not each.name.startswith("_")
    )
    if described in (TrackSettings, RewriteSettings):
        defaults = {each.name: _default(each) for each in fields(described)}
        head = (*head[:2], "default", *head[2:])
        rows = ((name, kind, defaults[name.strip("`")], meaning) for name, kind, meaning in rows)
    return table(head, rows)


def _default(each: Field[Any]) -> str:
    if each.default is not MISSING:
        return code("RewriteSettings()" if isinstance(each.default, RewriteSettings) else repr(each.default))
    return "required" if each.default_factory is MISSING else code("{}")


def _function(function: Callable[..., Any]) -> str:
    return f"## `{function.__name__}{inspect.signature(function)}`\n\n{_prose(function)}\n".replace("'", "")


def _prose(described: Any) -> str:
    return inspect.getdoc(described) or ""


_INTRODUCTION = """\
# Python library

For programs that send mail themselves: one function that gives a recipient's copy of a message, with tracked links and
images, by the very code that the service runs. The opens and clicks go to any mailwake tracker that has the same keys
(`mailwake serve --role tracker`). There is a [Django backend](../../examples/django/README.md) as an example.

The names that `mailwake` exports keep to semantic versioning; nothing else in the package is meant for others.

"""
