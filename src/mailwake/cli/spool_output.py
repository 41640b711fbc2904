"""Entries of the spool as people and programs are shown them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailwake.clock import iso_time
from mailwake.spool.contract import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.spool.contract import ListedEntry
    from mailwake.spool.operations import DomainTotal
    from mailwake.spool.steady_time import Moment

_WIDE = 200
"""Columns where there is no terminal: what is piped somewhere should not be broken into lines."""


def console() -> Console:
    """Where tables go."""
    return Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)


def entry_facts(entry: ListedEntry, moment: Moment) -> dict[str, Any]:
    """An entry for programs; times as they are on the wall."""
    due_at_once = entry.next_attempt == AT_ONCE
    return {
        "id": entry.id,
        "sender": entry.sender,
        "recipient": entry.recipient,
        "size": entry.size,
        "message_id": entry.message_id,
        "customer": entry.customer,
        "route": entry.route,
        "queued_at": iso_time(moment.on_the_wall(entry.queued_at)),
        "next_attempt": iso_time(moment.wall if due_at_once else moment.on_the_wall(entry.next_attempt)),
        "attempts": entry.attempts,
        "first_reply": entry.first_reply,
        "last_reply": entry.last_reply or entry.first_reply,
        "report": entry.is_report,
        "in_hand": entry.in_hand,
        "held": entry.held,
    }


def entry_table(entries: Sequence[ListedEntry], moment: Moment) -> Table:
    """Entries for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ID", "waits", "next", "tries", "size", "from", "to", "last reply"):
        right = name in ("ID", "tries", "size")
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=name != "last reply")
    for entry in entries:
        table.add_row(
            str(entry.id),
            short_duration(moment.steady - entry.queued_at),
            _next(entry, moment),
            str(entry.attempts),
            str(entry.size),
            Text(entry.sender or "<>"),
            Text(entry.recipient),
            Text(entry.last_reply or entry.first_reply),
        )
    return table


def summary_table(totals: Sequence[DomainTotal], moment: Moment) -> Table:
    """Domains for people."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("entries", "held", "octets", "oldest"):
        table.add_column(name, justify="right")
    table.add_column("domain")
    for total in totals:
        waits = short_duration(moment.steady - total.oldest)
        table.add_row(str(total.entries), str(total.held), str(total.octets), waits, Text(total.domain))
    return table


def _next(entry: ListedEntry, moment: Moment) -> str:
    if entry.in_hand:
        return "being tried"
    if entry.held:
        return "held"
    seconds = entry.next_attempt - moment.steady
    return f"in {short_duration(seconds)}" if seconds > 0 else "due"


def short_duration(seconds: float) -> str:
    """Seconds as 45s, 12m, 3h or 5d."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"
