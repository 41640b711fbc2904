"""Delivery into a local maildir, for trying mailwake without a mail server."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Delivery, Outcome, Status
from mailwake.smtp.replies import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.clock import Clock


class MaildirDelivery(Delivery):
    """A `Delivery` that writes each copy into `directory`/new, on disk before it is reported as delivered.

    The message is kept byte for byte, CRLF included, behind the two fields that a final delivery adds (RFC 5321 §4.4):
    Return-Path, and Delivered-To with the recipient.
    """

    def __init__(self, directory: Path, clock: Clock, *, metrics: Metrics | None = None) -> None:
        self._directory = directory
        self._clock = clock
        self._counters = {status: (metrics or Metrics()).counter("copies_total", status.value) for status in Status}
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")
        self._numbers = itertools.count(1)

    async def deliver(self, copy: Copy) -> Outcome:
        """Write the copy; a full or absent disk defers it."""
        try:
            name = await asyncio.to_thread(self._write, copy)
        except OSError as error:
            enhanced = "4.3.1" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "4.3.0"
            reply = Reply(452 if enhanced == "4.3.1" else 451, enhanced, "Cannot write to the maildir")
            outcome = Outcome(Status.DEFERRED, reply, self._name, "content", str(error))
        else:
            outcome = Outcome(Status.DELIVERED, Reply(250, "2.0.0", f"Ok: {name}"), self._name, "content")
        self._counters[outcome.status].inc()
        return outcome

    async def close(self) -> None:
        """Nothing is kept open."""

    @property
    def _name(self) -> str:
        return f"maildir:{self._directory}"

    def _write(self, copy: Copy) -> str:
        for name in ("tmp", "new", "cur"):
            (self._directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        # https://cr.yp.to/proto/maildir.html: the time, what is unique in this host at that time, the host.
        unique = f"{int(self._clock.now())}.P{os.getpid()}Q{next(self._numbers)}R{os.urandom(4).hex()}.{self._host}"
        unfinished = self._directory / "tmp" / unique
        trace = f"Return-Path: <{copy.sender}>\r\nDelivered-To: {copy.recipient}\r\n"
        try:
            with unfinished.open("xb") as file:
                file.write(trace.encode())
                file.writelines(copy.pieces)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(self._directory / "new" / unique)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync_directory(self._directory / "new")
        return unique
