"""`mailwake serve` from settings to the last worker's end: check, bind, say what listens where, supervise.

After an upgrade the process begins here again, with the sockets and workers that its former version has left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailwake.clock import SystemClock
from mailwake.control.api_keys import ApiKeys, ApiKeysError
from mailwake.errors import StartupError
from mailwake.logs import make_logger
from mailwake.service.addresses import Address, bind_shared, bound_address, listen, parse_address
from mailwake.service.cautions import cautions
from mailwake.service.data_directory import DataDirectory
from mailwake.service.fork_server import ForkServer
from mailwake.service.given_sockets import take_given_sockets
from mailwake.service.handover import take_handover
from mailwake.service.health import HealthServer
from mailwake.service.next_hops import next_hop_lines
from mailwake.service.node_totals import NodeTotals
from mailwake.service.ports import Ports
from mailwake.service.reload import ConfigurationReloader, fixed_settings
from mailwake.service.serve_request import complete, with_real_ports
from mailwake.service.service_manager import ServiceManager
from mailwake.service.supervisor import Supervisor
from mailwake.service.unix_sockets import path_of
from mailwake.service.upgrade import Upgrade, inherited_reloader, try_out
from mailwake.spool.sqlite_spool import SqliteSpool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mailwake.config.load import Configuration
    from mailwake.logs import Logger
    from mailwake.service.generation import WorkerOrder
    from mailwake.service.handover import Handover, SavedSupervisor, Taken
    from mailwake.service.ports import Bound
    from mailwake.service.serve_request import ServeRequest

DEFAULT_ADMIN = "127.0.0.1:9464"


def run_service(request: ServeRequest) -> None:
    """Run until SIGTERM or SIGINT; StartupError, one line, for whatever keeps it from starting."""
    taken = take_handover(os.environ)
    forks = ForkServer.start(request.modules)
    try:
        _run(request, taken, forks)
    finally:
        if forks is not None:
            forks.close()


def _run(request: ServeRequest, taken: Taken | None, forks: ForkServer | None) -> None:
    if taken is None:
        for number in (signal.SIGHUP, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)  # until there is something to change: the file is being read just now
        succeeded = _start(request, forks)
    elif taken.check:
        asyncio.run(try_out(request, taken.handover, forks))
        return
    else:
        succeeded = asyncio.run(_take_over(request, taken.handover, forks))
    if not succeeded:
        raise StartupError("workers died again and again before they could serve; the log above says why")


def _start(request: ServeRequest, forks: ForkServer | None) -> bool:
    given = take_given_sockets(os.environ)
    configuration = request.configuration()
    settings = configuration.settings
    log = make_logger(settings.log_format, settings.log_level)
    for caution in cautions(settings, datetime.now(UTC)) if request.takes_mail else ():
        log.warning(caution)
    data = DataDirectory(settings.data_dir.absolute())
    data.prepare()
    data.lock()
    if request.takes_mail:
        SqliteSpool(data.spool, clock=SystemClock()).close()  # a file that no worker could use is said now, once
    return asyncio.run(_serve(request, complete(configuration, data), data, log, given, forks))


async def _serve(
    request: ServeRequest,
    configuration: Configuration,
    data: DataDirectory,
    log: Logger,
    given: list[socket.socket],
    forks: ForkServer | None,
) -> bool:
    ports = Ports(given)
    bound = ports.bind(request.addresses(configuration.settings), request.access(configuration.settings))
    admin = _bind_admin(configuration.settings.admin_listen, ports, log)
    bound.listen()
    ports.keep(bound)
    ports.refuse_unused()
    configuration = with_real_ports(configuration, bound)
    settings = configuration.settings
    numbers = {role: range(count) for role, count in request.workers(settings).items()}
    reloader = ConfigurationReloader(
        request, fixed_settings(settings, data), data, ports, (settings.log_format, settings.log_level), configuration
    )

    def announce() -> Awaitable[None]:
        return _announce(request, configuration, bound, admin, data)

    return await _supervise(request.orders(configuration, bound, data, numbers), reloader, admin, log, forks, announce)


async def _take_over(request: ServeRequest, handover: Handover, forks: ForkServer | None) -> bool:
    """Go on with what the former version of this process has left; the configuration is read only then."""
    log = make_logger(*handover.log)
    reloader = inherited_reloader(request, handover)
    admin = _inherited(handover.admin)
    return await _supervise(handover.supervisor, reloader, admin, log, forks, former=handover.version)


async def _supervise(
    workers: Sequence[WorkerOrder] | SavedSupervisor,
    reloader: ConfigurationReloader,
    admin: socket.socket,
    log: Logger,
    forks: ForkServer | None,
    announce: Callable[[], Awaitable[None]] | None = None,
    *,
    former: str = "",
) -> bool:
    if forks is not None:
        forks.on_failure = lambda worker, error: log.warning(
            "a worker cannot be forked and is started as a program", worker=worker, error=error
        )
    manager = ServiceManager(os.environ, log)
    upgrade = Upgrade(reloader, admin, former, forks)
    supervisor = Supervisor(workers, log, reloader, upgrade, manager, forks=forks)
    health = HealthServer(admin, supervisor.health, NodeTotals(supervisor, reloader.data.spool, SystemClock()))
    upgrade.health = health
    health.start()
    watched = asyncio.create_task(manager.keep_alive())
    running = asyncio.create_task(supervisor.run())
    if announce is not None:
        await supervisor.wait_ready()
        if not running.done() and supervisor.health()[0]:
            await announce()
            manager.ready(supervisor.status)
    try:
        return await running
    finally:
        watched.cancel()
        health.close()
        reloader.ports.close()


def _bind_admin(text: str, ports: Ports, log: Logger) -> socket.socket:
    given = ports.take(text, "admin_listen")
    if given is not None:
        return given
    # A second mailwake on one machine is no reason to fail when nobody asked for just this port.
    address = parse_address(text, "admin_listen")
    try:
        return _listening(address)
    except StartupError as error:
        if text != DEFAULT_ADMIN:
            raise
        listening = _listening(Address(address.host, 0))
        log.warning(
            "the usual health and metrics port is taken, using another",
            reason=str(error),
            instead=str(bound_address(listening)),
        )
        return listening


def _inherited(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


def _listening(address: Address) -> socket.socket:
    (bound,) = bind_shared(address, 1, "admin_listen")
    listen(bound, "admin_listen")
    return bound


async def _announce(
    request: ServeRequest, configuration: Configuration, bound: Bound, admin: socket.socket, data: DataDirectory
) -> None:
    # Where standard output is for events, whoever reads it expects nothing else there.
    has_events = any(sink.kind == "stdout" for sink in configuration.settings.sinks.values())
    stream = sys.stderr if has_events else sys.stdout
    say = stream.write
    workers = request.workers(configuration.settings)
    listens = configuration.settings.esmtp_listener.listen
    for name in bound.names("smtp").values():
        protocol = listens[name].protocol.upper() if name in listens else "SMTP"
        say(f"mailwake: {protocol} on {name}, {_workers(workers['smtp'])}\n")
    for (role, address), group in bound.groups.items():
        if role == "tracker":
            listen = configuration.settings.tracker.listen[bound.names(role)[address]]
            scheme = "https" if listen.tls == "on" else "http"
            where = address if path_of(address) is not None else f"{scheme}://{bound_address(group[0])}"
            say(f"mailwake: tracker on {where}, {_workers(workers[role])}\n")
        elif role == "collector":
            beside = _instead_of(address, group[0]) + _without_keys(data)
            say(f"mailwake: API on http://{bound_address(group[0])}/api/{beside}\n")
    say(f"mailwake: health and metrics on http://{bound_address(admin)}/healthz and /metrics\n")
    if request.takes_mail:
        if request.demo:
            say(f"mailwake: demo: copies are delivered into the maildir {data.maildir}\n")
        else:
            say("".join([f"mailwake: {line}\n" for line in await next_hop_lines(configuration.settings)]))
    say(f"mailwake: data in {data.path}\n")
    stream.flush()


def _instead_of(address: str, bound: socket.socket) -> str:
    usual = parse_address(address, "api.listen").port
    return f", as the usual port {usual} is taken" if usual not in (0, bound_address(bound).port) else ""


def _without_keys(data: DataDirectory) -> str:
    with contextlib.suppress(ApiKeysError):  # the collector says it when somebody asks
        if not ApiKeys(data.api_keys, SystemClock()).list():
            return ", no key yet: mailwake apikey create NAME"
    return ""


def _workers(count: int) -> str:
    return f"{count} worker{'s' if count > 1 else ''}"
