"""What the supervisor tells a worker on its first line of input."""

from __future__ import annotations

import base64
import pickle
from typing import TYPE_CHECKING, cast

import msgspec

from mailwake.errors import StartupError

if TYPE_CHECKING:
    from mailwake.config.load import Configuration

SMTP_SLOTS = 64
"""Slots of unique ids that SMTP workers use: 0 to 63."""

TRACKER_SLOTS = 63
"""Slots of tracker workers: 64 to 126."""

COLLECTORS = 8
"""One for each generation that may be alive, and some to spare; they make no ids."""

ROLE_NUMBERS = {"smtp": SMTP_SLOTS, "tracker": TRACKER_SLOTS, "collector": COLLECTORS}
"""How many numbers there are for workers of each role, over all generations that are alive."""


class WorkerOrders(msgspec.Struct, frozen=True):
    """A worker's role and number, the inherited sockets, each with its listener's name, and the configuration.

    No two workers that are alive at the same time have the same role and number, whatever their configurations: the
    slot of unique ids and the name hang on it.

    The configuration travels as it was read, so that a file that was changed meanwhile cannot keep a worker from
    being restarted. It is pickled: both ends are the same program, joined by a pipe of their own.
    """

    role: str
    number: int
    listen: list[tuple[str, int]]
    data_dir: str
    demo: bool
    configuration: str
    output: int = -1
    """The service's standard output, for a collector that may write events there; -1 for everybody else."""

    @property
    def name(self) -> str:
        """The worker's name in logs and in the journal."""
        return f"{self.role}-{self.number}"

    @property
    def descriptors(self) -> list[int]:
        """What the worker inherits."""
        return [descriptor for _, descriptor in self.listen] + ([self.output] if self.output >= 0 else [])

    @property
    def slot(self) -> int:
        """The slot in unique ids of a worker that records events."""
        return self.number if self.role == "smtp" else SMTP_SLOTS + self.number

    def encode(self) -> bytes:
        """The orders as one line, without its end."""
        return msgspec.json.encode(self)

    def read_configuration(self) -> Configuration:
        """The configuration as the supervisor read it; StartupError when that was another version of the program."""
        pickled = base64.b64decode(self.configuration)
        try:
            loaded = pickle.loads(pickled)  # noqa: S301  # from our own parent, over a pipe
        except Exception as error:
            raise StartupError(
                f"the program was replaced by another version while it ran ({type(error).__name__}: {error}): "
                "finish the upgrade with SIGUSR2, or restart"
            ) from None
        return cast("Configuration", loaded)


def decode_orders(line: bytes) -> WorkerOrders:
    """The orders in a line of input."""
    return msgspec.json.decode(line, type=WorkerOrders)
