"""How much room a file system has left for us."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def free_octets(directory: Path) -> int:
    """The octets that can still be written on the file system of `directory`; OSError when it does not say."""
    facts = os.statvfs(directory)
    # Only root may use the last blocks of many file systems, and we are not root.
    return facts.f_bavail * facts.f_frsize if facts.f_favail or not facts.f_files else 0
