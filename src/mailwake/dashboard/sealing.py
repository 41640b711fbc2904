"""Cookies that only this site can make or read, and tokens that tell a form of ours from anybody else's.

Both are under keys of their own, from the dashboard's secret. A sealed value is encrypted and authenticated together
with its purpose, by AES-SIV, which holds whatever is sealed twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LONGEST = 1000
"""Characters of a sealed value that are looked at; ours are shorter."""


class Sealer:
    """Seals and opens values with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(hashlib.sha512(b"mailwake dashboard seal\0" + secret).digest())
        self._forms = hashlib.sha256(b"mailwake dashboard form\0" + secret).digest()

    def seal(self, purpose: str, value: msgspec.Struct) -> str:
        """The value as text for a cookie."""
        return _text(self._cipher.encrypt(msgspec.msgpack.encode(value), [purpose.encode()]))

    def open(self, purpose: str, text: str, kind: type[T]) -> T | None:
        """The value of `text`; None when it was not sealed here for this purpose."""
        try:
            octets = self._cipher.decrypt(_octets(text), [purpose.encode()])
            return msgspec.msgpack.decode(octets, type=kind)
        except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError):
            return None

    def form_token(self, *bound_to: bytes) -> str:
        """A token for forms, which holds for nobody who is not bound to the same."""
        keyed = hmac.new(self._forms, digestmod=hashlib.sha256)
        for each in bound_to:
            keyed.update(len(each).to_bytes(4, "big") + each)
        return _text(keyed.digest())


same: Callable[[bytes, bytes], bool] = hmac.compare_digest
"""Whether two secrets are equal, in a time that tells nothing."""


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    if len(text) > LONGEST or not text.isascii():
        raise ValueError
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
