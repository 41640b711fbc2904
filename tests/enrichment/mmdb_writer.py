"""A small writer of databases in MaxMind's format (https://maxmind.github.io/MaxMind-DB/), for tests.

Record size 24 bits, IPv6 tree; strings, maps, arrays, doubles, unsigned integers. No pointers: nothing here is large.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

_METADATA_MARKER = b"\xab\xcd\xefMaxMind.com"
_TYPES = {"string": 2, "double": 3, "uint16": 5, "uint32": 6, "map": 7, "uint64": 9, "array": 11}
_NONE = -1


def write_mmdb(entries: dict[str, Any], *, ip_version: int = 6, database_type: str = "Test-City") -> bytes:
    """The octets of a database with these networks and their values."""
    nodes: list[list[int]] = [[_NONE, _NONE]]  # a child is a node's number, or -2 - the number of a value
    values: list[Any] = []
    for text, value in entries.items():
        _insert(nodes, ipaddress.ip_network(text), -2 - len(values), ip_version)
        values.append(value)
    data, offsets = b"", []
    for value in values:
        offsets.append(len(data))
        data += _encode(value)
    tree = b"".join(_record(child, len(nodes), offsets) for node in nodes for child in node)
    metadata = {
        "binary_format_major_version": ("uint16", 2),
        "binary_format_minor_version": ("uint16", 0),
        "build_epoch": ("uint64", 1_790_000_000),
        "database_type": database_type,
        "description": {"en": "made by a test"},
        "ip_version": ("uint16", ip_version),
        "languages": ["en"],
        "node_count": ("uint32", len(nodes)),
        "record_size": ("uint16", 24),
    }
    return tree + bytes(16) + data + _METADATA_MARKER + _encode(metadata)


def _insert(
    nodes: list[list[int]], network: ipaddress.IPv4Network | ipaddress.IPv6Network, value: int, ip_version: int
) -> None:
    bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
    if network.version == 4 and ip_version == 6:
        bits = "0" * 96 + bits
    node = 0
    for bit in bits[:-1]:
        child = nodes[node][int(bit)]
        if child == _NONE:
            nodes.append([_NONE, _NONE])
            child = nodes[node][int(bit)] = len(nodes) - 1
        node = child
    nodes[node][int(bits[-1])] = value


def _record(child: int, node_count: int, offsets: list[int]) -> bytes:
    number = child if child >= 0 else node_count if child == _NONE else node_count + 16 + offsets[-2 - child]
    return number.to_bytes(3, "big")


def _encode(value: Any) -> bytes:
    if isinstance(value, dict):
        return _control("map", len(value)) + b"".join(_encode(key) + _encode(inner) for key, inner in value.items())
    if isinstance(value, list):
        return _control("array", len(value)) + b"".join(map(_encode, value))
    if isinstance(value, str):
        octets = value.encode()
        return _control("string", len(octets)) + octets
    if isinstance(value, float):
        return _control("double", 8) + struct.pack(">d", value)
    kind, number = value if isinstance(value, tuple) else ("uint32", value)
    octets = int(number).to_bytes((number.bit_length() + 7) // 8, "big")
    return _control(kind, len(octets)) + octets


def _control(kind: str, size: int) -> bytes:
    number = _TYPES[kind]
    first, extended = (number << 5, b"") if number <= 7 else (0, bytes((number - 7,)))
    if size < 29:
        return bytes((first | size,)) + extended
    return bytes((first | 29,)) + extended + bytes((size - 29,))
