"""Every listening socket of the service, held by the supervisor while any configuration wants its address.

A connection that was not accepted yet waits in the queue of one socket. So that a reload loses none, the sockets of an
address stay the same ones: the workers of the next configuration accept from those that the workers of the last one
leave. Where there are more of them than workers (fewer workers are wanted than before), a worker serves several.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.errors import StartupError
from mailwake.service.addresses import bind_more, bind_shared, bound_address, listen, parse_address

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

Key = tuple[str, str]
"""Role and configured address."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The sockets that one configuration wants, by role and configured address; those in `made` are its own so far."""

    groups: dict[Key, list[socket.socket]] = field(default_factory=dict)
    made: list[tuple[str, socket.socket]] = field(default_factory=list)

    def names(self, role: str) -> dict[str, str]:
        """Configured address → the real one, which tells the port where 0 was asked for."""
        return {
            address: str(bound_address(group[0])) if address.endswith(":0") else address
            for (of, address), group in self.groups.items()
            if of == role
        }

    def of_worker(self, role: str, index: int, workers: int) -> list[tuple[str, socket.socket]]:
        """The sockets of one of so many workers, each with its listener's name."""
        names = self.names(role)
        return [
            (names[address], each)
            for (of, address), group in self.groups.items()
            if of == role
            for each in group[index::workers]
        ]

    def listen(self) -> None:
        """Have the new sockets listen, which is when the kernel may put connections into their queues."""
        for role, each in self.made:
            listen(each, role)

    def close_new(self) -> None:
        """Close the sockets that were made for it."""
        for _, each in self.made:
            each.close()


class Ports:
    """The sockets in use; `bind` says what a configuration would use, `keep` makes it so."""

    def __init__(self) -> None:
        self._groups: dict[Key, list[socket.socket]] = {}

    def bind(self, wanted: Sequence[tuple[str, Sequence[str], int]]) -> Bound:
        """For each role its addresses with as many sockets as it has workers, those in use among them.

        New ones do not listen yet. Raises StartupError, one line, when an address cannot be had; nothing is left then.
        """
        bound = Bound()
        try:
            for role, addresses, count in wanted:
                for address in addresses:
                    bound.groups[role, address] = self._group(bound, role, address, count)
        except BaseException:
            bound.close_new()
            raise
        return bound

    def keep(self, bound: Bound) -> None:
        """Hold these from now on, and close those of addresses that are wanted no more."""
        for key, group in self._groups.items():
            if key not in bound.groups:
                _close(group)
        self._groups = bound.groups
        bound.made.clear()

    def close(self) -> None:
        """Close all."""
        for group in self._groups.values():
            _close(group)

    def _group(self, bound: Bound, role: str, address: str, count: int) -> list[socket.socket]:
        held = self._groups.get((role, address), [])
        made = bind_more(held[0], max(0, count - len(held)), role) if held else self._bind(role, address, count)
        bound.made.extend((role, each) for each in made)
        return [*held, *made]

    def _bind(self, role: str, address: str, count: int) -> list[socket.socket]:
        parsed = parse_address(address, role)
        try:
            return bind_shared(parsed, count, role)
        except StartupError as error:
            ours = [each for (_, each), group in self._groups.items() if bound_address(group[0]).port == parsed.port]
            if parsed.port and ours:
                raise StartupError(
                    f"{role}: cannot listen on {parsed} while mailwake itself listens on {ours[0]}; restart it instead"
                ) from error
            raise


def _close(group: Sequence[socket.socket]) -> None:
    for each in group:
        each.close()
