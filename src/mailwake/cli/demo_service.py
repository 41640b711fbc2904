"""The service that `mailwake demo` shows: a `mailwake serve --demo` of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import httpx

from mailwake.errors import StartupError
from mailwake.service.addresses import bind_shared, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ANNOUNCED = re.compile(r"mailwake: API on (http://\S+?)/api/")
_ADMIN = re.compile(r"mailwake: health and metrics on (http://[^/\s]+)")
_LAST_LINE = "mailwake: data in"
_STORE_IS_OPEN = re.compile(r"^mailwake_store_up 1\b", re.MULTILINE)

STORE_SECONDS = 30.0
"""How long opening the store may take; then the dashboard is shown all the same, and says what is wrong."""

END_SECONDS = 40.0


def check_free(address: str, flag: str) -> None:
    """StartupError, one line, when nobody can listen there: said before the store is filled, not after."""
    (bound,) = bind_shared(parse_address(address, flag), 1, flag)
    bound.close()


class DemoService:
    """`running(data)` starts it and ends it; `say` gets what it says on its standard output."""

    def __init__(
        self, smtp: str, tracker: str, api: str, admin: str, say: Callable[[str], object] = sys.stdout.write
    ) -> None:
        self._say = say
        self._addresses = ["--smtp", smtp, "--tracker", tracker, "--api", api, "--admin", admin]
        port = tracker.rpartition(":")[2]
        self._domain = f"localhost:{port}" if port != "0" else ""
        self._process: subprocess.Popen[str] | None = None
        self._passing_on: threading.Thread | None = None

    @contextmanager
    def running(self, data: Path) -> Iterator[str]:
        """The service on this data directory, and its URL; StartupError when it does not start."""
        settings = ["open_tracking_enabled=true", "click_tracking_enabled=true", "log_level=warning"]
        settings += [f"tracking_domain={self._domain}"] if self._domain else []
        command = [sys.executable, "-m", "mailwake", "serve", "--demo", "--data", str(data), "--workers", "1"]
        command += self._addresses
        for each in settings:
            command += ["--set", each]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own words
        try:
            yield self._announced()
        finally:
            self._end()

    @property
    def pid(self) -> int:
        """Its supervisor's number; 0 before it runs."""
        return 0 if self._process is None else self._process.pid

    def wait(self) -> None:
        """Wait until it ends by itself, which is an error."""
        assert self._process is not None
        code = self._process.wait()
        raise StartupError(f"the service has ended (exit status {code}); what it said above says why")

    def _announced(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        found = admin = None
        for line in self._process.stdout:
            self._say(line)
            found, admin = found or _ANNOUNCED.search(line), admin or _ADMIN.search(line)
            if line.startswith(_LAST_LINE) and found is not None and admin is not None:
                # Whatever else it says there has to go somewhere, or it waits for ever.
                self._passing_on = threading.Thread(target=self._pass_on, daemon=True)
                self._passing_on.start()
                _wait_for_store(f"{admin[1]}/metrics")
                return found[1]
        raise StartupError("the service has not started; what it said above says why")

    def _pass_on(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._say(line)

    def _end(self) -> None:
        assert self._process is not None
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it has had it as well, and ends in order
        try:
            if self._process.poll() is None:
                self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_SECONDS)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._passing_on is not None:
                self._passing_on.join(5)
            if self._process.stdout is not None:
                self._process.stdout.close()
        finally:
            signal.signal(signal.SIGINT, previous)


def _wait_for_store(metrics: str) -> None:
    """The service answers a moment before it has opened its store, and nobody's first page is to say so."""
    deadline = time.monotonic() + STORE_SECONDS
    with httpx.Client(trust_env=False, timeout=10) as client, suppress(httpx.HTTPError):
        while not _STORE_IS_OPEN.search(client.get(metrics).text) and time.monotonic() < deadline:
            time.sleep(0.1)
