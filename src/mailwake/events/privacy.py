"""What events say of people: whole addresses, parts of them, or hashes that only this site can make."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

HASH_PREFIX = "hashed-"
"""How the local part of a hashed recipient begins, so that nothing is hashed twice."""

HASH_OCTETS = 16
"""128 bits: two people get the same hash once in 10^19 pairs."""

SECRET_OCTETS = 32

_PURPOSE = b"mailwake recipient\0"
_HASHED = re.compile(rf"{HASH_PREFIX}[0-9a-f]{{{2 * HASH_OCTETS}}}(?:@.*)?")
_ADDRESS_IN_TEXT = re.compile(r"[^\s<>()\[\]\"',;:=@]{1,64}@[\w.-]{1,253}\w")
# What Variable Envelope Return Path makes of a recipient in a sender's address: `bounces+ann=example.com@…`
_VERP = re.compile(r"[^\s<>()\[\]\"',;:=@+]{1,64}=[\w.-]{1,253}\w")


def without_names(sender: str) -> str:
    """A sender without the recipient that a list manager may have put into its address (VERP)."""
    return _VERP.sub("", sender) if "=" in sender else sender


IpAddresses = Literal["full", "truncated", "none"]


class RecipientHash:
    """Hashes recipients with a secret of the site's own (HMAC-SHA-256): equal people stay equal, and nobody is named.

    Without the secret a hash cannot even be tried out: addresses are few enough to guess them all.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_OCTETS:
            raise ValueError(f"the secret has {len(secret)} octets, not {SECRET_OCTETS}")
        self._keyed = hmac.new(secret, _PURPOSE, hashlib.sha256)
        self.hashed = lru_cache(maxsize=4096)(self._hashed)
        """`hashed-<32 hex digits>@domain` for an address, whatever its case; what is one already stays as it is."""

    def digest(self, address: str) -> str:
        """The hash of an address in hexadecimal; of one that is hashed already, the hash that it has."""
        local = self.hashed(address).partition("@")[0]
        return local.removeprefix(HASH_PREFIX)

    def without_addresses(self, text: str) -> str:
        """The text with every address in it hashed, as replies of mail servers quote them."""
        if "@" not in text:
            return text
        return _ADDRESS_IN_TEXT.sub(lambda found: self.hashed(found[0]), text)

    def without_verp(self, sender: str) -> str:
        """A sender's address with the recipient hashed that a list manager may have put into it (VERP)."""
        local, at, domain = sender.rpartition("@")
        if "=" not in local:
            return sender
        hidden = _VERP.sub(lambda found: self.hashed(found[0].replace("=", "@")).replace("@", "="), local)
        return hidden + at + domain

    def _hashed(self, address: str) -> str:
        lower = address.lower()
        if not lower or _HASHED.fullmatch(lower):
            return lower
        keyed = self._keyed.copy()
        keyed.update(lower.encode("utf-8", "surrogatepass"))
        _, at, domain = lower.rpartition("@")
        return f"{HASH_PREFIX}{keyed.digest()[:HASH_OCTETS].hex()}{at}{domain if at else ''}"


@lru_cache(maxsize=4096)
def truncated(address: str) -> str:
    """The network of an IP address, /24 or /48, as its first address; "" for what is no IP address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Address(int(parsed) >> 80 << 80))
        parsed = parsed.ipv4_mapped
    return str(ipaddress.IPv4Address(int(parsed) >> 8 << 8))


@dataclass(frozen=True, slots=True)
class EventPrivacy:
    """What a site has chosen; it is applied before anything reaches the disk."""

    ip_addresses: IpAddresses = "full"
    recipients: RecipientHash | None = None
    """None leaves recipients as they are."""

    def ip_address(self, address: str) -> str:
        """What is kept of the address that a request came from."""
        if self.ip_addresses == "full":
            return address
        return truncated(address) if self.ip_addresses == "truncated" else ""

    def recipient(self, address: str) -> str:
        """What stands in events and links in the place of a recipient."""
        return address if self.recipients is None else self.recipients.hashed(address)

    def reply(self, text: str) -> str:
        """What is kept of a mail server's reply, which often names the recipient."""
        return text if self.recipients is None else self.recipients.without_addresses(text)

    def sender(self, address: str) -> str:
        """What is kept of a sender, into whose address list managers put the recipient."""
        return address if self.recipients is None else self.recipients.without_verp(address)


NO_PRIVACY = EventPrivacy()
"""Everything as it is."""
