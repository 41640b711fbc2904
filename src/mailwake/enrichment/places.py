"""Where an address is, by a database in MaxMind's format that the operator names."""

from __future__ import annotations

import functools
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import maxminddb

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CACHED: Final = 20_000


class Place(NamedTuple):
    """What the database says; empty or None where it says nothing."""

    country: str = ""
    """ISO 3166-1, two letters."""
    region: str = ""
    """The last part of its ISO 3166-2 code."""
    city: str = ""
    """Its English name."""
    latitude: float | None = None
    longitude: float | None = None
    postal_code: str = ""


NOWHERE: Final = Place()


class PlaceFinder(Protocol):
    """Says where addresses are."""

    @property
    def find(self) -> Callable[[str], Place]:
        """The place of an address; `NOWHERE` for what is unknown or no address."""
        ...

    def close(self) -> None:
        """Let go of what it reads."""
        ...


class NoPlaces:
    """Knows no place."""

    def find(self, address: str) -> Place:
        """Nowhere."""
        return NOWHERE

    def close(self) -> None:
        """There is nothing to let go of."""


class Places:
    """One version of a database; MailwakeError when the file is missing or damaged."""

    def __init__(self, path: Path) -> None:
        try:
            self._reader = _open_copy(path)
        except OSError as error:
            raise MailwakeError(f"{path}: the database of places cannot be read: {error.strerror or error}") from None
        except (maxminddb.InvalidDatabaseError, ValueError, RecursionError) as error:
            raise MailwakeError(f"{path}: is no database of places, or damaged: {error}") from None
        self._takes_v6: Final = self._reader.metadata().ip_version == 6
        self.find: Final[Callable[[str], Place]] = functools.lru_cache(_CACHED)(self._look_up)
        """The place of an address; `NOWHERE` for what is unknown or no address."""

    def close(self) -> None:
        """Let go of the database."""
        self._reader.close()

    def _look_up(self, address: str) -> Place:
        if not address or (":" in address and not self._takes_v6):
            return NOWHERE
        try:
            return _place(self._reader.get(address))
        except (ValueError, maxminddb.InvalidDatabaseError):  # no address, or damage that no check has shown
            return NOWHERE


def _open_copy(path: Path) -> maxminddb.Reader:
    # The reader maps its file into memory, and who overwrites a mapped file in place kills the process (SIGBUS). So it
    # maps a copy, which has no name any more once it is open.
    with path.open("rb") as source, tempfile.NamedTemporaryFile(prefix="mailwake-places-") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        try:
            return maxminddb.open_database(copy.name, maxminddb.MODE_AUTO)
        except maxminddb.InvalidDatabaseError as error:
            raise ValueError(str(error).replace(copy.name, path.name)) from None


def _place(found: Any) -> Place:
    if not isinstance(found, dict):
        return NOWHERE
    location = _table(found.get("location"))
    regions = found.get("subdivisions")
    return Place(
        _text(_table(found.get("country")).get("iso_code")),
        _text(_table(regions[0]).get("iso_code")) if isinstance(regions, list) and regions else "",
        _text(_table(_table(found.get("city")).get("names")).get("en")),
        _number(location.get("latitude")),
        _number(location.get("longitude")),
        _text(_table(found.get("postal")).get("code")),
    )


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
