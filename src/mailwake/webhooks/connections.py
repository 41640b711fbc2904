"""Connecting to targets: names are looked up here, and only an address that may be a target's is connected to.

The check is made on the very address that the connection goes to, so that a name which has another address a moment
later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Protocol

import httpcore

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailwake.webhooks.address_rules import AddressRules

_MOST_ADDRESSES = 8
_PATIENCE = 2.0
"""Seconds for each address but the last one, so that one that is silent does not use up the time of the others."""


class TargetRefusedError(Exception):
    """The target's name leads only to addresses that must not be connected to."""


class LookupFailedError(Exception):
    """The target's name has no address now."""


class Lookup(Protocol):
    """How a host's addresses are found; LookupFailedError when it has none."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of `host`, best first."""
        ...


class SystemLookup:
    """The system's resolver, in a thread of its own for each host: a name server that hangs holds up no other target.

    A host that is still being looked up is not looked up again, so there are at most as many threads as hosts.
    """

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        """The IP addresses of `host`."""
        key = (host, port)
        future = self._running.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = self._running[key] = loop.create_future()
            future.add_done_callback(lambda done: self._end(key, done))
            threading.Thread(
                target=_look_up, args=(host, port, loop, future), name=f"lookup-{host}", daemon=True
            ).start()
        return await asyncio.shield(future)

    def _end(self, key: tuple[str, int], future: asyncio.Future[list[str]]) -> None:
        self._running.pop(key, None)
        if not future.cancelled():
            future.exception()  # seen, even where nobody waits any more


def _look_up(host: str, port: int, loop: asyncio.AbstractEventLoop, future: asyncio.Future[list[str]]) -> None:
    addresses: list[str] = []
    trouble = ""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    except (OSError, UnicodeError) as error:
        trouble = getattr(error, "strerror", None) or str(error)

    def tell() -> None:
        if future.done():
            return
        if addresses:
            future.set_result(addresses)
        else:
            future.set_exception(LookupFailedError(f"{host} cannot be looked up: {trouble}"))

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop has ended meanwhile
        return


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """httpcore's way to the network, by way of `lookup` and `rules`; for one request.

    `close()` ends what is open still: httpcore leaves a connection alone whose TLS handshake was cancelled.
    """

    def __init__(self, rules: AddressRules, lookup: Lookup) -> None:
        self._rules = rules
        self._lookup = lookup
        self._network = httpcore.AnyIOBackend()
        self._streams: list[httpcore.AsyncNetworkStream] = []

    async def close(self) -> None:
        """Close every connection that was opened."""
        for stream in self._streams:
            await stream.aclose()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of `host` that may be connected to and answers."""
        addresses = await self._addresses(host, port)
        for address in addresses[:-1]:
            try:
                return await self._connect(address, port, _PATIENCE, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._connect(addresses[-1], port, timeout, local_address, socket_options)

    async def _connect(self, address: str, port: int, *options: Any) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(address, port, *options)
        self._streams.append(stream)
        return stream

    async def _addresses(self, host: str, port: int) -> list[str]:
        found = list(await self._lookup(host.removeprefix("[").removesuffix("]"), port))[:_MOST_ADDRESSES]
        objections = {address: self._rules.objection(address) for address in found}
        allowed = [address for address, objection in objections.items() if objection is None]
        if not found:
            raise LookupFailedError(f"{host} has no address")
        if not allowed:
            raise TargetRefusedError(
                f"{host} leads to {found[0]} ({objections[found[0]]}), where no target may be; "
                "see allow_private_targets in [webhook_delivery]"
            )
        return allowed
