"""`mailwake events`: the journal's events, for people and for programs."""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from mailwake.cli import keyring_source
from mailwake.cli.keyring_source import ConfigOption, DataOption  # typer reads the annotations
from mailwake.errors import StartupError
from mailwake.events.wire import iso_time, wire_json
from mailwake.feed.contract import BEGINNING
from mailwake.flows.node_events import NodeEvents
from mailwake.links.token import decode_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailwake.events.model import Event
    from mailwake.flows.node_events import Seen

app = typer.Typer(help="Read what was recorded.", no_args_is_help=True)


@app.callback()
def _events() -> None:
    # With a callback `tail` stays a sub-command although it is the only one.
    pass


@app.command("tail")
def tail(
    data: DataOption = None,
    config: ConfigOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come, until interrupted.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line in the webhooks' form, also on a terminal.")
    ] = False,
) -> None:
    """Show the recorded events, oldest first: a table on a terminal, else one JSON object a line."""
    directory = keyring_source.data_directory(data, keyring_source.settings_of(config))
    if not directory.journal.is_dir():
        raise StartupError(
            f"{directory.journal}: there is no journal; name the service's data directory with --data, "
            "or start it first"
        )
    show = _show_lines if as_json or not sys.stdout.isatty() else _show_table_rows
    events = NodeEvents(directory.feed, directory.journal, decode_body)
    try:
        _tail(events, show, follow=follow)
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tail(events: NodeEvents, show: Callable[[Seen], None], *, follow: bool) -> None:
    stop = _Interruption()
    for seen in events.batches(BEGINNING, wait=stop.wait if follow else None):
        for trouble in seen.troubles:
            _warn(trouble)
        show(seen)
        sys.stdout.flush()
        if stop.asked:
            return


class _Interruption:
    """Ends a tail between two lines: on SIGINT, SIGTERM, or when the reader of our output has gone."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)
        self._output = select.poll()
        self._output.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always reported

    def _ask(self, number: int, frame: object) -> None:
        self.asked = True

    def wait(self, seconds: float) -> bool:
        """Sleep; True when it is time to end."""
        return self.asked or bool(self._output.poll(seconds * 1000)) or self.asked


def _show_lines(seen: Seen) -> None:
    for event in seen.events:
        sys.stdout.buffer.write(wire_json(event) + b"\n")


def _show_table_rows(seen: Seen) -> None:
    console = Console()
    for event in seen.events:
        console.print(_row(event), soft_wrap=True)


_STYLES = {"track_event": "green", "message_event": "cyan", "unsubscribe_event": "magenta"}


def _row(event: Event) -> Text:
    about = event.target_link_url or event.reason or event.subject
    row = Text.assemble(
        (iso_time(event.timestamp), "dim"),
        "  ",
        (f"{event.type.wire_name:<16}", "red" if event.bounce_class is not None else _STYLES[event.type.group]),
        "  ",
        f"{event.rcpt_to:<32}",
        "  ",
        (f"{event.campaign_id or '-':<20}", "yellow"),
        "  ",
        about,
        ("  " + ", ".join(_who(event)), "dim"),
    )
    row.rstrip()
    return row


def _who(event: Event) -> Iterator[str]:
    """What the enrichment says of who did it, where that is not simply a person."""
    if event.is_bot:
        yield f"machine: {event.bot_reason}"
    if event.is_proxy:
        yield "by a mail provider's proxy"
    if event.is_prefetched:
        yield "prefetched"


def _warn(text: str) -> None:
    sys.stderr.write(f"mailwake: {text}\n")
