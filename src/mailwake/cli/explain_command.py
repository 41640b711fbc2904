"""`mailwake explain`: what would happen to a message and why, by the very code that would do it."""

from __future__ import annotations

import difflib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailwake.config.load import load
from mailwake.config.overrides import parse_assignments
from mailwake.errors import MailwakeError
from mailwake.rewrite.plan import SIGNED_ON_ARRIVAL
from mailwake.service.explanation import Client, Explanation, explain_message
from mailwake.smtp.replies import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator


_WIDTH_IN_FILES = 160


def explain(
    file: Annotated[Path, typer.Argument(help="The message (RFC 5322), as it would be sent.", metavar="FILE.eml")],
    rcpt: Annotated[str, typer.Option(help="The recipient's address.")],
    sender: Annotated[str, typer.Option(help="The envelope sender.")] = "sender@example.org",
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML).")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be repeated.")
    ] = None,
    peer: Annotated[str, typer.Option(help="The address the message would come from.")] = "127.0.0.1",
    listener: Annotated[
        str | None, typer.Option(help="The listener it would come in by.", show_default="the first")
    ] = None,
    account: Annotated[
        str, typer.Option(help="The account that the client authenticated as.", show_default="none")
    ] = "",
    context: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A context variable that policy would set; may be repeated."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
    diff: Annotated[bool, typer.Option(help="Show the message before and after.")] = True,
) -> None:
    """Show each setting with the source that decided it, each link with its fate, and the message before and after."""
    content, converted = _read(file)
    configuration = load(config, parse_assignments(set_ or []))
    try:
        client = Client(
            sender=sender,
            recipient=rcpt,
            peer=peer,
            listener=listener,
            account=account,
            context=parse_assignments(context or []),
        )
        found = explain_message(configuration, content, client)
    except Refusal as refusal:
        if json_:
            typer.echo(json.dumps({"refused": str(refusal.reply), "reason": refusal.log}))
        else:
            typer.echo(f"refused: {refusal.reply}\nbecause: {refusal.log}")
        raise typer.Exit(1) from None
    if json_:
        typer.echo(json.dumps(_as_json(found, content), indent=2, ensure_ascii=False))
    else:
        _show(found, content, converted=converted, with_diff=diff)


def _read(file: Path) -> tuple[bytes, bool]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MailwakeError(f"{file}: cannot be read: {error.strerror}; name a file that holds one message") from None
    canonical = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    return canonical, canonical != content


def _show(found: Explanation, content: bytes, *, converted: bool, with_diff: bool) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH_IN_FILES)
    settings = Table("setting", "value", "decided by", title="Settings", title_justify="left", box=None)
    for name, value, source in found.settings:
        settings.add_row(name, Text(_shown(value)), Text(source))
    console.print(settings)
    links = Table("line", "part", "link", "fate", title="\nLinks", title_justify="left", box=None)
    for link in found.links:
        fate = f"left as it is: {link.reason}"
        if link.tracked:
            fate = f"tracked as {link.name!r}" + (", an unsubscribe link" if link.unsubscribe else "")
            if link.text_is_url:
                fate += "; its text is a URL, which filters may take for phishing (see tracked_link_text)"
        links.add_row(str(link.line), link.part, Text(link.target, overflow="fold"), Text(fate))
    console.print(links if found.links else "\nLinks: none looked at, because nothing is tracked or no part can be")
    for note in _notes(found):
        console.print(Text(f"note: {note}"))
    if converted:
        console.print("note: the file has line ends other than CRLF; SMTP clients send CRLF, so that is shown")
    if with_diff:
        console.print("\nMessage before and after")
        for line in _diff(content, found.after):
            style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            console.print(Text(line, style=style), soft_wrap=True)


def _notes(found: Explanation) -> Iterator[str]:
    for part, reason in found.skipped_parts:
        advice = ': tracking would break that; on_signed = "track" tracks it' if reason == SIGNED_ON_ARRIVAL else ""
        yield f"{part}: {reason}{advice}"
    for signature in found.broken_signatures:
        yield f'message with {signature}: that signature fails once the body has changed (on_signed = "track")'


def _diff(before: bytes, after: bytes) -> Iterator[str]:
    def lines(content: bytes) -> list[str]:
        return content.decode("utf-8", "backslashreplace").split("\r\n")

    return difflib.unified_diff(lines(before), lines(after), "received", "relayed", lineterm="", n=1)


def _as_json(found: Explanation, content: bytes) -> dict[str, Any]:
    return {
        "settings": {name: {"value": value, "source": source} for name, value, source in found.settings},
        "links": [
            {
                "part": link.part,
                "line": link.line,
                "target": link.target,
                "name": link.name,
                "unsubscribe": link.unsubscribe,
                "tracked": link.tracked,
                "reason": link.reason,
                "text_is_url": link.text_is_url,
            }
            for link in found.links
        ],
        "skipped_parts": [{"part": part, "reason": reason} for part, reason in found.skipped_parts],
        "broken_signatures": list(found.broken_signatures),
        "diff": list(_diff(content, found.after)),
    }


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list, tuple)) else str(value)
