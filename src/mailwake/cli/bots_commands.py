"""`mailwake bots`: checking bot rules, and why an event was judged as it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from mailwake.cli import keyring_source
from mailwake.cli.keyring_source import ConfigOption, DataOption  # typer reads the annotations
from mailwake.clock import iso_time
from mailwake.config.enrichment_settings import Enrichment
from mailwake.enrichment.rule_file import RuleFileError, read_rules, shipped_rules, shipped_text
from mailwake.errors import MailwakeError, StartupError
from mailwake.events.from_record import engagement_event, message_event
from mailwake.events.record import (
    EngagementRecord,
    ErasedRecord,
    MessageRecord,
    ObservationRecord,
    decode_record,
    record_time,
)
from mailwake.events.unique_ids import EPOCH
from mailwake.journal.reader import JournalReader
from mailwake.links.token import decode_body
from mailwake.logs import make_logger
from mailwake.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mailwake.enrichment.enricher import Enricher
    from mailwake.enrichment.rule_tables import ProxyTable, RuleTable
    from mailwake.events.model import Event

app = typer.Typer(help="The rules that tell machines from people.", no_args_is_help=True)

_NEIGHBOURHOOD_MS = 24 * 3600 * 1000
_ID_SPREAD_MS = 60_000
# An id is made just before its event's time is taken, and may run ahead after a restart.


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Your file of bot rules (TOML).")]) -> None:
    """Check a file of bot rules; any problem is one line and makes the exit status 1."""
    try:
        own = read_rules(file)
    except RuleFileError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(1) from None
    shipped = shipped_rules()
    _say_of_namesakes(own.rule, {each.name for each in shipped.rule})
    _say_of_namesakes(own.proxy, {each.name for each in shipped.proxy})
    typer.echo(f"{file}: no problems found")


def _say_of_namesakes(own: Sequence[RuleTable | ProxyTable], shipped: set[str]) -> None:
    for each in own:
        if each.name in shipped:
            typer.echo(f"{each.name}: " + ("takes the place of the shipped one" if each.enabled else "is switched off"))
        elif not each.enabled:
            typer.echo(f"warning: {each.name}: is switched off, and is none of the shipped ones", err=True)


@app.command()
def shipped() -> None:
    """Print the shipped rules, with all that is said of them."""
    typer.echo(shipped_text(), nl=False)


@app.command()
def explain(
    event_id: Annotated[int, typer.Argument(help="The event's id, as consumers get it.")],
    data: DataOption = None,
    config: ConfigOption = None,
    rules: Annotated[
        Path | None, typer.Option(help="A file of bot rules to try instead of the configured one.")
    ] = None,
) -> None:
    """Say why an open or click was judged as it was: what came before and after it, and every rule that holds.

    It is judged anew, from the journal, by the rules as they are now.
    """
    from mailwake.enrichment.enricher import Enricher  # makes the tables of programs, which other commands need not

    settings = keyring_source.settings_of(config)
    enrichment = settings.enrichment if settings is not None else Enrichment()
    if rules is not None:
        enrichment = Enrichment(bot_rules=rules, geoip_database=enrichment.geoip_database)
    enricher = Enricher(enrichment, make_logger("human", "error"), Metrics())
    journal = keyring_source.data_directory(data, settings).journal
    if not journal.is_dir():
        raise StartupError(f"{journal}: there is no journal; name the service's data directory with --data")
    event = _observed(enricher, journal, event_id)
    console = Console(file=sys.stdout, highlight=False)
    for line in _explanation(enricher, event):
        console.print(line, soft_wrap=True)


def _observed(enricher: Enricher, journal: Path, event_id: int) -> Event:
    # Twice through the journal, so that only one copy's events are in memory.
    about_ms = (event_id >> 22) + EPOCH * 1000
    event = next((each for each in _events(journal, about_ms, _ID_SPREAD_MS) if each.event_id == event_id), None)
    if event is None:
        raise MailwakeError(f"event {event_id} is not in {journal}: the journal of another node, or no longer kept")
    for record in _records(journal, event.timestamp, _NEIGHBOURHOOD_MS):
        if isinstance(record, ObservationRecord):
            link = decode_body(record.raw_body)
            if link.context.message_id == event.message_id:
                enricher.observe_head(event.message_id, link.target, record.address, record.time_ms)
        elif (each := _event_of(record)).message_id == event.message_id:
            enricher.observe(each)
    return event


def _events(journal: Path, about_ms: int, spread_ms: int) -> Iterator[Event]:
    for record in _records(journal, about_ms, spread_ms):
        if not isinstance(record, ObservationRecord):
            yield _event_of(record)


def _event_of(record: EngagementRecord | MessageRecord) -> Event:
    if isinstance(record, EngagementRecord):
        return engagement_event(record, decode_body(record.raw_body))
    return message_event(record)


def _records(
    journal: Path, about_ms: int, spread_ms: int
) -> Iterator[EngagementRecord | MessageRecord | ObservationRecord]:
    reader, cursor, more = JournalReader(journal, time_of=record_time), None, True
    while more:
        batch = reader.read(cursor)
        cursor, more = batch.cursor, bool(batch.records)
        for each in batch.records:
            if abs(record_time(each.payload) - about_ms) <= spread_ms:
                try:
                    record = decode_record(each.payload)
                except MailwakeError as error:
                    sys.stderr.write(f"mailwake: {each.segment}: at {each.start}: {error}\n")
                    continue
                if not isinstance(record, ErasedRecord):
                    yield record


def _explanation(enricher: Enricher, event: Event) -> Iterator[Text]:
    judged = enricher.complete(event)
    when = iso_time(event.timestamp / 1000)
    yield Text.assemble(f"{event.type.wire_name} of {event.rcpt_to or 'nobody named'} at {when}")
    yield Text(f"  asked by  {event.ip_address or 'an unknown address'}, {event.user_agent or 'no user agent'}")
    if event.target_link_url:
        yield Text(f"  link      {event.target_link_url}")
    if judged.is_bot is None:
        yield Text("  judged    no: only opens, clicks and unsubscriptions are")
        return
    yield Text(f"  came      {enricher.surroundings(event)}")
    proxy = "no" if not judged.is_proxy else "yes, fetched ahead" if judged.is_prefetched else "yes"
    yield Text(f"  by proxy  {proxy}")
    found = enricher.all_that_hold(event)
    verdict = "machine" if judged.is_bot else "person, as far as can be told"
    yield Text(f"  judged    {verdict}" + (f": {judged.bot_reason}, {judged.bot_confidence:g}" if found else ""))
    for rule in found:
        yield _rule_line(rule)


def _rule_line(rule: RuleTable) -> Text:
    return Text.assemble(
        "  holds     ", (f"{rule.confidence:<4g}", "yellow"), f" {rule.name}", f" ({rule.reason or rule.name})"
    )
