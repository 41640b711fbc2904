"""The file system of the data runs full under a service: MAIL gets 452 4.3.1, and is taken when there is room again."""

from __future__ import annotations

import contextlib
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

SENDER, RECIPIENT = "news@sender.example", "ann@a.example"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, where `Mailwake` has its data."""
    place = tmp_path / "data"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = done.stderr.strip() if done.returncode else ""
    except FileNotFoundError:
        reason = "there is no mount command"
    if reason:
        pytest.skip(f"A REALLY FULL DISK IS NOT TESTED: no tmpfs can be mounted here ({reason})")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mail(service: Mailwake, options: str = "") -> tuple[int, bytes]:
    with service.client() as client:
        client.ehlo()
        return client.docmd(f"MAIL FROM:<{SENDER}> {options}".rstrip())


@pytest.mark.parametrize("acceptance", ["after-relay", "spool"])
def test_452_while_it_is_full_and_250_afterwards(
    small_disk: Path, start_mailwake: Callable[..., Mailwake], start_sink: Callable[..., Sink], acceptance: str
) -> None:
    sink = start_sink()
    service = start_mailwake(
        *("--next-hop", sink.address, "--role", "smtp", "--workers", "1"),
        *("--set", f"spool.acceptance={acceptance}", "--set", "min_free_space=2MB"),
    )
    service.send(SENDER, [RECIPIENT], b"Subject: before\r\n\r\nx\r\n")
    assert _mail(service, f"SIZE={23 << 20}")[0] == 452
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    wait_until(
        lambda: _mail(service) == (452, b"4.3.1 Insufficient system storage, try again later"),
        "MAIL is refused for now",
    )
    with pytest.raises(smtplib.SMTPSenderRefused):
        service.send(SENDER, [RECIPIENT], b"Subject: meanwhile\r\n\r\nx\r\n")
    filler.unlink()
    wait_until(lambda: _mail(service)[0] == 250, "MAIL is taken again")
    service.send(SENDER, [RECIPIENT], b"Subject: after\r\n\r\nx\r\n")
    wait_until(lambda: len(sink.messages()) == 2, "both messages have arrived")
    assert not [content for _, content in sink.messages() if b"meanwhile" in content]
    service.stop()
