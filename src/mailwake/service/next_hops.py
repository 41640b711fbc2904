"""The configured routes turned into parts: checked, made, and announced at the start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailwake.config.fields import fields_of
from mailwake.config.password_file import password_in
from mailwake.config.relay_settings import DEFAULT_ROUTE, HopOptions, hop_option
from mailwake.config.toml_lines import join_name
from mailwake.errors import StartupError
from mailwake.relay.opening import probe
from mailwake.relay.route import Hop, Route
from mailwake.relay.routes import Routes
from mailwake.relay.settings import RelaySettings
from mailwake.relay.tls import client_context
from mailwake.service.addresses import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.config.relay_settings import Hop as ConfiguredHop
    from mailwake.config.relay_settings import Relay
    from mailwake.config.schema import Settings
    from mailwake.config.toml_lines import Path as TablePath
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

_LOGIN = ("username", "password", "password_file")
_NAMES = {"idle_timeout": "idle_seconds", "tls_ca_file": "ca_file"}
"""Options of a hop that have other names in RelaySettings."""


def make_routes(settings: Settings, *, log: Logger, metrics: Metrics) -> Routes:
    """Every configured route, in the running event loop; StartupError as `hops_by_route`."""
    relays = _relays(settings)
    return Routes(
        {
            name: Route(
                name or DEFAULT_ROUTE,
                hops,
                log=log,
                metrics=metrics,
                failover_seconds=relays[name].failover_timeout,
            )
            for name, hops in hops_by_route(settings).items()
        },
        log=log,
    )


def hops_by_route(settings: Settings) -> dict[str, list[Hop]]:
    """The next hops of each route, the default one under ""; StartupError for one without, or without its password."""
    if not settings.relay.hops:
        raise StartupError("relay.next_hop: no next hop is configured; name one with --next-hop HOST:PORT")
    return {
        name: [
            Hop(_relay_settings(settings.esmtp_listener.hostname, relay, hop, place), hop.priority, hop.weight)
            for hop, place in _places(name, relay)
        ]
        for name, relay in _relays(settings).items()
    }


def check_next_hops(settings: Settings) -> None:
    """Make once what every worker will make of the routes; StartupError for what cannot be made."""
    for hops in hops_by_route(settings).values():
        for hop in hops:
            client_context(hop.settings)


async def next_hop_lines(settings: Settings) -> list[str]:
    """A line for each next hop that says whether it answers; all are asked at once."""
    routes = hops_by_route(settings)
    asked = [(name, hop) for name, hops in routes.items() for hop in hops]
    troubles = await asyncio.gather(*(probe(hop.settings) for _, hop in asked))
    return [
        _line(name, hop, trouble, only=len(routes[name]) == 1, queued=settings.spool.acceptance == "spool")
        for (name, hop), trouble in zip(asked, troubles, strict=True)
    ]


def _line(route: str, hop: Hop, trouble: str | None, *, only: bool, queued: bool) -> str:
    told = f"next hop {hop.settings.address}"
    if route:
        told += f" of relay {route}"
    if not only:
        told += f", priority {hop.priority}, weight {hop.weight}"
    if trouble is None:
        return told
    trouble = trouble.removeprefix(f"next hop {hop.settings.address}: ")
    until = "its mail waits in the spool until it does" if queued else "senders get 451 until it does"
    return f"{told} does not answer yet ({trouble})" + (f"; {until}" if only else "")


def _relays(settings: Settings) -> Mapping[str, Relay]:
    return {"": settings.relay, **settings.relays}


def _places(route: str, relay: Relay) -> Iterator[tuple[ConfiguredHop, tuple[TablePath, TablePath]]]:
    """Each hop with the path of its own table and that of its route's."""
    table = ("relays", route) if route else ("relay",)
    for number, hop in enumerate(relay.hops):
        yield hop, (table if relay.next_hop is not None else (*table, "hop", str(number)), table)


def _relay_settings(
    hostname: str, relay: Relay, hop: ConfiguredHop, places: tuple[TablePath, TablePath]
) -> RelaySettings:
    login, place = (hop, places[0]) if hop.username is not None else (relay, places[1])  # never half and half
    host, port, unix_path = "", 0, hop.address.removeprefix("unix:")
    if unix_path == hop.address:
        address = parse_address(hop.address, join_name(places[0]))
        host, port, unix_path = address.host, address.port, ""
    options = {
        _NAMES.get(name, name): _plain(hop_option(name, hop, relay))
        for name in fields_of(HopOptions)
        if name not in _LOGIN
    }
    return RelaySettings(
        host=host,
        port=port,
        unix_path=unix_path,
        helo_name=hostname,
        username=login.username or "",
        password=_password(login, place),
        greeting_timeout=hop_option("command_timeout", hop, relay),
        **options,
    )


def _plain(value: Any) -> Any:
    return "" if value is None else str(value) if isinstance(value, Path) else value


def _password(login: HopOptions, place: TablePath) -> str:
    if login.password is not None:
        return login.password
    if login.password_file is None:
        return ""
    return password_in(login.password_file, join_name((*place, "password_file")))
