"""What a configuration says about privacy, made ready for use; and the secret of recipients' hashes on disk."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import stat
from typing import TYPE_CHECKING

from mailwake.durable_names import sync_directory
from mailwake.errors import StartupError
from mailwake.events.privacy import SECRET_OCTETS, EventPrivacy, RecipientHash

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.config.privacy_settings import Privacy
    from mailwake.service.data_directory import DataDirectory


def event_privacy(privacy: Privacy, data: DataDirectory) -> EventPrivacy:
    """What is applied to events; StartupError, one line, when the secret cannot be read."""
    hashing = recipient_hash(privacy, data) if privacy.recipients == "hashed" else None
    return EventPrivacy(privacy.ip_addresses, hashing)


def recipient_hash(privacy: Privacy, data: DataDirectory) -> RecipientHash:
    """The site's hash of recipients, whether events have it or not; its secret is made where there is none yet."""
    return RecipientHash(privacy.hash_secret or load_or_create_secret(data.recipient_secret))


def load_or_create_secret(path: Path, *, loses: str = "every hash") -> bytes:
    """The secret in this file; several processes may call this at once. StartupError says what to do.

    `loses` names what is lost with it.
    """
    try:
        if not path.exists():
            _create(path)
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(1024)
    except OSError as error:
        raise StartupError(f"{path}: {error.strerror}; mend the rights or free space") from None
    if mode & 0o077:
        raise StartupError(f"{path}: others may read the secret (mode {mode:04o}); run: chmod 600 {path}")
    with contextlib.suppress(binascii.Error, ValueError):
        secret = base64.b64decode(content.strip(), validate=True)
        if len(secret) == SECRET_OCTETS:
            return secret
    raise StartupError(
        f"{path}: holds no {SECRET_OCTETS} octets in base64; restore it from a backup, or remove it and lose {loses}"
    )


def _create(path: Path) -> None:
    # A complete file is linked into place, so that of several processes one wins and nobody reads half of it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(SECRET_OCTETS)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
            sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
