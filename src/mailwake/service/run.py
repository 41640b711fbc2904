"""`mailwake serve` from settings to the last worker's end: check, bind, say what listens where, supervise."""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailwake.config.scope_settings import Listen
from mailwake.errors import StartupError
from mailwake.links.keyring_file import KeyringFile
from mailwake.logs import make_logger
from mailwake.service.addresses import Address, bind_shared, bound_address, parse_address
from mailwake.service.data_directory import DataDirectory
from mailwake.service.health import HealthServer
from mailwake.service.parts import check_parts, relay_settings
from mailwake.service.supervisor import Supervisor, WorkerOrder
from mailwake.service.worker_orders import SMTP_SLOTS, TRACKER_SLOTS, WorkerOrders

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from mailwake.config.load import Configuration
    from mailwake.logs import Logger

DEFAULT_ADMIN = "127.0.0.1:9464"


@dataclass(frozen=True, slots=True)
class _Bound:
    """The sockets of one setting's addresses: for each address, one socket a worker."""

    names: list[str]
    sockets: list[list[socket.socket]]

    def of_worker(self, number: int) -> list[socket.socket]:
        return [group[number] for group in self.sockets]

    def close(self) -> None:
        for group in self.sockets:
            for each in group:
                each.close()


def run_service(
    configuration: Configuration,
    *,
    smtp: Sequence[str] | None,
    tracker: Sequence[str] | None,
    role: str,
    demo: bool,
) -> None:
    """Run until SIGTERM or SIGINT; StartupError, one line, for whatever keeps it from starting.

    `smtp` and `tracker` replace the configured addresses; a listen scope of the same address keeps its options.
    """
    settings = configuration.settings
    log = make_logger(settings.log_format, settings.log_level)
    if smtp:
        configured = settings.esmtp_listener.listen
        listen = {address: configured.get(address, Listen()) for address in smtp}
        settings = replace(settings, esmtp_listener=replace(settings.esmtp_listener, listen=listen))
    if tracker:
        settings = replace(settings, tracker=replace(settings.tracker, listen=tuple(tracker)))
    if role != "tracker" and not demo and settings.relay.next_hop is None:
        raise StartupError(
            "no next hop: name the mail server that takes the copies (--next-hop HOST:PORT, or relay.next_hop in the "
            "configuration), or try mailwake without one: mailwake serve --demo"
        )
    if role != "tracker":
        check_parts(settings, demo=demo)
    data = DataDirectory(settings.data_dir.absolute())
    data.prepare()
    data.lock()
    if not settings.keys.secrets:
        KeyringFile(data.keys).load_or_create()
    configuration = replace(configuration, settings=replace(settings, node_id=data.node_id(settings.node_id)))
    succeeded = asyncio.run(_serve(configuration, data, role, demo=demo, log=log))
    if not succeeded:
        raise StartupError("workers died again and again before they could serve; the log above says why")


async def _serve(configuration: Configuration, data: DataDirectory, role: str, *, demo: bool, log: Logger) -> bool:
    settings = configuration.settings
    workers = settings.workers or os.cpu_count() or 1
    tracker_workers = settings.tracker.workers or workers
    if workers > SMTP_SLOTS or tracker_workers > TRACKER_SLOTS:
        raise StartupError(f"workers: at most {SMTP_SLOTS} SMTP and {TRACKER_SLOTS} tracker workers fit one node")
    smtp = _bind(list(settings.esmtp_listener.listen) if role != "tracker" else [], workers, "smtp")
    tracker = _bind(list(settings.tracker.listen) if role != "smtp" else [], tracker_workers, "tracker")
    admin = _bind_admin(settings.admin_listen, log)
    configuration = _with_real_ports(configuration, smtp)
    orders = [
        *_orders("smtp", workers if smtp.sockets else 0, smtp, configuration, data, demo=demo),
        *_orders("tracker", tracker_workers if tracker.sockets else 0, tracker, configuration, data, demo=demo),
    ]
    supervisor = Supervisor(orders, log)
    health = HealthServer(admin, supervisor.health, supervisor.totals)
    health.start()
    running = asyncio.create_task(supervisor.run())
    await supervisor.wait_ready()
    if not running.done() and supervisor.health()[0]:
        await _announce(configuration, smtp, tracker, admin, data, role, demo=demo)
    try:
        return await running
    finally:
        health.close()
        smtp.close()
        tracker.close()


def _bind(addresses: Sequence[str], count: int, setting: str) -> _Bound:
    groups = [bind_shared(parse_address(text, setting), count, setting) for text in addresses]
    return _Bound(list(addresses), groups)


def _bind_admin(text: str, log: Logger) -> socket.socket:
    # A second mailwake on one machine is no reason to fail when nobody asked for just this port.
    address = parse_address(text, "admin_listen")
    try:
        return bind_shared(address, 1, "admin_listen")[0]
    except StartupError as error:
        if text != DEFAULT_ADMIN:
            raise
        listening = bind_shared(Address(address.host, 0), 1, "admin_listen")[0]
        log.warning(
            "the usual health and metrics port is taken, using another",
            reason=str(error),
            instead=str(bound_address(listening)),
        )
        return listening


def _with_real_ports(configuration: Configuration, smtp: _Bound) -> Configuration:
    """The configuration with port 0 replaced by what the system chose, so that scopes find their listener."""
    settings = configuration.settings
    listen = {
        str(bound_address(group[0])) if name.endswith(":0") else name: settings.esmtp_listener.listen[name]
        for name, group in zip(smtp.names, smtp.sockets, strict=True)
    }
    smtp.names[:] = listen
    listener = replace(settings.esmtp_listener, listen=listen or settings.esmtp_listener.listen)
    return replace(configuration, settings=replace(settings, esmtp_listener=listener))


def _orders(
    role: str, count: int, bound: _Bound, configuration: Configuration, data: DataDirectory, *, demo: bool
) -> list[WorkerOrder]:
    made = []
    for number in range(count):
        sockets = bound.of_worker(number)
        orders = WorkerOrders(
            role=role,
            number=number,
            listen={name: sock.fileno() for name, sock in zip(bound.names, sockets, strict=True)},
            data_dir=str(data.path),
            demo=demo,
            configuration=base64.b64encode(pickle.dumps(configuration)).decode(),
        )
        made.append(WorkerOrder(role, f"{role}-{number}", orders.encode(), sockets))
    return made


async def _announce(
    configuration: Configuration,
    smtp: _Bound,
    tracker: _Bound,
    admin: socket.socket,
    data: DataDirectory,
    role: str,
    *,
    demo: bool,
) -> None:
    say = sys.stdout.write
    for name in smtp.names:
        say(f"mailwake: SMTP on {name}, {_workers(smtp.sockets[0])}\n")
    for group in tracker.sockets:
        say(f"mailwake: tracker on http://{bound_address(group[0])}, {_workers(group)}\n")
    say(f"mailwake: health and metrics on http://{bound_address(admin)}/healthz and /metrics\n")
    if role != "tracker":
        say(f"mailwake: {await _next_hop_line(configuration, data, demo=demo)}\n")
    say(f"mailwake: data in {data.path}\n")
    sys.stdout.flush()


def _workers(sockets: Sequence[socket.socket]) -> str:
    return f"{len(sockets)} worker{'s' if len(sockets) > 1 else ''}"


async def _next_hop_line(configuration: Configuration, data: DataDirectory, *, demo: bool) -> str:
    if demo:
        return f"demo: copies are delivered into the maildir {data.maildir}"
    from mailwake.relay.opening import probe

    settings = relay_settings(configuration.settings)
    trouble = await probe(settings)
    if trouble is None:
        return f"next hop {settings.address}"
    return f"next hop {settings.address} does not answer yet ({trouble}); senders get 451 until it does"
