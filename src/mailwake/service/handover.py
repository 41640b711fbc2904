"""What a supervisor leaves to the next version of itself, which takes its place in the same process (`execv`).

The process id stays, and with it the parenthood of the workers, the lock of the data directory, and every descriptor
that is named here. The state travels in a file without a name; an environment variable says where, and what for.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mailwake.errors import StartupError
from mailwake.logs import LogFormat, LogLevel  # msgspec reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

FORMAT = 1
"""Raised when a former version's state cannot be read as it is; new fields with defaults are no reason."""

VARIABLE = "MAILWAKE_HANDOVER"
"""`check:FD` or `run:FD`."""


class SavedWorker(msgspec.Struct, kw_only=True):
    """A living worker: the ends of its pipes, what was not sent or read yet, and what it has reported."""

    name: str
    pid: int
    input: int
    output: int
    unsent: bytes
    unread: bytes
    prepared: bool
    ready: bool
    closed: bool
    version: str
    started: float
    counters: list[tuple[str, tuple[str, ...], float]]


class SavedGeneration(msgspec.Struct, kw_only=True):
    """Workers by role and number, and those of them that live; `ends_at` (monotonic seconds) if it drains."""

    orders: list[tuple[str, int]]
    workers: list[SavedWorker]
    ends_at: float | None


class SavedSupervisor(msgspec.Struct, kw_only=True):
    """The generations, the oldest first; the one in force does not drain. And what was counted and asked so far."""

    generations: list[SavedGeneration]
    counters: list[tuple[str, tuple[str, ...], float]]
    asked: list[str]


class SavedSockets(msgspec.Struct, kw_only=True):
    """The listening sockets of one role and configured address."""

    role: str
    address: str
    descriptors: list[int]


class Handover(msgspec.Struct, kw_only=True):
    """All of it. `fixed` are the settings that cannot change while the process lives; `given` came from systemd."""

    format: int
    version: str
    log: tuple[LogFormat, LogLevel]
    fixed: dict[str, Any]
    lock: int
    admin: int
    sockets: list[SavedSockets]
    given: list[int]
    supervisor: SavedSupervisor

    def descriptors(self) -> list[int]:
        """Every descriptor that has to survive."""
        found = {self.lock, self.admin, *self.given}
        found.update(each for group in self.sockets for each in group.descriptors)
        for generation in self.supervisor.generations:
            found.update(end for worker in generation.workers for end in (worker.input, worker.output))
        return sorted(found)

    def numbers(self, role: str) -> set[int]:
        """The numbers of all workers of the role."""
        orders = (order for generation in self.supervisor.generations for order in generation.orders)
        return {number for of, number in orders if of == role}

    def write(self) -> int:
        """A descriptor from which `take_handover` reads it; close it after use."""
        with tempfile.TemporaryFile() as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            return os.dup(file.fileno())


class Taken(NamedTuple):
    """A handover, and whether it is only to be tried out."""

    handover: Handover
    check: bool


def handover_variable(descriptor: int, *, check: bool) -> str:
    """The value of VARIABLE for this descriptor."""
    return f"{'check' if check else 'run'}:{descriptor}"


def take_handover(environment: MutableMapping[str, str]) -> Taken | None:
    """What a former version has left for this process, if any; StartupError when this version cannot read it."""
    purpose, _, number = environment.pop(VARIABLE, "").partition(":")
    if not purpose:
        return None
    text = b"".join(_content(int(number)))
    try:
        head = msgspec.json.decode(text)
        if head["format"] != FORMAT:
            raise StartupError(
                f"cannot take over from the running version {head['version']}, whose state has format {head['format']} "
                f"and not {FORMAT}: restart mailwake instead"
            )
        return Taken(msgspec.json.decode(text, type=Handover), check=purpose == "check")
    except msgspec.MsgspecError as error:
        raise StartupError(f"cannot take over from the running version: {error}; restart mailwake instead") from None


def _content(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while octets := os.pread(descriptor, 1 << 20, offset):
        yield octets
        offset += len(octets)
    os.close(descriptor)
