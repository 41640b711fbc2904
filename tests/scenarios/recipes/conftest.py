"""Recipes: mailwake and a real mail server, each started once a module, wired as a page of docs/recipes says."""

from __future__ import annotations

import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.sink import find_postfix_tool
from tests.scenarios.conftest import Mailwake, Sink, wait_until

pytest.register_assert_rewrite("tests.scenarios.recipes.newsletters")

from .newsletters import subject_of  # noqa: E402  its assertions are to explain themselves
from .root import loopback_address, unpacked  # noqa: E402

# As systemd does it: the socket is descriptor 3, and the variables say so.
_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[2], sys.argv[2:])
"""


class WiredMailwake(Mailwake):
    """A mailwake whose configuration, from a page, says where it takes mail; nobody clicks, so there is no tracker."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        super().__init__(directory, *arguments)
        self.addresses = ["--role", "smtp", "--admin", "127.0.0.1:0"]

    @classmethod
    def configured(cls, directory: Path, configuration: str, *arguments: str) -> WiredMailwake:
        file = directory / "mailwake.toml"
        file.write_text(configuration)
        return cls(directory, "--config", str(file), "--workers", "1", *arguments)

    def events_of(self, subject: str) -> list[dict[str, Any]]:
        """The events of the message with this subject."""
        return [event for event in self.events() if event.get("subject") == subject]


class World(Sink):
    """The servers that a mail server delivers to: smtp-sink, where no mail server takes it for itself."""

    HOST = loopback_address()

    def messages(self) -> list[tuple[str, bytes]]:
        """Those that have been written to their end: all messages of the recipes, and all bounces, are multipart."""
        return [(to, content) for to, content in super().messages() if content.rstrip().endswith(b"--")]

    def envelope(self, subject: str, recipient: str) -> bytes:
        """What MAIL and RCPT of the one copy said, parameters included."""
        files = [file.read_bytes() for file in self.directory.iterdir()]
        arguments = [
            re.findall(rb"^X-(?:Mail|Rcpt)-Args: .*$", file, re.M) for file in files if subject.encode() in file
        ]
        (found,) = [lines for lines in arguments if f"X-Rcpt-Args: <{recipient}>" in lines[-1].decode()]
        return b"\n".join(found)

    def copies(self, subject: str, count: int = 1) -> dict[str, bytes]:
        """What arrives with this subject, by recipient, once `count` copies have; nobody may get two."""

        def arrived() -> dict[str, bytes] | None:
            found = [(to, content) for to, content in self.messages() if subject_of(content) == subject]
            copies = dict(found)
            assert len(copies) == len(found) <= count, f"{len(found)} copies of {subject} for {sorted(copies)}"
            return copies if len(copies) == count else None

        return wait_until(arrived, f"{count} copies of {subject} at the far end")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def address() -> str:
    """The address of this module, on which all ports are free: the pages' ports can stay."""
    return loopback_address()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., WiredMailwake]]:
    """Starts mailwake with the configuration of a page; `trusted` is a certificate in the place of the system's.

    `given` is a socket that systemd hands over.
    """
    started: list[WiredMailwake] = []

    def start(
        configuration: str, *arguments: str, trusted: Path | None = None, given: socket.socket | None = None
    ) -> WiredMailwake:
        directory = tmp_path_factory.mktemp("mailwake")
        started.append(WiredMailwake.configured(directory, configuration, *arguments))
        if trusted:
            started[-1].environment["SSL_CERT_FILE"] = str(trusted)
        if given:
            started[-1].prefix = [sys.executable, "-c", _HAND_OVER, str(given.fileno())]
            started[-1].pass_fds = (given.fileno(),)
        started[-1].start()
        return started[-1]

    yield start
    for service in started:
        if not service.exited:
            service.stop()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Where a mail server sends what is for the world: smtp-sink."""
    unpacked("postfix")
    found = find_postfix_tool("smtp-sink")
    assert found is not None, "smtp-sink comes with Postfix"
    directory = Path(tempfile.mkdtemp(prefix="mailwake-world-"))
    directory.chmod(0o755)
    sink = World(directory, *found)
    yield sink
    sink.stop()
    shutil.rmtree(directory)
