"""Delivery into a maildir."""

from __future__ import annotations

import asyncio
import mailbox
from pathlib import Path

from mailwake.clock import ManualClock
from mailwake.metrics import Metrics
from mailwake.relay.delivery import Copy, Status
from mailwake.relay.maildir import MaildirDelivery


async def test_each_copy_is_a_file_that_mail_programs_read(tmp_path: Path) -> None:
    metrics = Metrics()
    delivery = MaildirDelivery(tmp_path / "box", ManualClock(), metrics=metrics)
    copies = [Copy("a@a.example", f"r{n}@b.example", (b"Subject: %d\r\n" % n, b"\r\nhello\r\n")) for n in range(10)]
    outcomes = await asyncio.gather(*(delivery.deliver(copy) for copy in copies))
    await delivery.close()
    assert {outcome.status for outcome in outcomes} == {Status.DELIVERED}
    assert {outcome.next_hop for outcome in outcomes} == {f"maildir:{tmp_path / 'box'}"}
    with_subjects = {message["Delivered-To"]: message["Subject"] for message in mailbox.Maildir(tmp_path / "box")}
    assert with_subjects == {f"r{n}@b.example": str(n) for n in range(10)}
    assert metrics.counter("copies_total", "delivered").value == 10
    files = list((tmp_path / "box" / "new").iterdir())
    assert all(file.read_bytes().endswith(b"\r\n\r\nhello\r\n") for file in files)
    assert list((tmp_path / "box" / "tmp").iterdir()) == []


async def test_a_disk_that_cannot_be_written_defers(tmp_path: Path) -> None:
    (tmp_path / "box").write_text("a file where the directory should be")
    outcome = await MaildirDelivery(tmp_path / "box", ManualClock()).deliver(Copy("", "r@b.example", (b"x\r\n",)))
    assert (outcome.status, outcome.reply.code) == (Status.DEFERRED, 451)
    assert outcome.reason
