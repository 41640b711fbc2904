"""The PROXY protocol's header (HAProxy's proxy-protocol.txt), by which a load balancer says who its client is.

The octets that have come go in; out comes the header, or None while some of it is missing, or ProxyHeaderError. The
checksum and the other TLVs of version 2 are skipped, which the document leaves to the receiver (§2.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from mailwake.config.networks import parse_client
from mailwake.errors import MailwakeError

V1_OCTETS = 107
"""The longest line of version 1, with its CRLF (§2.1)."""

_V1_START = b"PROXY "
_V2_START = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED = 16
_PORT = r"(0|[1-9][0-9]{0,4})"
_V1_LINE = re.compile(rf"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) {_PORT} {_PORT}")
_LOCAL, _PROXY = 0, 1
_UNSPECIFIED, _IPV4, _IPV6, _UNIX = range(4)
_STREAM = 1


class ProxyHeaderError(MailwakeError):
    """What came is no PROXY header, whatever may follow; the connection must be closed (§2.1)."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """One header: the client that it names, and how many octets it took."""

    address: str
    """The client's IP address; "" where the connection's own holds (LOCAL, UNKNOWN)."""
    port: int
    octets: int


def parse_proxy_header(octets: bytes | bytearray, longest: int) -> ProxyHeader | None:
    """The header at the beginning of `octets`, None while it is not whole; ProxyHeaderError as early as can be told.

    `longest` bounds version 2's length field, addresses and TLVs together. Octets after the header are the client's.
    """
    if _begins(octets, _V1_START):
        return _parse_v1(octets)
    if _begins(octets, _V2_START):
        return _parse_v2(octets, longest)
    raise ProxyHeaderError(f"no PROXY header but {bytes(octets[:20])!r}")


def _begins(octets: bytes | bytearray, start: bytes) -> bool:
    return start.startswith(bytes(octets[: len(start)]))


def _parse_v1(octets: bytes | bytearray) -> ProxyHeader | None:
    end = octets.find(b"\r\n", 0, V1_OCTETS)
    if end < 0:
        if len(octets) >= V1_OCTETS or b"\n" in octets:
            raise ProxyHeaderError(f"a PROXY line without its end: {bytes(octets[:V1_OCTETS])!r}")
        return None
    line = octets[:end].decode("latin-1")
    # "The receiver must ignore anything presented before the CRLF" (§2.1).
    if line == "PROXY UNKNOWN" or line.startswith("PROXY UNKNOWN "):
        return ProxyHeader("", 0, end + 2)
    found = _V1_LINE.fullmatch(line)
    if found is None or int(found[4]) > 65535 or int(found[5]) > 65535:
        raise ProxyHeaderError(f"not a PROXY line: {line!r}")
    source, _ = (_v1_address(found[1], text) for text in (found[2], found[3]))
    return ProxyHeader(source, int(found[4]), end + 2)


def _v1_address(family: str, text: str) -> str:
    try:
        return _shown(IPv4Address(text) if family == "TCP4" else IPv6Address(text))
    except ValueError:
        raise ProxyHeaderError(f"not an address of {family}: {text!r}") from None


def _parse_v2(octets: bytes | bytearray, longest: int) -> ProxyHeader | None:
    if len(octets) < _V2_FIXED:
        return None
    version, command = divmod(octets[12], 16)
    length = int.from_bytes(octets[14:16], "big")
    if version != 2 or command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"PROXY version and command 0x{octets[12]:02x} are not known")
    if length > longest:
        raise ProxyHeaderError(f"a PROXY header of {length} octets; at most {longest} are read")
    if len(octets) < _V2_FIXED + length:
        return None
    source = _v2_source(octets[13], bytes(octets[_V2_FIXED : _V2_FIXED + length])) if command == _PROXY else None
    address, port = source or ("", 0)
    return ProxyHeader(address, port, _V2_FIXED + length)


def _v2_source(kind: int, block: bytes) -> tuple[str, int] | None:
    """The source's address and port, None where there is none that means something here."""
    family, transport = divmod(kind, 16)
    if family > _UNIX or transport > 2:
        raise ProxyHeaderError(f"PROXY address family and transport 0x{kind:02x} are not known")
    if _UNSPECIFIED in (family, transport) or family == _UNIX:
        return None
    if transport != _STREAM:
        raise ProxyHeaderError("no connection comes in datagrams")
    size = 4 if family == _IPV4 else 16
    if len(block) < 2 * size + 4:
        raise ProxyHeaderError(f"a PROXY header with {len(block)} octets of addresses, which need {2 * size + 4}")
    address = IPv4Address(block[:4]) if family == _IPV4 else IPv6Address(block[:16])
    return _shown(address), int.from_bytes(block[2 * size : 2 * size + 2], "big")


def _shown(address: IPv4Address | IPv6Address) -> str:
    """As sockets' addresses are shown: an IPv4-mapped one as IPv4."""
    return str(parse_client(str(address)))
