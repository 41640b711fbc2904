"""Guessing passwords: what one connection and its address may try."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailwake.clock import Clock
    from mailwake.listener.address_limits import AddressLimits
    from mailwake.listener.refusals import Refusals
    from mailwake.listener.session import Session


class LoginLimits:
    """Of one connection; what clients in `relay_networks` do is not held against their address."""

    __slots__ = ("_addresses", "_clock", "_failures", "_most", "_refusals")

    def __init__(self, addresses: AddressLimits, refusals: Refusals, clock: Clock, most: int) -> None:
        """`most` wrong passwords on one connection are its end."""
        self._addresses = addresses
        self._refusals = refusals
        self._clock = clock
        self._most = most
        self._failures = 0

    def may_try(self, session: Session) -> bool:
        """Whether a password is looked at; one that is not counts as wrong for the connection, not for the address."""
        if self._addresses.may_try(self._key(session)):
            return True
        self._failures += 1
        self._refusals.note("AUTH blocked", session.peer_address, self._clock.monotonic())
        return False

    @property
    def exhausted(self) -> bool:
        """Whether the connection has had its chances."""
        return self._failures >= self._most

    async def failed(self, session: Session) -> None:
        """The password was wrong: returns when that may be said."""
        self._failures += 1
        await self._addresses.failed(self._key(session), self._failures)

    def succeeded(self) -> None:
        """The client knows a password: the next one it mistypes is its first again."""
        self._failures = 0

    def _key(self, session: Session) -> str:
        return self._addresses.key_of(session.peer_address, exempt=session.trusted_network)
