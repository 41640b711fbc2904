"""The settings of what is found out about the people and machines behind events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mailwake.config import kinds
from mailwake.config.fields import Setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Enrichment:
    """What is found out about the people and machines behind opens and clicks."""

    geoip_database: Annotated[
        Path | None,
        Setting(
            "A database of places in MaxMind's format (.mmdb), read anew when it changes; for geo_ip in events.",
            kinds.path(),
            unset="events have no geo_ip",
            example='"/var/lib/GeoIP/GeoLite2-City.mmdb"',
        ),
    ] = None
    message_facts: Annotated[
        float,
        Setting(
            "How long a message's subject, sender and size are remembered for opens and clicks that come later; "
            "0 means for ever.",
            kinds.duration(0, 36500 * 86400),
        ),
    ] = 90 * 86400
    bot_rules: Annotated[
        Path | None,
        Setting(
            "Your own rules for telling machines from people, read anew when they change; they add to the shipped "
            "ones, and one of the same name takes the place of a shipped one.",
            kinds.path(),
            unset="the shipped rules alone",
            example='"/etc/mailwake/bot_rules.toml"',
        ),
    ] = None
