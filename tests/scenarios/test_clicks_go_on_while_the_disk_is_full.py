"""The disk runs full under a tracker: everybody is redirected, losses are counted, and then it goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.small_disk import fill, mounted

from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id, pack_context

from .conftest import Mailwake, wait_until

pytestmark = pytest.mark.scenario

TARGET = "https://www.example.org/"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MB, where `Mailwake` has its data."""
    with mounted(tmp_path / "data", 48) as disk:
        yield disk


def test_clicks_are_redirected_and_counted_and_recorded_again_when_there_is_room(
    small_disk: Path, start_mailwake: Callable[..., Mailwake]
) -> None:
    service = start_mailwake("--demo", "--workers", "1", "--set", "tracker.workers=1", "--set", "min_free_space=0")
    codec = TokenCodec(KeyringFile(service.data / "keys.json").load())

    def click(name: str) -> None:
        context = LinkContext("acme", 1 << 40, message_id(1 << 40, 0), int(time.time()), 86400, "bob@example.org")
        token = codec.encode(LinkKind.CLICK, pack_context(context), TARGET + name).decode()
        status, headers, _ = service.get(f"/f/a/{token}")
        assert (status, headers["location"]) == (302, TARGET + name)

    filler = fill(small_disk)  # before the tracker has a file with room in it
    for number in range(3):
        click(f"lost-{number}")
    wait_until(lambda: service.metric("mailwake_events_lost_total") == 3, "losses are counted")
    assert "people were redirected all the same" in service.log
    filler.unlink()
    for number in range(3):
        click(f"kept-{number}")
    wait_until(lambda: service.metric("mailwake_feed_events_total") == 3, "the collector goes on by itself")
    assert [event["target_link_url"] for event in service.events()] == [f"{TARGET}kept-{n}" for n in range(3)]
    assert service.metric("mailwake_worker_restarts_total") == 0
    service.stop()
