"""Who asks: the API key of a request, in each way that the vendor's clients and others send it."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from mailwake.api.errors import ApiError, Fault
from mailwake.control.api_keys import PREFIX, ApiKeysError
from mailwake.listener.address_limits import MINUTE, AddressLimits, WindowCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailwake.clock import Clock
    from mailwake.config.api_settings import Api
    from mailwake.control.api_keys import ApiKey, ApiKeys
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

T = TypeVar("T")
R = TypeVar("R")

FAILURE_WINDOW = 600.0
"""Seconds in which an address's requests without a valid key are counted."""

_HOW = "send it as `Authorization: KEY`; `mailwake apikey create NAME` makes one"


def key_of(authorization: str | None) -> str | None:
    """The key in an Authorization header: bare, behind `Bearer`, or as the user name of `Basic`; None without one."""
    if authorization is None or not authorization.strip():
        return None
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
    return authorization.strip()


class Authentication:
    """Finds the key of each request and holds it to the limits.

    Wrong keys from an address are answered 401, and, when there are too many, 429, which is not in the log.
    A right key is never refused because of others' wrong ones: nobody can guess 256 bits, and if it were, whoever
    shares a proxy with an honest client could shut it out.
    """

    def __init__(
        self, keys: ApiKeys, settings: Api, clock: Clock, metrics: Metrics, log: Logger, *, most_at_once: int
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._log = log
        self._most_failures = settings.max_auth_failures_per_address
        self._most_requests = settings.max_requests_per_key
        self._thread = ThreadPoolExecutor(1, "api-keys")  # of its own: a search may have all the others for seconds
        self._failures = WindowCounts(FAILURE_WINDOW)
        self._requests = WindowCounts(MINUTE)
        self._most_at_once = most_at_once
        self._in_hand: Counter[tuple[bool, str]] = Counter()
        self._counted = {
            result: metrics.counter("api_auth_total", result)
            for result in ("accepted", "refused", "blocked", "limited")
        }

    async def caller(self, authorization: str | None, address: str) -> ApiKey:
        """The key of a request from `address`; ApiError 401, 429, or 503 when the keys cannot be read."""
        key = key_of(authorization)
        if key is None:
            raise self._failed(address, f"there is no API key in the request: {_HOW}")
        found = await self._find(key)
        if found is None:
            raise self._failed(address, f"this API key is not known, is revoked, or has expired: {_HOW}")
        return await self._accepted(found)

    async def holder(self, fingerprint: bytes) -> ApiKey | None:
        """The key that a session was begun with, while it is valid; ApiError 429, or 503, as for `caller`."""
        found = await self._asked(self._keys.find_by, fingerprint)
        return None if found is None else await self._accepted(found)

    @contextmanager
    def place(self, name: str, *, by_key: bool = True) -> Iterator[None]:
        """Around the answer to a key of this name, or to a user whom a proxy names; ApiError 429 for one too many.

        Without it, one customer's slow questions could have every request that the server takes in hand.
        """
        asker = (by_key, name)
        if self._in_hand[asker] >= self._most_at_once:
            self._counted["limited"].inc()
            raise ApiError(
                Fault.TOO_MANY,
                f"{self._most_at_once} requests of yours are in hand; wait for the answer to one",
                headers={"retry-after": "1"},
            )
        self._in_hand[asker] += 1
        try:
            yield
        finally:
            self._in_hand[asker] -= 1
            if not self._in_hand[asker]:
                del self._in_hand[asker]

    async def _accepted(self, found: ApiKey) -> ApiKey:
        self._counted["accepted"].inc()
        await self._note_use(found)
        if self._most_requests and self._requests.add(found.name, self._clock.monotonic()) > self._most_requests:
            self._counted["limited"].inc()
            raise ApiError(
                Fault.TOO_MANY,
                f"at most {self._most_requests} requests a minute with one key (api.max_requests_per_key)",
                headers={"retry-after": "5"},
            )
        return found

    async def _find(self, key: str) -> ApiKey | None:
        if not key.startswith(PREFIX) or len(key) > 100:
            return None
        return await self._asked(self._keys.find, key)

    async def _asked(self, ask: Callable[[T], R], about: T) -> R:
        try:
            return await self._in_thread(ask, about)
        except ApiKeysError as error:
            self._log.error("API keys cannot be read", error=str(error))
            raise ApiError(
                Fault.BUSY, "the keys cannot be read now; the log says why", headers={"retry-after": "5"}
            ) from None

    async def _note_use(self, key: ApiKey) -> None:
        try:
            await self._in_thread(self._keys.note_use, key)
        except ApiKeysError as error:  # no reason to refuse anything
            self._log.warning("the use of an API key cannot be noted", key=key.name, error=str(error))

    async def _in_thread(self, ask: Callable[[T], R], about: T) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, ask, about)

    def _failed(self, address: str, description: str) -> ApiError:
        failures = self._failures.add(AddressLimits.key_of(address), self._clock.monotonic())
        if self._most_failures and failures > self._most_failures:
            self._counted["blocked"].inc()
            return ApiError(
                Fault.TOO_MANY,
                "too many requests without a valid API key from your address (api.max_auth_failures_per_address)",
                headers={"retry-after": str(int(FAILURE_WINDOW))},
            )
        self._counted["refused"].inc()
        return ApiError(Fault.UNAUTHORIZED, description, headers={"www-authenticate": 'Bearer realm="mailwake"'})
