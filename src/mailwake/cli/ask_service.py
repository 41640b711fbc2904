"""What a command asks of the running service: over the API, with a key that it makes for itself and revokes.

Whoever may write into the data directory may make keys anyway, so nothing is to be configured for it.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from mailwake.clock import SystemClock
from mailwake.control.api_keys import ApiKeys, Scope
from mailwake.errors import MailwakeError
from mailwake.feed.lock import is_written
from mailwake.service.addresses import parse_address
from mailwake.service.api_address import kept_api_address, reachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mailwake.config.schema import Settings
    from mailwake.service.data_directory import DataDirectory

KEY_SECONDS = 3600
"""How long a key is valid that a killed command could not revoke; nobody but the command ever had it."""

_KEY_NAME = "command line "
_CONNECT_SECONDS = 10.0

QueryValue = str | int | float | bool | None


class ServiceError(MailwakeError):
    """The running service cannot be asked, or says no; one line says why."""


def service_runs(directory: DataDirectory) -> bool:
    """Whether a collector runs on this data directory, and so has the store."""
    return is_written(directory.feed)


class RunningService:
    """The API of the service that runs; ServiceError when it does not answer, or refuses."""

    def __init__(self, client: httpx.Client, *, said_of_it: str = "the service runs, but its API at") -> None:
        self._client = client
        self._said_of_it = said_of_it

    def get(self, path: str, query: Mapping[str, QueryValue] | None = None) -> Any:
        """The JSON document that it answers."""
        return _document(self._asked("GET", path, query, None))

    def post(self, path: str, body: Any = None, query: Mapping[str, QueryValue] | None = None) -> Any:
        """Send a document, get one; None when there is none."""
        answer = self._asked("POST", path, query, body)
        return _document(answer) if answer.content else None

    def delete(self, path: str) -> None:
        """Have something removed."""
        self._asked("DELETE", path, None, None)

    @contextmanager
    def download(self, path: str, query: Mapping[str, QueryValue] | None = None) -> Iterator[Iterator[bytes]]:
        """The pieces of an answer that is too large for memory; a cut one raises ServiceError."""
        with self._errors(), self._client.stream("GET", path, params=query) as answer:
            if not answer.is_success:
                answer.read()
                raise ServiceError(_refusal(answer))
            yield answer.iter_bytes(1 << 16)

    def _asked(self, method: str, path: str, query: Mapping[str, QueryValue] | None, body: Any) -> httpx.Response:
        with self._errors():
            answer = self._client.request(method, path, params=query, json=body)
        if not answer.is_success:
            raise ServiceError(_refusal(answer))
        return answer

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{self._said_of_it} {self._client.base_url} does not answer: {error}; see its log"
            ) from None


@contextmanager
def ask_service(
    directory: DataDirectory,
    settings: Settings,
    scope: Scope,
    *,
    timeout: float = 60.0,
    key_seconds: int = KEY_SECONDS,
) -> Iterator[RunningService]:
    """Ask the service that runs on this data directory, with a key of this scope that is revoked afterwards.

    `timeout` is for how many seconds an answer may keep us waiting, `key_seconds` how long all of it may take.
    ServiceError when no service runs.
    """
    if not service_runs(directory):
        raise ServiceError(f"no mailwake runs on {directory.path}; start it, or say where it is with --data")
    keys = ApiKeys(directory.api_keys, SystemClock())
    _tidy(keys)
    name = f"{_KEY_NAME}{os.getpid()} {secrets.token_hex(4)}"
    key = keys.create(name, [scope], expires=int(keys.now()) + key_seconds)
    try:
        with httpx.Client(
            base_url=_url(directory, settings),
            headers={"authorization": key},
            timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
            trust_env=False,  # no proxy gets our key
        ) as client:
            yield RunningService(client)
    finally:
        keys.revoke(name)


@contextmanager
def ask_url(url: str, key: str, variable: str, *, timeout: float = 60.0) -> Iterator[RunningService]:
    """Ask the API at this URL, on another machine, with a key that the environment's `variable` has."""
    if not url.startswith(("http://", "https://")):
        raise ServiceError(f"--url: cannot be {url[:60]!r}; it is a URL like https://mail.example.com")
    if not key or not key.isascii() or not key.isprintable():
        raise ServiceError(f"{variable}: put an API key there; `mailwake apikey create NAME` makes one")
    try:
        client = httpx.Client(
            base_url=url,
            headers={"authorization": key},
            timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
            trust_env=False,
        )
    except httpx.InvalidURL as error:
        raise ServiceError(f"--url: {url[:60]!r}: {error}") from None
    with client:
        yield RunningService(client, said_of_it="the API at")


def _tidy(keys: ApiKeys) -> None:
    """Forget what commands have left that were killed."""
    for key in keys.list():
        if key.name.startswith(_KEY_NAME) and key.expires is not None and key.expires <= keys.now():
            keys.revoke(key.name)


def _url(directory: DataDirectory, settings: Settings) -> str:
    kept = kept_api_address(directory.api_address)
    return kept or f"http://{reachable(parse_address(settings.api.listen[0], 'api.listen'))}"


def _document(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise ServiceError(f"{answer.url} answers with no JSON; is it mailwake that answers there?") from None


def _refusal(answer: httpx.Response) -> str:
    try:
        (error, *_) = answer.json()["errors"]
        said = error.get("description") or error["message"]
    except (ValueError, KeyError, TypeError, AttributeError):
        said = "is it mailwake that answers there?"
    return f"the service answers {answer.status_code}: {' '.join(str(said).split())}"
