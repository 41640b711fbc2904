"""The paths of the dashboard, and which of them a log-in may lead to."""

from __future__ import annotations

from urllib.parse import urlsplit

HOME = "/dashboard"
LOG_IN = "/dashboard/login"
LOG_OUT = "/dashboard/logout"
THEME = "/dashboard/theme"
STATIC = "/dashboard/static"

_LONGEST = 4000


def is_own(path: str) -> bool:
    """Whether a path is of the dashboard, or would be; the root leads there."""
    return path in ("/", HOME) or path.startswith(f"{HOME}/")


def own_path(wanted: str) -> str:
    """Where to go on: `wanted` if it is a page of ours, with its query; else the first one.

    Whatever could lead to another site is none of ours: a scheme, a host, `//`, a backslash (which browsers take for a
    slash), white space (which they take out).
    """
    if len(wanted) > _LONGEST or "\\" in wanted or any(ord(c) <= 32 or ord(c) == 127 for c in wanted):
        return HOME
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or "//" in parts.path or not is_own(parts.path) or parts.path == "/":
        return HOME
    if "/." in parts.path or parts.path in (LOG_IN, LOG_OUT, THEME) or parts.path.startswith(STATIC):
        return HOME
    return parts.path + (f"?{parts.query}" if parts.query else "")
