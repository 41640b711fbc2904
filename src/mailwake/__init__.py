"""mailwake: engagement tracking for mail that is sent over SMTP.

As a library it is one function, `track`, and the types that it takes and gives; they keep to semantic versioning, and
nothing else in the package is meant for others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailwake.library.settings import TrackError, TrackSettings
    from mailwake.library.tracked_message import TrackedLink, TrackedMessage
    from mailwake.library.tracking import read_keys, track
    from mailwake.links.keyring import Key, Keyring, KeyringError
    from mailwake.rewrite.settings import RewriteSettings
    from mailwake.rewrite.top_parts import SkippedPart

__version__ = "0.1.0.dev0"

__all__ = [
    "Key",
    "Keyring",
    "KeyringError",
    "RewriteSettings",
    "SkippedPart",
    "TrackError",
    "TrackSettings",
    "TrackedLink",
    "TrackedMessage",
    "__version__",
    "read_keys",
    "track",
]

# Imported when asked for: the service's own processes need none of them from here.
_HOMES = {
    "Key": "mailwake.links.keyring",
    "Keyring": "mailwake.links.keyring",
    "KeyringError": "mailwake.links.keyring",
    "RewriteSettings": "mailwake.rewrite.settings",
    "SkippedPart": "mailwake.rewrite.top_parts",
    "TrackError": "mailwake.library.settings",
    "TrackSettings": "mailwake.library.settings",
    "TrackedLink": "mailwake.library.tracked_message",
    "TrackedMessage": "mailwake.library.tracked_message",
    "read_keys": "mailwake.library.tracking",
    "track": "mailwake.library.tracking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mailwake' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
