"""`mailwake spool`: the copies that wait, and what an operator does with them while the service runs."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailwake.cli.spool_output import console, entry_facts, entry_table, summary_table
from mailwake.clock import SystemClock, iso_time
from mailwake.config.load import load
from mailwake.relay.status_report import StatusReports
from mailwake.service.data_directory import DataDirectory
from mailwake.spool.contract import SpoolError
from mailwake.spool.operations import Selection, SpoolOperations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.config.schema import Settings
    from mailwake.spool.operations import Changed

app = typer.Typer(help="Look into the spool; try, hold and remove what waits there.", no_args_is_help=True)

Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
Data = Annotated[Path | None, typer.Option("--data", help="The data directory.", show_default="the configured one")]
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Entries, as `spool list` numbers them.")]
All = Annotated[bool, typer.Option("--all", help="All entries.")]
Recipient = Annotated[str, typer.Option("--recipient", metavar="ADDRESS", help="Only those to this address.")]
Sender = Annotated[
    str | None, typer.Option("--sender", metavar="ADDRESS", help="Only those from this address; '' is the null sender.")
]
Domain = Annotated[str, typer.Option("--domain", metavar="DOMAIN", help="Only those to addresses in this domain.")]
Customer = Annotated[str, typer.Option("--customer", metavar="ID", help="Only those of this customer.")]
Held = Annotated[bool, typer.Option("--held", help="Only those that are held.")]
Json = Annotated[bool, typer.Option("--json", help="As one JSON object a line.")]


@app.command("list")
def list_(
    recipient: Recipient = "",
    sender: Sender = None,
    domain: Domain = "",
    customer: Customer = "",
    held: Held = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, those that are due first.")] = 100,
    as_json: Json = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """List what waits, by the time of the next attempt."""
    selection = Selection(recipient=recipient, sender=sender, domain=domain, customer=customer, held=held or None)
    with closing(_open(config, data)) as spool:
        entries = spool.select(selection, limit)
        number = spool.number(selection)
        moment = spool.moment()
    if as_json:
        for entry in entries:
            typer.echo(json.dumps(entry_facts(entry, moment), ensure_ascii=False))
        return
    if entries:
        console().print(entry_table(entries, moment))
    more = f", {len(entries)} shown; --limit shows more" if number > len(entries) else ""
    typer.echo(f"{number} in the spool{more}", err=True)


@app.command()
def summary(as_json: Json = False, config: Config = None, data: Data = None) -> None:
    """Count what waits, by the recipients' domains."""
    with closing(_open(config, data)) as spool:
        totals = spool.domains()
        moment = spool.moment()
    if as_json:
        for total in totals:
            facts = total._asdict() | {"oldest": iso_time(moment.on_the_wall(total.oldest))}
            typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    if totals:
        console().print(summary_table(totals, moment))
    typer.echo(f"{sum(total.entries for total in totals)} in the spool", err=True)


@app.command()
def show(
    entry_id: Annotated[int, typer.Argument(metavar="ID", help="An entry, as `spool list` numbers it.")],
    content: Annotated[
        bool, typer.Option("--content", help="The message itself, to the octet, and nothing else.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Show an entry: what is known of it, the next hop's replies, and the header of the message."""
    with closing(_open(config, data)) as spool:
        copy = spool.read(entry_id)
        found = spool.select(Selection(ids=[entry_id]), 1)
        moment = spool.moment()
    if copy is None or not found:
        raise _unknown([entry_id])
    if content:
        sys.stdout.buffer.write(copy.content)
        sys.stdout.buffer.flush()
        return
    header = copy.content.partition(b"\r\n\r\n")[0].decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    asked = copy.dsn
    facts = entry_facts(found[0], moment) | {
        "transmission_id": str(copy.transmission_id),
        "body": copy.body,
        "smtputf8": copy.smtputf8,
        "notify": asked.notify,
        "original_recipient": asked.original_recipient,
        "ret": asked.returned,
        "envid": asked.envelope_id,
        "told_of_delay": copy.delay_told,
    }
    if as_json:
        typer.echo(json.dumps(facts | {"header": header}, ensure_ascii=False))
        return
    for name, value in facts.items():
        if value not in ("", False):
            typer.echo(f"{name.replace('_', ' ') + ':':<20}{'yes' if value is True else value}")
    typer.echo(f"\n{header}")


def _add_change(
    name: str, help_: str, change: Callable[[SpoolOperations, Selection], Changed], done: str, in_hand: str
) -> None:
    """Add a command that does something to entries named by number, by a filter, or all of them."""

    def command(
        ids: Ids = None,
        everything: All = False,
        recipient: Recipient = "",
        sender: Sender = None,
        domain: Domain = "",
        customer: Customer = "",
        config: Config = None,
        data: Data = None,
    ) -> None:
        with closing(_open(config, data)) as spool:
            chosen = _chosen(spool, ids, everything, recipient, sender, domain, customer)
            _told(change(spool, chosen), done, in_hand)

    command.__doc__ = help_
    app.command(name)(command)


_add_change(
    "retry",
    "Make entries due now; the running service tries them within a second or so. Held ones stay held.",
    SpoolOperations.retry,
    "due now",
    "being tried at this moment anyway",
)
_add_change(
    "hold",
    "Have entries wait until they are released: they are not tried, and do not expire.\n\n"
    "One that is being tried at this moment waits if that attempt fails for now.",
    SpoolOperations.hold,
    "held",
    "of them being tried at this moment: held if that fails",
)
_add_change(
    "release",
    "Let held entries go on, due now; the time they were held does not count.",
    SpoolOperations.release,
    "released",
    "of them being tried at this moment",
)


@app.command()
def remove(
    ids: Ids = None,
    everything: All = False,
    recipient: Recipient = "",
    sender: Sender = None,
    domain: Domain = "",
    customer: Customer = "",
    held: Held = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bounce: Annotated[bool, typer.Option("--bounce", help="Send each sender a report of failure.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also those that are being tried at this moment; they may arrive yet.")
    ] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget entries undelivered. No event is recorded of it."""
    settings = _settings(config, data)
    with closing(_spool_of(settings)) as spool:
        chosen = _chosen(spool, ids, everything or held, recipient, sender, domain, customer, held or None)
        number = spool.number(chosen)
        if number and not yes:
            typer.confirm(f"Remove {number} from the spool, {'with' if bounce else 'without'} a report?", abort=True)
        reports = StatusReports(settings.esmtp_listener.hostname)
        moment = spool.moment()
        removed = spool.remove(chosen, (lambda copy: reports.removed(copy, moment)) if bounce else None, force=force)
    _told(removed, "removed", "left, being tried at this moment: try again, or --force")
    if removed.in_hand:
        raise typer.Exit(1)


def _chosen(
    spool: SpoolOperations,
    ids: Sequence[int] | None,
    everything: bool,
    recipient: str,
    sender: str | None,
    domain: str,
    customer: str,
    held: bool | None = None,
) -> Selection:
    """What the arguments name; SpoolError when they name nothing, or entries that are not there."""
    if not (ids or everything or recipient or sender is not None or domain or customer):
        raise SpoolError("which? name entries by number, by a filter such as --domain, or all of them with --all")
    if ids and everything:
        raise SpoolError("numbers and --all contradict each other; give one of them")
    missing = spool.missing(ids or ())
    if missing:
        raise _unknown(missing)
    return Selection(ids=ids or (), recipient=recipient, sender=sender, domain=domain, customer=customer, held=held)


def _unknown(ids: Sequence[int]) -> SpoolError:
    return SpoolError(f"not in the spool: {', '.join(map(str, ids))}; `mailwake spool list` shows what is")


def _told(changed: Changed, done: str, in_hand: str) -> None:
    typer.echo(f"{changed.done} {done}" + (f"; {changed.in_hand} {in_hand}" if changed.in_hand else ""), err=True)


def _settings(config: Path | None, data: Path | None) -> Settings:
    return load(config, {"data_dir": str(data)} if data is not None else {}, flags={"data_dir": "--data"}).settings


def _spool_of(settings: Settings) -> SpoolOperations:
    return SpoolOperations(DataDirectory(settings.data_dir).spool, clock=SystemClock())


def _open(config: Path | None, data: Path | None) -> SpoolOperations:
    return _spool_of(_settings(config, data))
