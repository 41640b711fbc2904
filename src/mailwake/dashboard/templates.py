"""Templates, and how they show values; everything that stands in a page is escaped, unless it is our own markup."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mailwake.dashboard import formats, own_paths, series
from mailwake.dashboard.event_words import EVENT_WORDS
from mailwake.dashboard.periods import RANGES
from mailwake.dashboard.sessions import TOKEN_FIELD
from mailwake.dashboard.view import CUTS, FILTERS

if TYPE_CHECKING:
    from collections.abc import Callable

COMMON_ZONES = (
    *("UTC", "Europe/London", "Europe/Berlin", "Europe/Athens", "Europe/Moscow", "America/New_York", "America/Chicago"),
    *("America/Denver", "America/Los_Angeles", "America/Sao_Paulo", "Africa/Johannesburg", "Asia/Dubai"),
    *("Asia/Kolkata", "Asia/Singapore", "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland"),
)
"""Time zones that are proposed; any other can be written."""

DIRECTORY = Path(__file__).parent / "templates"


class Templates:
    """All templates, compiled once."""

    def __init__(self, static: Callable[[str], str], title: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(DIRECTORY),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= formats.FILTERS
        self._environment.globals |= {
            "static": static,
            "site_title": title,
            "paths": own_paths,
            "token_field": TOKEN_FIELD,
            "all_ranges": RANGES,
            "all_cuts": CUTS,
            "all_filters": FILTERS,
            "common_zones": COMMON_ZONES,
            "series_names": series.NAMES,
            "series_kinds": series.KINDS,
            "event_words": EVENT_WORDS,
        }

    def render(self, template: str, **values: Any) -> str:
        """The page; a value that a template misses is a defect, and raises."""
        return self._environment.get_template(template).render(**values)
