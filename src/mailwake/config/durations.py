"""Lengths of time and sizes as people write them: `90`, `5m`, `1.5h`, `5d`; `31457280`, `30MiB`, `30MB`."""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_OCTETS = {
    "": 1,
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(s|m|h|d|w)?")
_SIZE = re.compile(r"([0-9]{1,15})\s*([kKmMgG]i?[bB]|B|)")


def parse_duration(text: str) -> float:
    """Seconds: a number, or one with s, m, h, d or w (weeks); an int when they are whole. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration")
    seconds = float(found[1]) * _SECONDS[found[2] or "s"]
    return int(seconds) if seconds.is_integer() else seconds


def parse_size(text: str) -> int:
    """Octets: a whole number, or one with kB, MB, GB (powers of 1000) or KiB, MiB, GiB (of 1024). Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size")
    return int(found[1]) * _OCTETS[found[2].upper()]


def show_duration(seconds: float) -> str:
    """The shortest exact text: `300` seconds as `5m`, `0.5` as `0.5s`."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{seconds:.15g}s" if seconds else "0s"


def show_size(octets: int) -> str:
    """The shortest exact text in powers of 1024: `31457280` as `30MiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if octets and octets % _OCTETS[unit.upper()] == 0:
            return f"{octets // _OCTETS[unit.upper()]}{unit}"
    return str(octets)
