"""SMTP AUTH accounts: checking a password against its hash without stopping the worker."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$M27jkiwYWGfKXopwAshLJQ$OwK0h8WuUFrVJpKNIbIeH/ipGmEetCpeD8fMiLX+kkk"
"""Checked for unknown names, so that they take as long as known ones."""


@dataclass(frozen=True, slots=True)
class Account:
    """A sender: the hash of its password (argon2 or `$scrypt$…`), and the customer its mail belongs to."""

    name: str
    password_hash: str
    """"" where no password will do."""
    customer_id: str
    certificates: Sequence[str] = ()
    """SHA-256 fingerprints of client certificates that stand for it."""


class Accounts:
    """The configured accounts. Successful checks are remembered for the life of the process.

    What is remembered is a keyed digest under a random key, never the password: senders open many connections, and a
    password hash costs some 30 ms and 19 MB by design.
    """

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts
        self._owners = {each: account for account in accounts.values() for each in account.certificates}
        self._key = os.urandom(32)
        self._known_good: dict[str, bytes] = {}
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def find(self, name: str) -> Account | None:
        """The account of this name; that the client is its owner has to be known from elsewhere."""
        return self._accounts.get(name)

    def owner_of(self, fingerprint: str) -> Account | None:
        """The account that a client certificate stands for; that it was verified has to be known from elsewhere."""
        return self._owners.get(fingerprint)

    @property
    def have_passwords(self) -> bool:
        """Whether AUTH can succeed at all."""
        return any(account.password_hash for account in self._accounts.values())

    async def check(self, name: str, password: str) -> Account | None:
        """The account whose name and password these are, or None."""
        account = self._accounts.get(name)
        digest = hmac.digest(self._key, f"{name}\0{password}".encode(), "sha256")
        if account is not None and hmac.compare_digest(self._known_good.get(name, b""), digest):
            return account
        if account is not None and not account.password_hash:
            account = None
        stored = account.password_hash if account else _NOBODY
        loop = asyncio.get_running_loop()
        matches = await loop.run_in_executor(self._threads, verify_password, stored, password)
        if account is None or not matches:
            return None
        self._known_good[name] = digest
        return account

    def close(self) -> None:
        """Let the thread end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def verify_password(stored: str, password: str) -> bool:
    """Whether `password` fits the hash: argon2 in its usual text form, or `$scrypt$ln=14,r=8,p=1$salt$hash`."""
    if stored.startswith("$scrypt$"):
        return _verify_scrypt(stored, password)
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _verify_scrypt(stored: str, password: str) -> bool:
    from base64 import b64decode

    try:
        _, _, settings, salt, expected = stored.split("$")
        cost = dict(part.split("=") for part in settings.split(","))
        log_n, block, parallel = int(cost["ln"]), int(cost["r"]), int(cost["p"])
        wanted = b64decode(expected + "=" * (-len(expected) % 4))
        found = hashlib.scrypt(
            password.encode(),
            salt=b64decode(salt + "=" * (-len(salt) % 4)),
            n=1 << log_n,
            r=block,
            p=parallel,
            dklen=len(wanted),
            maxmem=256 << 20,
        )
    except (ValueError, KeyError):
        return False
    return hmac.compare_digest(found, wanted)
