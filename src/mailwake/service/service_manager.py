"""Telling systemd how far the service is (sd_notify(3)); without systemd, all of this does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.logs import Logger


class ServiceManager:
    """Sends datagrams to `NOTIFY_SOCKET` of the environment; a socket that fails is logged once and then left alone."""

    def __init__(self, environment: Mapping[str, str], log: Logger) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._log = log
        self._watchdog_seconds = _watchdog_seconds(environment)

    def ready(self, status: str) -> None:
        """Every worker serves, or does again after `reloading`."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, status: str) -> None:
        """A reload or an upgrade has begun; `ready` ends it, whatever came of it."""
        # The time is what Type=notify-reload (systemd 253) wants to see; before that it is ignored.
        self._send(
            "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}", f"STATUS={status}"
        )

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", "STATUS=finishing messages in hand")

    async def keep_alive(self) -> None:
        """Say again and again that the event loop runs, when a watchdog waits for it; until cancelled."""
        while self._address and self._watchdog_seconds:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # "@" stands for the NUL that begins the name of an abstract socket.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)  # systemd that does not read must not stop the supervisor
                datagrams.sendto("\n".join(lines).encode(), address)
        except BlockingIOError:
            self._log.warning("systemd does not read its notifications", lost=lines[0])
        except OSError as error:
            self._log.warning("systemd cannot be notified", notify_socket=self._address, error=str(error))
            self._address = ""


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    with contextlib.suppress(ValueError):
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            return int(environment.get("WATCHDOG_USEC", "0")) / 1e6
    return 0.0
