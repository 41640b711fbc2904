"""The kinds of values that settings have: each says what it allows, reads TOML values and bare text, and shows itself.

A kind's `read` takes what tomllib gives and raises ValueError, whose text is one clause: what is allowed instead.
"""

from __future__ import annotations

import binascii
import re
import tomllib
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mailwake.config.durations import parse_duration, parse_size, show_duration, show_size
from mailwake.config.networks import parse_network

_HOST = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_HASH = re.compile(
    r"\$(?:argon2id?\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+|scrypt\$ln=[0-9]+,r=[0-9]+,p=[0-9]+)"
    r"\$[A-Za-z0-9+/.]+={0,2}\$[A-Za-z0-9+/.]+={0,2}"
)
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]")


def show_text(text: object) -> str:
    """`text` as a TOML basic string."""
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    escaped = "".join(
        c if c.isprintable() else f"\\u{ord(c):04X}" if ord(c) < 0x10000 else f"\\U{ord(c):08X}" for c in escaped
    )
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: `name` for documentation, `allowed` for documentation and errors, and its conversions."""

    name: str
    allowed: str
    read: Callable[[Any], Any]
    """From a TOML value to the typed one; ValueError when it is not allowed."""
    from_text: Callable[[str], Any] = str
    """From bare text (`--set NAME=text`) to the TOML value that `read` takes; ValueError when it cannot be one."""
    show: Callable[[Any], str] = show_text
    """From the typed value to TOML text."""
    hidden: bool = False
    """Whether the value is a secret that no error and no listing may show."""


def _flag_from_text(text: str) -> Any:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    return words.get(text.strip().lower(), text)


def _number_from_text(text: str) -> Any:
    stripped = text.strip().replace("_", "")
    return int(stripped) if re.fullmatch(r"-?[0-9]{1,18}", stripped) else text


def _items_from_text(text: str) -> Any:
    if text.lstrip().startswith("["):
        try:
            return tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError:
            return text
    return [item.strip() for item in text.split(",") if item.strip()]


def _show_octets(value: int) -> str:
    shown = show_size(value)
    return shown if shown.isdigit() else show_text(shown)


def flag() -> Kind:
    """True or false."""

    def read(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Kind("boolean", "true or false", read, _flag_from_text, lambda value: "true" if value else "false")


def integer(minimum: int, maximum: int) -> Kind:
    """A whole number within limits, both included."""

    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ValueError
        return value

    return Kind("integer", f"a whole number from {minimum} to {maximum}", read, _number_from_text, str)


def fraction() -> Kind:
    """A number from 0 to 1."""

    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ValueError
        return float(value)

    return Kind("fraction", "a number from 0 to 1", read, _number_or_fraction_from_text, str)


def _number_or_fraction_from_text(text: str) -> Any:
    return float(text) if re.fullmatch(r"[0-9]{0,9}\.[0-9]{1,18}", text.strip()) else _number_from_text(text)


def size(minimum: int, maximum: int) -> Kind:
    """A number of octets."""

    def read(value: Any) -> int:
        octets = parse_size(value) if isinstance(value, str) else value
        if isinstance(octets, bool) or not isinstance(octets, int) or not minimum <= octets <= maximum:
            raise ValueError
        return octets

    allowed = (
        f'octets, as a whole number or text like "30MiB" or "500kB", from {show_size(minimum)} to {show_size(maximum)}'
    )
    return Kind("size", allowed, read, _number_from_text, _show_octets)


def duration(minimum: float, maximum: float, *, whole: bool = False) -> Kind:
    """A length of time in seconds; `whole` allows no fractions."""

    def read(value: Any) -> float:
        seconds = parse_duration(value) if isinstance(value, str) else value
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not minimum <= seconds <= maximum:
            raise ValueError
        if whole and not isinstance(seconds, int):
            raise ValueError
        return seconds

    number = "a whole number" if whole else "a number"
    limits = f"from {show_duration(minimum)} to {show_duration(maximum)}"
    allowed = f'seconds, as {number} or text like "90s", "5m", "4h", "5d", {limits}'
    return Kind("duration", allowed, read, str, lambda value: show_text(show_duration(value)))


def text(*, pattern: str = r"[^\x00-\x1f\x7f]+", allowed: str = "text on one line, not empty") -> Kind:
    """Text that matches a pattern."""
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError
        return value

    return Kind("text", allowed, read)


def choice(*names: str) -> Kind:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    words = [f'"{name}"' for name in names]
    return Kind("choice", " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0], read)


def path() -> Kind:
    """A file or directory; a relative one is taken from the directory that mailwake was started in."""

    def read(value: Any) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        return Path(value)

    return Kind("path", "a path; a relative one starts where mailwake was started", read)


def is_host(value: str) -> bool:
    """Whether `value` is a host name, an IPv4 address or a bracketed IPv6 address."""
    return len(value) <= 253 and bool(_HOST.fullmatch(value) or _BRACKETED.fullmatch(value))


def host() -> Kind:
    """A host name."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not is_host(value):
            raise ValueError
        return value

    return Kind("host", "a host name", read)


def is_authority(value: str) -> bool:
    """Whether `value` is `host` or `host:port`, as it stands in a URL (RFC 3986 §3.2 without user information)."""
    bare, colon, port = value.rpartition(":") if not value.endswith("]") else (value, "", "")
    if not colon:
        return is_host(value)
    return is_host(bare) and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536 and len(port) <= 5


def authority() -> Kind:
    """A host with or without a port, as in a URL."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not is_authority(value):
            raise ValueError
        return value

    return Kind("host[:port]", 'a host, or host and port, like "track.example.com" (no scheme, no path)', read)


def normal_address(value: str) -> str:
    """`host:port`, `[ipv6]:port` or `:port` (every interface) in one form; ValueError when it is none of them."""
    bare, colon, port = value.strip().rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        raise ValueError
    if bare and not is_host(bare):
        raise ValueError
    return f"{bare.lower()}:{int(port)}"


def address(*, allowed: str = 'HOST:PORT, like "127.0.0.1:2525" or "[::1]:2525"') -> Kind:
    """Where to listen or connect to."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        return normal_address(value)

    return Kind("address", allowed, read)


UNIX_PREFIX = "unix:"
_LONGEST_UNIX_PATH = 107
"""Octets; the system's own limit."""


def normal_listen_address(value: str) -> str:
    """As `normal_address`, or `unix:` and an absolute path, which stays as it is."""
    if not value.startswith(UNIX_PREFIX):
        return normal_address(value)
    unix_path = value.removeprefix(UNIX_PREFIX)
    if not unix_path.startswith("/") or unix_path.endswith("/") or not unix_path.isprintable():
        raise ValueError
    if len(unix_path.encode()) > _LONGEST_UNIX_PATH:
        raise ValueError
    return value


def listen_address() -> Kind:
    """Where SMTP may be served: a TCP address, or a Unix socket."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        return normal_listen_address(value)

    allowed = (
        'HOST:PORT, like "127.0.0.1:2525" or "[::1]:2525", or unix: and an absolute path of at most '
        f'{_LONGEST_UNIX_PATH} octets, like "unix:/run/mailwake/smtp.sock"'
    )
    return Kind("address", allowed, read)


def next_hop() -> Kind:
    """Where a mail server listens."""
    allowed = (
        'HOST:PORT, like "mail.example.com:25", or unix: and an absolute path of at most '
        f'{_LONGEST_UNIX_PATH} octets, like "unix:/run/dovecot/lmtp"'
    )
    return replace(listen_address(), name="next hop", allowed=allowed)


def file_mode() -> Kind:
    """The permission bits of a file, in octal."""
    allowed = 'three octal digits with or without a leading 0, like "0660"'
    return text(pattern="0?[0-7]{3}", allowed=allowed)


def network() -> Kind:
    """An IP network."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError
        return parse_network(value)

    return Kind("network", 'a network like "10.0.0.0/8" (host bits zero), or one IP address', read)


def password_hash() -> Kind:
    """A hashed password, never a plain one."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not _HASH.fullmatch(value):
            raise ValueError
        return value

    return Kind("password hash", "an argon2 or scrypt hash; make one with `mailwake account hash`", read, hidden=True)


def fingerprint() -> Kind:
    """The SHA-256 fingerprint of a certificate, kept as 64 lower-case digits."""

    def read(value: Any) -> str:
        digits = value.replace(":", "").lower() if isinstance(value, str) else ""
        if not re.fullmatch("[0-9a-f]{64}", digits):
            raise ValueError
        return digits

    allowed = (
        "a SHA-256 fingerprint, 64 hexadecimal digits with or without colons, as "
        "`openssl x509 -in FILE -noout -fingerprint -sha256` prints it"
    )
    return Kind("fingerprint", allowed, read)


def secret(octets: int) -> Kind:
    """A key as base64 text; one that is plainly not random is refused, as it would let anyone make links."""

    def read(value: Any) -> bytes:
        try:
            decoded = b64decode(value, validate=True) if isinstance(value, str) else b""
        except (binascii.Error, ValueError):
            decoded = b""
        if len(decoded) != octets or len(set(decoded)) < octets // 4:
            raise ValueError
        return decoded

    allowed = f"{octets} random octets in base64; make them with `openssl rand -base64 {octets}` (on one line)"
    return Kind("key", allowed, read, hidden=True)


def password() -> Kind:
    """A password in clear, which mailwake itself has to present to another server."""
    return replace(text(), name="password", hidden=True)


def list_of(kind: Kind, *, minimum: int = 0) -> Kind:
    """A list of one kind of value, kept as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) < minimum:
            raise ValueError
        return tuple(kind.read(item) for item in value)

    def show(value: Any) -> str:
        return f"[{', '.join(kind.show(item) for item in value)}]"

    some = "a list" if not minimum else "a list that is not empty"
    return Kind(f"list of {kind.name}", f"{some}, each item {kind.allowed}", read, _items_from_text, show)
