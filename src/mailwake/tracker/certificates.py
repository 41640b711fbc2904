"""The certificates of the tracking domains: the client's word (SNI) chooses, and files that change are read anew.

A file that cannot be used changes nothing: the certificate before it stays, and the log says why. It is not looked at
in the middle of a renewal, which writes two files, but when both have been the same for two looks.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from mailwake.errors import StartupError
from mailwake.transport.tls import certificate_cautions, modern_context, server_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mailwake.logs import Logger
    from mailwake.metrics import Metrics

DEFAULT: Final = ""
"""The name under which the certificate of clients stands that name no domain with one of its own."""

LOOK_SECONDS: Final = 5.0
"""How often the files are looked at; a changed one is in use after two looks."""

REMINDER_SECONDS: Final = 86_400.0
"""How often a certificate that expires soon, or has expired, is named in the log."""

_PROTOCOLS: Final = ["http/1.1"]

_Marks = tuple[tuple[int, int, int], ...]


class CertificateFiles(NamedTuple):
    """Where a certificate and its key are; `table` is that of the settings, for messages."""

    certificate: Path
    key: Path
    table: str


class Certificates:
    """The server's side of TLS for all domains; `context` is the one to shake hands with.

    Raises StartupError, one line, when a file cannot be used at first.
    """

    def __init__(
        self,
        files: Mapping[str, CertificateFiles],
        minimum_version: Literal["1.2", "1.3"],
        log: Logger,
        metrics: Metrics,
    ) -> None:
        """`files` by domain, lower case; DEFAULT is one of them where there is a certificate for other clients."""
        self._files = files
        self._minimum_version = minimum_version
        self._log = log
        self._metrics = metrics
        self._marks = {name: _marks(each) for name, each in files.items()}
        self._seen = dict(self._marks)
        self._contexts = {name: self._load(each) for name, each in files.items()}
        self.context = modern_context(minimum_version)
        self.context.set_alpn_protocols(_PROTOCOLS)
        self.context.sni_callback = self._choose

    def _load(self, files: CertificateFiles) -> ssl.SSLContext:
        context = server_context(files.certificate, files.key, minimum_version=self._minimum_version, table=files.table)
        context.set_alpn_protocols(_PROTOCOLS)
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        found = self._contexts.get((name or "").lower().removesuffix(".")) or self._contexts.get(DEFAULT)
        if found is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = found
        return None

    async def watch(self) -> None:
        """Look at the files for ever, and tell of certificates that expire soon."""
        loop = asyncio.get_running_loop()
        remind_at = loop.time()
        while True:
            if loop.time() >= remind_at:
                remind_at += REMINDER_SECONDS
                await self._remind()
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Load what has changed since the last look but one and is the same as at the last."""
        for name, files in self._files.items():
            marks = await asyncio.to_thread(_marks, files)
            if marks != self._marks[name] and marks == self._seen[name]:
                self._marks[name] = marks
                await self._reload(name, files)
            self._seen[name] = marks

    async def _reload(self, name: str, files: CertificateFiles) -> None:
        try:
            self._contexts[name] = await asyncio.to_thread(self._load, files)
        except StartupError as error:
            self._metrics.counter("tracker_certificates_loaded_total", "refused").inc()
            self._log.error("certificate cannot be used, the one in use stays", error=str(error))
            return
        self._metrics.counter("tracker_certificates_loaded_total", "accepted").inc()
        self._log.info("certificate loaded anew", certificate=str(files.certificate))
        await self._remind(name)

    async def _remind(self, name: str | None = None) -> None:
        for files in self._files.values() if name is None else (self._files[name],):
            try:
                cautions = await asyncio.to_thread(certificate_cautions, files.certificate, datetime.now(UTC))
            except StartupError:
                continue  # the next look will say so
            for caution in cautions:
                self._log.warning(caution)


def _marks(files: CertificateFiles) -> _Marks:
    """What changes when one of the files does."""
    return tuple(_mark(path) for path in (files.certificate, files.key))


def _mark(path: Path) -> tuple[int, int, int]:
    try:
        facts = path.stat()
    except OSError:
        return (0, 0, 0)
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
