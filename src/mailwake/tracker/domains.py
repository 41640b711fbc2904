"""What a tracking domain has of its own, by the Host that a request names."""

from __future__ import annotations

import asyncio
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mailwake.tracker import responses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mailwake.tracker.messages import Request, Response

APP_LINKS_PREFIX: Final = "/.well-known/"
"""Where iOS and Android look for the files that let an app open links (RFC 8615)."""

APP_LINKS_FILES: Final = frozenset({"apple-app-site-association", "assetlinks.json"})
"""The files that exist there, and nothing else."""

SIZE_LIMIT: Final = 1 << 20
"""Bytes of an operator's file that are served at most; Apple takes 128 KB."""

_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)
_CACHED_HOSTS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One domain, or all that have no settings of their own."""

    serve: bool = True
    """Whether requests for it are answered."""
    not_found: Response = responses.NOT_FOUND
    """The answer to links that are unknown or damaged."""
    app_links: Path | None = None
    """The directory of its files for apps; None where they are looked for in the common one."""
    unsubscribe_page: Response = responses.UNSUBSCRIBE_PAGE
    """The answer to a link for unsubscribing that somebody looks at."""
    unsubscribed_url: str = ""
    """Where people are sent who have pressed the button on it; "" shows them a page of ours."""


class Domains:
    """The domains by name, lower case, with a port where they are known with one.

    `others` is what holds for all others; `app_links` is the common directory, with a folder for each domain.
    """

    def __init__(
        self, known: Mapping[str, Domain] | None = None, others: Domain | None = None, app_links: Path | None = None
    ) -> None:
        self._known = known or {}
        self._others = others or Domain()
        self._app_links = app_links
        self._find: Callable[[str], Domain] = functools.lru_cache(_CACHED_HOSTS)(self._look_up)

    def of(self, request: Request) -> Domain:
        """The domain that the request is for."""
        return self._find(_host(request)) if self._known else self._others

    def _look_up(self, host: str) -> Domain:
        name = host.lower()
        bare, colon, port = name.rpartition(":")
        candidates = [name]
        if colon and port.isascii() and port.isdigit():
            candidates += [f"{bare.removesuffix('.')}:{port}", bare]
        candidates.append(candidates[-1].removesuffix("."))
        return next((self._known[each] for each in candidates if each in self._known), self._others)

    async def app_links_file(self, request: Request) -> bytes | None:
        """The file for apps that `request` asks for, of its domain; None if there is none, or it is over SIZE_LIMIT.

        It is read each time: edits count at once.
        """
        name = request.path.removeprefix(APP_LINKS_PREFIX)
        if name not in APP_LINKS_FILES:
            return None
        directory = self.of(request).app_links
        if directory is None:
            domain = requested_domain(request)
            if self._app_links is None or domain is None:
                return None
            directory = self._app_links / domain
        return await asyncio.to_thread(_read, directory / name)


def _host(request: Request) -> str:
    return request.authority or request.headers.get("host") or ""


def requested_domain(request: Request) -> str | None:
    """The host that the request names, lower case, without port and final dot; None if it is not a domain name."""
    host = _host(request).lower().partition(":")[0].removesuffix(".")
    return host if len(host) <= 253 and _DOMAIN.fullmatch(host) else None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError:
        return None
    return content if len(content) <= SIZE_LIMIT else None
