"""`mailwake link`: what stands in a tracked link, and links made by hand."""

from __future__ import annotations

import json
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mailwake.cli import keyring_source
from mailwake.cli.keyring_source import ConfigOption, DataOption  # typer reads the annotations
from mailwake.clock import SystemClock
from mailwake.config.load import load
from mailwake.config.scopes import ScopedOptions
from mailwake.errors import SettingError
from mailwake.events.unique_ids import EPOCH
from mailwake.events.wire import iso_time
from mailwake.links.pasted import open_pasted
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id
from mailwake.links.tracked_url import click_url, tracked_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.links.token import Link

app = typer.Typer(help="Read and make tracked links.", no_args_is_help=True)


class Kind(StrEnum):
    """The kinds of links, as events spell them."""

    CLICK = "click"
    OPEN = "open"
    INITIAL_OPEN = "initial_open"
    LINK_UNSUBSCRIBE = "link_unsubscribe"
    AMP_CLICK = "amp_click"
    AMP_OPEN = "amp_open"
    AMP_INITIAL_OPEN = "amp_initial_open"
    LIST_UNSUBSCRIBE = "list_unsubscribe"


@app.command("decode")
def decode(
    link: Annotated[str, typer.Argument(metavar="URL|TOKEN", help="A whole tracked URL, or its last part.")],
    data: DataOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show everything that a tracked link carries; exit status 1 when it is damaged, forged or of other keys."""
    codec = TokenCodec(keyring_source.keyring(data, keyring_source.settings_of(config)))
    fields = link_fields(open_pasted(codec, link.strip()), SystemClock().now())
    if as_json:
        typer.echo(json.dumps(fields, ensure_ascii=False))
        return
    _print_table(fields)


@app.command("encode")
def encode(
    recipient: Annotated[str, typer.Option(help="The address that the link is for.")],
    target: Annotated[str, typer.Option(help="Where a click leads.")] = "",
    kind: Annotated[Kind, typer.Option(help="What following the link means.")] = Kind.CLICK,
    name: Annotated[str, typer.Option(help="The link's name.")] = "",
    customer: Annotated[str, typer.Option(help="The customer's id.")] = "",
    campaign: Annotated[str, typer.Option(help="The campaign's id.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    metadata: Annotated[str, typer.Option(help="A JSON object.")] = "",
    expires: Annotated[int | None, typer.Option(min=0, help="Life in seconds.", show_default="as configured")] = None,
    sub_path: Annotated[str, typer.Option(help="The path of a click before its token.")] = "",
    scheme: Annotated[str, typer.Option(help="http or https.", show_default="as configured")] = "",
    tracking_domain: Annotated[str, typer.Option(help="HOST or HOST:PORT.", show_default="as configured")] = "",
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a tracked link that belongs to no message, to try a tracker or an app-link pattern."""
    configuration = load(config)
    options = ScopedOptions(configuration).resolve("", "127.0.0.1")
    chosen = LinkKind[kind.name]
    is_open = chosen.family in "qo"
    if bool(target) is is_open:
        raise SettingError("--target: " + ("an open leads nowhere; leave it away" if target else "say where it leads"))
    codec = TokenCodec(keyring_source.keyring(data, configuration.settings))
    life = options.tracking_link_expiry.value if expires is None else expires
    context = _context(recipient, customer, campaign, tuple(tag or ()), _compact(metadata), life)
    token = codec.encode(chosen, codec.pack_context(context), target, name)
    scheme = scheme or (options.open_tracking_scheme if is_open else options.click_tracking_scheme).value
    domain = tracking_domain or options.tracking_domain.value
    if chosen.family == "f":
        typer.echo(click_url(scheme, domain, sub_path, token).decode())
    else:
        typer.echo(tracked_url(scheme, domain, chosen.family, token).decode())


def link_fields(link: Link, now: float) -> dict[str, Any]:
    """All that a link carries, under the names it has in events; times as ISO 8601."""
    context = link.context
    return {
        "kind": link.kind.name.lower(),
        "target_link_url": link.target,
        "target_link_name": link.name,
        "rcpt_to": context.recipient,
        "message_id": context.message_id,
        "transmission_id": str(context.transmission_id),
        "customer_id": context.customer_id,
        "campaign_id": context.campaign_id,
        "rcpt_tags": list(context.tags),
        "rcpt_meta": json.loads(context.metadata or "{}"),
        "sent": iso_time(context.sent * 1000),
        "expires": iso_time(link.expires_at * 1000),
        "expired": now > link.expires_at,
    }


def _context(
    recipient: str, customer: str, campaign: str, tags: tuple[str, ...], metadata: str, expires: int
) -> LinkContext:
    now = SystemClock().now()
    transmission_id = int((now - EPOCH) * 1000) << 22 | secrets.randbits(22)
    return LinkContext(
        customer_id=customer,
        transmission_id=transmission_id,
        message_id=message_id(transmission_id, 0),
        sent=int(now),
        expires=expires,
        recipient=recipient,
        campaign_id=campaign,
        tags=tags,
        metadata=metadata,
    )


def _compact(metadata: str) -> str:
    if not metadata:
        return ""
    try:
        value = json.loads(metadata)
    except ValueError as error:
        raise SettingError(f"--metadata: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise SettingError('--metadata: must be a JSON object, for example {"plan": "gold"}')
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _print_table(fields: Mapping[str, Any]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in fields.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(Text(name, style="bold"), Text(shown, overflow="fold"))
    Console().print(table)
