"""A tracker worker: it puts links, ids, journal and HTTP together and serves until told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mailwake.events.privacy import NO_PRIVACY
from mailwake.flows.click_flow import ClickFlow
from mailwake.tracker.address_rate import AddressRate
from mailwake.tracker.app import TrackerApp
from mailwake.tracker.client_facts import ClientFactsReader
from mailwake.tracker.domains import Domains
from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.http_server import HttpServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from mailwake.clock import Clock
    from mailwake.events.privacy import EventPrivacy
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.flows.click_flow import Journal
    from mailwake.links.keyring import Keyring
    from mailwake.links.token import TokenCodec
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.tracker.arrivals import Front
    from mailwake.tracker.certificates import Certificates


async def run_tracker_worker(
    sockets: Sequence[tuple[socket.socket, Front]],
    *,
    codec: TokenCodec,
    ids: UniqueIds,
    journal: Journal,
    metrics: Metrics,
    clock: Clock,
    log: Logger,
    stop: asyncio.Event,
    drain: asyncio.Event | None = None,
    may_serve: Callable[[], Awaitable[bool]] | None = None,
    on_serving: Callable[[], None] | None = None,
    read_keyring: Callable[[], Keyring] | None = None,
    privacy: EventPrivacy = NO_PRIVACY,
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
    domains: Domains | None = None,
    certificates: Certificates | None = None,
    max_requests_per_address: int = 0,
    limits: HttpLimits | None = None,
) -> None:
    """Answer HTTP on the listening `sockets`, each with what comes before it there, until `stop` is set.

    Requests in hand are answered then.

    `drain` ends it, too, but only when every client has had its last answer (see `HttpServer.drain`). `may_serve` is
    awaited once everything is made; when it says no, nothing is served. `on_serving` is called when serving begins.
    Draining closes the sockets: what waits in their queues is for others that hold them, or, if nobody does, refused.
    `max_requests_per_address` is requests a minute, 0 for no limit. The caller owns sockets and journal, and closes the
    journal afterwards.
    """
    facts = ClientFactsReader(trusted_proxies)
    flow = ClickFlow(codec, ids, journal, facts, metrics, clock, log, read_keyring=read_keyring, privacy=privacy)
    rate = AddressRate(max_requests_per_address, facts, clock) if max_requests_per_address else None
    app = TrackerApp(flow, domains or Domains(), metrics, log, rate=rate)
    if may_serve is not None and not await may_serve():
        return
    server = HttpServer(app, limits or HttpLimits(), metrics)
    for listening, front in sockets:
        await server.start(listening, front)
    if on_serving is not None:
        on_serving()
    ends: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    if drain is not None:
        ends.append(asyncio.create_task(_drain(server, drain, [listening for listening, _ in sockets])))
    watching = [asyncio.create_task(certificates.watch())] if certificates is not None else []
    try:
        done, _ = await asyncio.wait({*ends, *watching}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (*ends, *watching):
            task.cancel()
        await server.stop()


async def _drain(server: HttpServer, drain: asyncio.Event, sockets: Sequence[socket.socket]) -> None:
    await drain.wait()
    await server.drain()
    for listening in sockets:
        listening.close()
    await server.ended()
