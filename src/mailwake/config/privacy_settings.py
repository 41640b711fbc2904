"""What events say of people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mailwake.config import kinds
from mailwake.config.fields import Setting

HASH_SECRET_OCTETS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Privacy:
    """What events say of people; it is applied before anything is written."""

    ip_addresses: Annotated[
        Literal["full", "truncated", "none"],
        Setting(
            "The addresses that opens and clicks come from: as they are, their network (/24, IPv6 /48), or not at all.",
            kinds.choice("full", "truncated", "none"),
        ),
    ] = "full"
    recipients: Annotated[
        Literal["clear", "hashed"],
        Setting(
            "Recipients in events, links and log lines: as they are, or as a keyed hash before the domain.",
            kinds.choice("clear", "hashed"),
        ),
    ] = "clear"
    hash_secret: Annotated[
        bytes | None,
        Setting(
            "The secret of those hashes; the same on all nodes, so that they agree about people.",
            kinds.secret(HASH_SECRET_OCTETS),
            unset="drawn when it is first needed and kept in the data directory",
            example='"what `openssl rand -base64 32` prints"',
        ),
    ] = None
