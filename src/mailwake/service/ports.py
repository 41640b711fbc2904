"""Every listening socket of the service, held by the supervisor while any configuration wants its address.

A connection that was not accepted yet waits in the queue of one socket. So that a reload loses none, the sockets of an
address stay the same ones: the workers of the next configuration accept from those that the workers of the last one
leave. Where there are more of them than workers (fewer workers are wanted than before), a worker serves several.

A socket that systemd made is the only one of its address, and so is a Unix socket: all workers accept from it.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from socket import AF_UNIX
from typing import TYPE_CHECKING

from mailwake.config.api_settings import DEFAULT_API
from mailwake.errors import StartupError
from mailwake.service.addresses import Address, bind_more, bind_shared, bound_address, listen, parse_address
from mailwake.service.given_sockets import serves, socket_text
from mailwake.service.handover import SavedSockets
from mailwake.service.unix_sockets import PREFIX, bind_unix, close_and_remove, give_access, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailwake.service.unix_sockets import FileAccess

Key = tuple[str, str]
"""Role and configured address."""

_ANY_PORT_WILL_DO: Key = ("collector", DEFAULT_API)
# A second mailwake on one machine is no reason to fail when nobody asked for just this port.


@dataclass(slots=True)
class Bound:
    """The sockets that one configuration wants, by role and configured address; those in `made` are its own so far."""

    groups: dict[Key, list[socket.socket]] = field(default_factory=dict)
    made: list[tuple[str, socket.socket]] = field(default_factory=list)
    shared: set[Key] = field(default_factory=set)
    """Those whose sockets every worker gets, because there are no others on the address."""
    access: Mapping[str, FileAccess] = field(default_factory=dict)
    """Who may connect to the Unix sockets, by configured address; those of systemd keep what it gave them."""

    def names(self, role: str) -> dict[str, str]:
        """Configured address → the real one, which tells the port where 0 was asked for."""
        return {
            address: str(bound_address(group[0])) if address.endswith(":0") and path_of(address) is None else address
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
            for each in (group if (of, address) in self.shared else group[index::workers])
        ]

    def listen(self) -> None:
        """Have the new sockets listen, which is when the kernel may put connections into their queues.

        Unix sockets get mode and group before; StartupError, one line, when one of it cannot be done.
        """
        for address, access in self.access.items():
            give_access(address.removeprefix(PREFIX), access, address)
        for role, each in self.made:
            listen(each, role)

    def close_new(self) -> None:
        """Close the sockets that were made for it."""
        _close([each for _, each in self.made])


class Ports:
    """The sockets in use; `bind` says what a configuration would use, `keep` makes it so.

    Those in `given` listen already, by the hand of systemd: they are used instead of new ones on the same address.
    """

    def __init__(self, given: Sequence[socket.socket] = ()) -> None:
        self._groups: dict[Key, list[socket.socket]] = {}
        self._given = list(given)

    @classmethod
    def adopt(cls, sockets: Sequence[SavedSockets], given: Sequence[int]) -> Ports:
        """Those that another one has saved, in this same process or in a child that inherited them."""
        known = {each.fileno(): each for each in map(_inherited, given)}
        ports = cls(list(known.values()))
        for saved in sockets:
            group = [known.get(descriptor) or _inherited(descriptor) for descriptor in saved.descriptors]
            ports._groups[saved.role, saved.address] = group
        return ports

    def save(self) -> tuple[list[SavedSockets], list[int]]:
        """What `adopt` needs; the descriptors stay those of the sockets."""
        groups = [
            SavedSockets(role=role, address=address, descriptors=[each.fileno() for each in group])
            for (role, address), group in self._groups.items()
        ]
        return groups, [each.fileno() for each in self._given]

    def take(self, address: str, setting: str) -> socket.socket | None:
        """The given socket on this address, if there is one; it is nobody else's from now on."""
        for each in self._given:
            if _is_on(each, address, setting):
                self._given.remove(each)
                return each
        return None

    def refuse_unused(self) -> None:
        """StartupError names a given socket that no configured address uses: its clients would wait for ever."""
        used = {each for group in self._groups.values() for each in group}
        for each in self._given:
            if each not in used:
                raise StartupError(
                    f"systemd listens on {socket_text(each)}, which is no configured address: add it to "
                    "esmtp_listener.listen or tracker.listen, or take it out of mailwake.socket"
                )

    def bind(
        self, wanted: Sequence[tuple[str, Sequence[str], int]], access: Mapping[str, FileAccess] | None = None
    ) -> Bound:
        """For each role its addresses with as many sockets as it has workers, those in use among them.

        `access` says who may connect to the Unix sockets among the addresses.

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
        ours = {address for (_, address), group in bound.groups.items() if group[0] not in self._given}
        bound.access = {address: each for address, each in (access or {}).items() if address in ours}
        return bound

    def keep(self, bound: Bound) -> None:
        """Hold these from now on, and close those of addresses that are wanted no more."""
        for key, group in self._groups.items():
            if key not in bound.groups:
                _close([each for each in group if each not in self._given])  # systemd listens there all the same
        self._groups = bound.groups
        bound.made.clear()

    def close(self) -> None:
        """Close all."""
        for group in self._groups.values():
            _close([each for each in group if each not in self._given])
        for each in self._given:
            each.close()  # the file of a Unix socket is systemd's

    def _group(self, bound: Bound, role: str, address: str, count: int) -> list[socket.socket]:
        held = self._groups.get((role, address), [])
        held = held or [each for each in self._unclaimed(bound) if _is_on(each, address, role)][:1]
        if held and held[0] in self._given:
            bound.shared.add((role, address))
            return held
        if (path := path_of(address)) is not None:
            bound.shared.add((role, address))
            if not held:
                held = [bind_unix(path, role)]
                bound.made.append((role, held[0]))
            return held
        made = bind_more(held[0], max(0, count - len(held)), role) if held else self._bind(role, address, count)
        bound.made.extend((role, each) for each in made)
        return [*held, *made]

    def _unclaimed(self, bound: Bound) -> list[socket.socket]:
        claimed = {each for groups in (self._groups, bound.groups) for group in groups.values() for each in group}
        return [each for each in self._given if each not in claimed]

    def _bind(self, role: str, address: str, count: int) -> list[socket.socket]:
        parsed = parse_address(address, role)
        try:
            return bind_shared(parsed, count, role)
        except StartupError as error:
            if (role, address) == _ANY_PORT_WILL_DO:
                return bind_shared(Address(parsed.host, 0), count, role)
            ours = [each for (_, each), group in self._groups.items() if _is_on_port(group[0], parsed.port)]
            if parsed.port and ours:
                raise StartupError(
                    f"{role}: cannot listen on {parsed} while mailwake itself listens on {ours[0]}; restart it instead"
                ) from error
            raise


def _inherited(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptor)


def _is_on(given: socket.socket, address: str, setting: str) -> bool:
    if given.family == AF_UNIX or path_of(address) is not None:
        return given.family == AF_UNIX and address.removeprefix(PREFIX) == socket_text(given)
    return serves(given, parse_address(address, setting))


def _is_on_port(bound: socket.socket, port: int) -> bool:
    return bound.family != AF_UNIX and bound_address(bound).port == port


def _close(group: Sequence[socket.socket]) -> None:
    for each in group:
        if each.family == AF_UNIX:
            close_and_remove(each)
        else:
            each.close()
