"""Style, scripts and icons: read once, under a path that names their content, so that browsers keep them for a year."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailwake.api.errors import ApiError, Fault
from mailwake.dashboard.own_paths import STATIC

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class _File(NamedTuple):
    media_type: str
    plain: bytes
    packed: bytes


class StaticFiles:
    """All files of the directory; the same version under whatever path they are asked for first."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._files = dict(_read(directory))
        digest = hashlib.sha256()
        for name, file in sorted(self._files.items()):
            digest.update(f"{name}\0{len(file.plain)}\0".encode() + file.plain)
        self._version = digest.hexdigest()[:12]

    def path(self, name: str) -> str:
        """Where the file is served; KeyError when there is none."""
        return f"{STATIC}/{self._version}/{self._files[name] and name}"

    def route(self) -> Route:
        """The route of all of them."""
        return Route(f"{STATIC}/{{version}}/{{name:path}}", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        request.scope["mailwake.route"] = f"{STATIC}/…"
        file = self._files.get(request.path_params["name"])
        if file is None:
            raise ApiError(Fault.NOT_FOUND, "there is no such file")
        current = request.path_params["version"] == self._version
        headers = {
            # During a reload a page of the former version may ask the new one; that answer is not kept.
            "cache-control": "public, max-age=31536000, immutable" if current else "no-store",
            "vary": "accept-encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.packed, media_type=file.media_type, headers=headers)
        return Response(file.plain, media_type=file.media_type, headers=headers)


def _read(directory: Path) -> Iterator[tuple[str, _File]]:
    for path in sorted(directory.rglob("*")):
        if path.suffix in _TYPES:
            content = path.read_bytes()
            yield (
                path.relative_to(directory).as_posix(),
                _File(_TYPES[path.suffix], content, gzip.compress(content, mtime=0)),
            )
