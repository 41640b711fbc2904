"""Links of a running service, made with its own keys."""

from __future__ import annotations

import time
from pathlib import Path

from mailwake.clock import SystemClock
from mailwake.links.keyring_file import KeyringFile
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id, pack_context
from mailwake.service.data_directory import DataDirectory


def click_path(data: Path, target: str, recipient: str = "ann@example.com") -> str:
    """The path of a tracked link to `target`, sealed with the keys in the service's data directory."""
    codec = TokenCodec(KeyringFile(DataDirectory(data).keys, clock=SystemClock()).load())
    transmission = int(time.time() * 1e6)
    context = LinkContext(
        customer_id="42",
        transmission_id=transmission,
        message_id=message_id(transmission, 0),
        sent=int(time.time()),
        expires=86_400,
        recipient=recipient,
    )
    return "/f/a/" + codec.encode(LinkKind.CLICK, pack_context(context), target, "name").decode()
