"""The file system of the data runs full under a service: MAIL gets 452 4.3.1, and is taken when there is room again."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.small_disk import fill, mounted

from .conftest import Mailwake, Sink, wait_until

pytestmark = pytest.mark.scenario

SENDER, RECIPIENT = "news@sender.example", "ann@a.example"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB, where `Mailwake` has its data."""
    with mounted(tmp_path / "data", 24) as disk:
        yield disk


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
    filler = fill(small_disk)
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
