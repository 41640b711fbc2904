"""The secrets that seal links: each has an id that stands in the token, one of them is used for new links."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailwake.errors import MailwakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SECRET_OCTETS = 64
"""AES-256-SIV takes two 256-bit keys (RFC 5297, section 2.2)."""

KEY_IDS = range(1, 256)
"""A key id is one octet of the token; 0 is kept free."""


class KeyringError(MailwakeError):
    """Keys that cannot be used; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Key:
    """One secret; `created` is Unix seconds, 0 when unknown."""

    id: int
    secret: bytes = field(repr=False)
    created: int = 0

    def __post_init__(self) -> None:
        if self.id not in KEY_IDS:
            raise KeyringError(f"key id {self.id}: must be a number from 1 to 255")
        if len(self.secret) != SECRET_OCTETS:
            raise KeyringError(
                f"key {self.id}: its secret has {len(self.secret)} octets, not {SECRET_OCTETS}; "
                "make one with: openssl rand -base64 64 | tr -d '\\n'"
            )


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys by id, and the id of the one that seals new links; immutable: rotating gives a new keyring."""

    keys: Mapping[int, Key]
    current: int

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise KeyringError(f"the current key is {self.current}, but there is no key of that id")
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))

    @classmethod
    def of(cls, keys: Iterable[Key], current: int | None = None) -> Keyring:
        """A keyring of these keys; without `current`, the last one given seals new links."""
        listed = list(keys)
        if not listed:
            raise KeyringError("there is no key; give at least one")
        by_id = {key.id: key for key in listed}
        if len(by_id) != len(listed):
            raise KeyringError("two keys have the same id; give each its own, from 1 to 255")
        return cls(by_id, listed[-1].id if current is None else current)

    @classmethod
    def new(cls, random_bytes: Callable[[int], bytes], created: int) -> Keyring:
        """A keyring of one fresh key with the id 1."""
        return cls.of([Key(1, random_bytes(SECRET_OCTETS), created)])

    def rotated(self, random_bytes: Callable[[int], bytes], created: int) -> Keyring:
        """The same keys and a fresh one that seals from now on; KeyringError when all 255 ids are taken."""
        after = [key_id for key_id in KEY_IDS if key_id > max(self.keys)]
        unused = after or [key_id for key_id in KEY_IDS if key_id not in self.keys]
        if not unused:
            raise KeyringError("all 255 key ids are taken; remove keys whose links have expired")
        fresh = Key(unused[0], random_bytes(SECRET_OCTETS), created)
        return Keyring({**self.keys, fresh.id: fresh}, fresh.id)


def decode_secret(key_id: int, text: str) -> bytes:
    """The octets of a secret written in base64, standard or URL-safe alphabet; KeyringError when it is neither."""
    standard = text.strip().translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise KeyringError(f"key {key_id}: its secret is not base64") from None
