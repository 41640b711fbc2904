"""Room for as many open connections as the settings allow."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailwake.logs import Logger

SPARE: Final = 256
"""Descriptors for files, and for connections that are about to go."""


def connections_within(wanted: int, log: Logger) -> int:
    """As many connections as wanted, or as the system's limit of open files lets there be; that is raised first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    possible = max(soft - SPARE, soft // 2)
    log.warning("open files limit the connections", wanted=wanted, connections=possible)
    return possible
