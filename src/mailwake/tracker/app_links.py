"""The association files by which iOS and Android let an app open links of a tracking domain."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.tracker.messages import Request

PATH_PREFIX: Final = "/.well-known/"
"""Where both systems look (RFC 8615)."""

FILE_NAMES: Final = frozenset({"apple-app-site-association", "assetlinks.json"})
"""The files that exist there, and nothing else."""

SIZE_LIMIT: Final = 1 << 20
"""Bytes of a file that are served at most; Apple takes 128 KB."""

_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)


class AppLinks:
    """The operator's files `<directory>/<tracking domain>/<file name>`, read anew each time: edits count at once."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    async def find(self, request: Request) -> bytes | None:
        """The file that `request` asks for, for the host it names; None if there is none, or it is over SIZE_LIMIT."""
        name = request.path.removeprefix(PATH_PREFIX)
        domain = requested_domain(request)
        if self._directory is None or name not in FILE_NAMES or domain is None:
            return None
        return await asyncio.to_thread(_read, self._directory / domain / name)


def requested_domain(request: Request) -> str | None:
    """The host that the request names, lower case, without port and final dot; None if it is not a domain name."""
    host = (request.authority or request.headers.get("host") or "").lower()
    host = host.partition(":")[0].removesuffix(".")
    return host if len(host) <= 253 and _DOMAIN.fullmatch(host) else None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError:
        return None
    return content if len(content) <= SIZE_LIMIT else None
