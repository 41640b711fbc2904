"""Postfix's C test programs, smtp-sink and smtp-source, installed or unpacked."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def find_postfix_tool(name: str) -> tuple[list[str], dict[str, str]] | None:
    """The command and environment of one of Postfix's programs; None when it is neither installed nor unpacked.

    Unpacked is the package at MAILWAKE_POSTFIX, or else in `postfix` below MAILWAKE_MTAS.
    """
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/lib/postfix/sbin")
    of_all = Path(os.environ.get("MAILWAKE_MTAS", "/nonexistent")) / "postfix"
    unpacked = Path(os.environ.get("MAILWAKE_POSTFIX", of_all))
    if found:
        return [found], dict(os.environ)
    if (unpacked / "usr/sbin" / name).exists():
        libraries = f"{unpacked}/usr/lib/postfix:{unpacked}/usr/lib/x86_64-linux-gnu"
        return [str(unpacked / "usr/sbin" / name)], {**os.environ, "LD_LIBRARY_PATH": libraries}
    return None


def postfix_tool(name: str) -> tuple[list[str], dict[str, str]]:
    """The same; ends the benchmark with advice when the program is absent."""
    found = find_postfix_tool(name)
    if found is not None:
        return found
    sys.exit(
        f"{name} is absent: install Debian's postfix, or run tools/fetch_mail_servers.sh DIR and set MAILWAKE_MTAS=DIR"
    )


@contextlib.contextmanager
def running_sink(dump: Path | None = None) -> Iterator[int]:
    """The port of a running smtp-sink; `dump` is the file that gets every message."""
    command, environment = postfix_tool("smtp-sink")
    port = _free_port()
    options = ["-c"] + (["-D", str(dump)] if dump else [])
    if os.getuid() == 0:
        options += ["-u", "nobody"]
        if dump:
            os.chown(dump.parent, pwd.getpwnam("nobody").pw_uid, -1)
    process = subprocess.Popen(
        [*command, *options, f"127.0.0.1:{port}", "1000"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if connection.recv(4) == b"220 ":
                return
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")
