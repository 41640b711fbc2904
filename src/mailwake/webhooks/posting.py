"""One POST to a target: what came of it is a value, however the target behaves, and it never takes long."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, NamedTuple, Protocol

import httpcore

from mailwake import __version__
from mailwake.errors import StartupError
from mailwake.webhooks.connections import GuardedBackend, LookupFailedError, SystemLookup, TargetRefusedError
from mailwake.webhooks.target_url import UrlRules, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.webhooks.address_rules import AddressRules
    from mailwake.webhooks.connections import Lookup

MAX_ANSWER = 64 << 10
"""Octets of a target's answer that are read; what is longer is taken as it is by then."""

SLOWEST = 256 << 10
"""Octets a second that a target has to take: a large body gives it so much more time to answer."""

USER_AGENT = f"mailwake/{__version__}"


class Answer(NamedTuple):
    """What came of one POST: the target's answer, or why there is none.

    An answer counts only when it came whole, or was longer than MAX_ANSWER: a target that ends in the middle of it has
    failed, whatever the status line has promised.
    """

    status: int = 0
    """0 where no answer came."""
    failure: str = ""
    """One of FAILURES, or empty where the target has answered."""
    detail: str = ""
    """One clause for people, where it failed."""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the target has taken the body: any 2xx."""
        return not self.failure and 200 <= self.status < 300

    def header(self, name: str) -> str:
        """The value of a header, in lower case here; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def code(self) -> str:
        """Why it failed, in one word: one of FAILURES; empty where it did not."""
        if self.failure or self.ok:
            return self.failure
        return "redirect" if 300 <= self.status < 400 else "status"

    @property
    def trouble(self) -> str:
        """Why it failed, for people; empty where it did not."""
        if self.failure or self.ok:
            return self.detail
        if self.code == "redirect":
            where = self.header("location")
            return f"it answered {self.status} to {without_secrets(where) if where else 'nowhere'}: not followed"
        return f"it answered {self.status}"


FAILURES = {
    "status": "the target answered, and not with 2xx",
    "redirect": "the target answered 3xx, which is not followed: give the webhook the URL that is meant",
    "timeout": "the target took longer than it may",
    "lookup": "the target's host name has no address",
    "refused": "the target's address is one that must not be connected to",
    "connect": "nothing could be connected to",
    "tls": "the certificate is not valid for the target, or the handshake failed",
    "cut_off": "the target closed the connection in the middle of its answer, or without one",
    "protocol": "what the target answered is not HTTP/1.1",
    "token": "no access token could be fetched",
    "gone": "the feed does not have the events any more",
}
"""What stands in `failure_code` of a batch's status, and what it means."""


class Poster(Protocol):
    """Whatever can POST; never raises for what a target does."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body`, once, following nothing."""
        ...


class HttpPoster:
    """POSTs over HTTP/1.1: a connection for each request, its address checked, its certificate verified.

    `timeout` is in seconds and holds for everything, from the look-up to the last octet of the answer.
    """

    def __init__(
        self,
        *,
        timeout: float,
        urls: UrlRules,
        addresses: AddressRules,
        clock: Clock,
        ca_file: Path | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        self._timeout = timeout
        self._urls = urls
        self._clock = clock
        self._addresses = addresses
        self._lookup = lookup or SystemLookup()
        self._context = _context(ca_file) if ca_file is not None else None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST `body`, once, following nothing."""
        objection = self._urls.objection(url)
        if objection is not None:  # the rules may have changed since the webhook was made
            return Answer(failure="refused", detail=f"the URL {objection}")
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._timeout + len(body) / SLOWEST):
                answer = await self._exchange(url, headers, body)
        except TimeoutError:
            answer = Answer(failure="timeout", detail=f"it did not answer within {self._timeout:g} seconds")
        return answer._replace(seconds=self._clock.monotonic() - started)

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._context is None and url.startswith("https:"):
            self._context = _context(None)
        own = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
        pairs = [(name.encode("ascii"), value.encode("utf-8")) for name, value in {**own, **headers}.items()]
        backend = GuardedBackend(self._addresses, self._lookup)
        try:
            async with (
                httpcore.AsyncConnectionPool(
                    ssl_context=self._context, max_keepalive_connections=0, network_backend=backend
                ) as pool,
                pool.stream("POST", url, headers=pairs, content=body) as response,
            ):
                return await _answer(response)
        except TargetRefusedError as error:
            return Answer(failure="refused", detail=str(error))
        except LookupFailedError as error:
            return Answer(failure="lookup", detail=str(error))
        except httpcore.ConnectError as error:
            return _connect_trouble(error)
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            return Answer(failure="cut_off", detail=f"the connection was lost: {_words(error)}")
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            return _protocol_trouble(error)
        finally:
            await backend.close()


async def _answer(response: httpcore.Response) -> Answer:
    body = bytearray()
    failure = detail = ""
    try:
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > MAX_ANSWER:
                break
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
        failure, detail = "cut_off", f"it answered {response.status}, and closed in the middle of the answer"
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
    return Answer(response.status, failure, detail, headers, bytes(body[:MAX_ANSWER]))


def _connect_trouble(error: httpcore.ConnectError) -> Answer:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Answer(failure="tls", detail=f"its certificate is not good: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return Answer(failure="tls", detail=f"no TLS: {(cause.reason or str(cause)).lower().replace('_', ' ')}")
        cause = cause.__cause__ or cause.__context__
    return Answer(failure="connect", detail=f"it cannot be connected to: {_words(error)}")


def _protocol_trouble(error: Exception) -> Answer:
    text = str(error)
    if "disconnected" in text:
        return Answer(failure="cut_off", detail="it closed the connection without an answer")
    return Answer(failure="protocol", detail=f"its answer is no HTTP/1.1: {text}")


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise StartupError(
                f"webhook_delivery.tls_ca_file: cannot use {ca_file}: {_words(error)}; name a PEM file"
            ) from None
    return context
