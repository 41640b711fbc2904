"""The operator's own files, tried before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.enrichment.places import Places
from mailwake.enrichment.rule_file import read_rules
from mailwake.errors import MailwakeError, StartupError

if TYPE_CHECKING:
    from mailwake.config.enrichment_settings import Enrichment


def check_files(settings: Enrichment) -> None:
    """StartupError, one line, when one of the operator's files cannot be used."""
    try:
        if settings.bot_rules is not None:
            read_rules(settings.bot_rules)
        if settings.geoip_database is not None:
            Places(settings.geoip_database).close()
    except MailwakeError as error:
        raise StartupError(str(error)) from None
