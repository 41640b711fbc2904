"""SIGUSR2: the process becomes what its command line starts now, which is another version when one was installed.

First a child with the same command line tries everything but to serve: it reads the handover and the configuration,
binds new addresses, and has one worker of each role get ready. Only when that went well does the process replace itself
(`execve`). Its id, its sockets and its workers stay; the new program starts workers of its own, as for a reload, and
then has the old ones drain. Whatever fails leaves those workers in force that serve.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from mailwake import __version__
from mailwake.errors import StartupError
from mailwake.logs import make_logger
from mailwake.service.data_directory import DataDirectory
from mailwake.service.generation import Generation, Stage
from mailwake.service.handover import FORMAT, VARIABLE, Handover, handover_variable
from mailwake.service.ports import Ports
from mailwake.service.reload import ConfigurationReloader
from mailwake.service.supervisor import HELD_BACK, READY_SECONDS
from mailwake.service.tally import Tally
from mailwake.service.worker_orders import ROLE_NUMBERS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mailwake.service.fork_server import ForkServer
    from mailwake.service.handover import SavedSupervisor
    from mailwake.service.health import HealthServer
    from mailwake.service.serve_request import ServeRequest

CHECK_SECONDS = READY_SECONDS + 30.0
"""How long the other version may take to say whether it can take over."""

TRIAL_END_SECONDS = 10.0
"""How long workers of a trial may take to end."""

_ERROR_LENGTH = 500


class Upgrade:
    """Makes way for another version; see `supervisor.Upgrader`. `health` must be set before."""

    health: HealthServer

    def __init__(
        self,
        reloader: ConfigurationReloader,
        admin: socket.socket,
        former: str,
        forks: ForkServer | None = None,
    ) -> None:
        self.former = former
        self._forks = forks
        self._reloader = reloader
        self._admin = admin
        # As it was started: with the interpreter's own options, and a relative path where there was one.
        self._command = [sys.executable, *sys.orig_argv[1:]]

    async def check(self, saved: SavedSupervisor) -> None:
        """Run the same command in a child that only tries; StartupError with its last line when it fails."""
        handover = self._handover(saved)
        state = _written(handover)
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[state, *handover.descriptors()],
                env={**os.environ, VARIABLE: handover_variable(state, check=True)},
            )
        except OSError as error:
            raise StartupError(f"cannot run {self._command[0]}: {error.strerror}") from None
        finally:
            os.close(state)
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                _, said = await child.communicate()
        except TimeoutError:
            raise StartupError(f"the new version did not say within {CHECK_SECONDS:g} seconds that it can") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            raise StartupError(_last_line(said.decode(errors="replace"), child.returncode))

    async def replace(self, save: Callable[[], SavedSupervisor]) -> None:
        """Become the other version; StartupError, with everything as before, when the system does not allow it."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        # Threads that take the signals instead end with their executor; those of the next one hold them back as well.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        await asyncio.to_thread(self.health.pause)  # meanwhile the loop hears of the signals that came before
        try:
            self._execute(self._handover(save()))
        finally:  # which is reached only when that has failed
            self.health.resume()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)

    def _execute(self, handover: Handover) -> None:
        state = _written(handover)
        if self._forks is not None:
            self._forks.close()  # nobody would be left to wait for it; if this fails, workers start more slowly
        try:
            for descriptor in (state, *handover.descriptors()):
                os.set_inheritable(descriptor, True)
            sys.stdout.flush()
            sys.stderr.flush()
            environment = {**os.environ, VARIABLE: handover_variable(state, check=False)}
            os.execve(self._command[0], self._command, environment)  # noqa: S606  # our own command line
        except OSError as error:
            raise StartupError(f"cannot run {self._command[0]}: {error.strerror}") from None
        finally:
            for descriptor in handover.descriptors():
                os.set_inheritable(descriptor, False)
            os.close(state)

    def _handover(self, saved: SavedSupervisor) -> Handover:
        sockets, given = self._reloader.ports.save()
        return Handover(
            format=FORMAT,
            version=__version__,
            log=self._reloader.log_settings,
            fixed=dict(self._reloader.fixed),
            lock=self._reloader.data.lock_descriptor,
            admin=self._admin.fileno(),
            sockets=sockets,
            given=given,
            supervisor=saved,
        )


def _written(handover: Handover) -> int:
    try:
        return handover.write()
    except OSError as error:
        raise StartupError(f"cannot write a temporary file for the new version: {error.strerror}") from None


def _last_line(said: str, status: int) -> str:
    lines = said.strip().splitlines()
    if not lines:
        return f"the new version ended with exit status {status}"
    if not any(line.startswith("Traceback") for line in lines):
        sys.stderr.write("".join(f"{line}\n" for line in lines[:-1]))  # a worker's own line about its trouble
    return lines[-1].removeprefix("mailwake: ")[:_ERROR_LENGTH]


def inherited_reloader(request: ServeRequest, handover: Handover) -> ConfigurationReloader:
    """Where the new version gets its configuration from: the same file and flags, the sockets of the former one."""
    data = DataDirectory(Path(handover.fixed["data_dir"]))
    data.adopt_lock(handover.lock)
    ports = Ports.adopt(handover.sockets, handover.given)
    return ConfigurationReloader(request, handover.fixed, data, ports, handover.log)


async def try_out(request: ServeRequest, handover: Handover, forks: ForkServer | None = None) -> None:
    """Everything that the take-over will do but to serve; MailwakeError, one line, for whatever keeps it from that."""
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    reloader = inherited_reloader(request, handover)
    reloader.data.prepare()
    change = await reloader.read()
    try:
        numbers = {}
        for role, count in change.workers.items():
            free = [number for number in range(ROLE_NUMBERS[role]) if number not in handover.numbers(role)]
            if count > len(free):
                raise StartupError(f"workers: {count} new {role} workers beside those there are, are too many; restart")
            numbers[role] = free[: min(count, 1)]
        log = make_logger(*handover.log)
        generation = Generation(
            change.orders(numbers),
            Stage.TRIAL,
            Tally(),
            log,
            on_report=lambda: None,
            on_hopeless=lambda: None,
            forks=forks,
        )
        generation.start()
        try:
            await generation.prepare(READY_SECONDS)
        finally:
            generation.stop()
            await generation.end(TRIAL_END_SECONDS)
    finally:
        change.refuse()
