import ipaddress
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailwake.transport.proxy_header import ProxyHeader, ProxyHeaderError, parse_proxy_header

LONGEST = 4096
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SSL_TLV = b"\x20\x00\x05\x01\x00\x00\x00\x00"


def v2(command: int, kind: int, block: bytes, *, length: int | None = None) -> bytes:
    return (
        SIGNATURE + bytes([0x20 | command, kind]) + struct.pack("!H", len(block) if length is None else length) + block
    )


def tcp4(source: str = "192.0.2.1", port: int = 4711) -> bytes:
    packed = (ipaddress.IPv4Address(each).packed for each in (source, "198.51.100.1"))
    return b"".join(packed) + struct.pack("!HH", port, 25)


def tcp6(source: str = "2001:db8::1", port: int = 4711) -> bytes:
    packed = (ipaddress.IPv6Address(each).packed for each in (source, "2001:db8::2"))
    return b"".join(packed) + struct.pack("!HH", port, 25)


GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n", "192.0.2.1", 4711),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255", 65535),
    (b"PROXY TCP6 2001:DB8::1 2001:db8::2 0 25\r\n", "2001:db8::1", 0),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", "192.0.2.1", 1),
    (b"PROXY UNKNOWN\r\n", "", 0),
    (b"PROXY UNKNOWN anything \xff at all\r\n", "", 0),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", "", 0),
    (v2(1, 0x11, tcp4()), "192.0.2.1", 4711),
    (v2(1, 0x11, tcp4() + SSL_TLV), "192.0.2.1", 4711),
    (v2(1, 0x11, tcp4() + b"no TLV at all"), "192.0.2.1", 4711),
    (v2(1, 0x21, tcp6()), "2001:db8::1", 4711),
    (v2(1, 0x21, tcp6("::ffff:192.0.2.1")), "192.0.2.1", 4711),
    (v2(0, 0x00, b""), "", 0),
    (v2(0, 0x11, tcp4()), "", 0),
    (v2(0, 0xFF, b"ignored"), "", 0),
    (v2(1, 0x00, b""), "", 0),
    (v2(1, 0x10, tcp4()), "", 0),
    (v2(1, 0x01, b""), "", 0),
    (v2(1, 0x31, b"/" * 216), "", 0),
    (v2(1, 0x11, tcp4() + b"\4" * (LONGEST - 12)), "192.0.2.1", 4711),
]


@pytest.mark.parametrize(("octets", "address", "port"), GOOD)
def test_a_header_is_the_same_whole_byte_by_byte_and_with_octets_behind_it(
    octets: bytes, address: str, port: int
) -> None:
    expected = ProxyHeader(address, port, len(octets))
    assert parse_proxy_header(octets, LONGEST) == expected
    for behind in (b"EHLO x\r\n", b"\r\n", b"PROXY UNKNOWN\r\n", octets):
        assert parse_proxy_header(octets + behind, LONGEST) == expected
    for end in range(len(octets)):
        assert parse_proxy_header(bytearray(octets[:end]), LONGEST) is None


BAD = {
    "another protocol": b"EHLO x\r\n",
    "in small letters": b"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "no space": b"PROXYTCP4",
    "two spaces": b"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "space at the end": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
    "tab": b"PROXY TCP4\t192.0.2.1 198.51.100.1 1 2\r\n",
    "bare LF": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
    "nothing": b"PROXY \r\n",
    "datagrams": b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
    "the other family": b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    "the other family, 6": b"PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
    "mixed families": b"PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n",
    "leading zero in the address": b"PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
    "leading zero in the port": b"PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
    "port": b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n",
    "other port": b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
    "no ports": b"PROXY TCP4 192.0.2.1 198.51.100.1\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "UNKNOWN and more": b"PROXY UNKNOWNS\r\n",
    "108 octets": b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    "107 octets without an end": b"PROXY UNKNOWN " + b"f" * 93,
    "signature": SIGNATURE[:-1] + b"\r",
    "version": SIGNATURE + b"\x11\x11\x00\x0c" + tcp4(),
    "command": SIGNATURE + b"\x22\x11\x00\x0c" + tcp4(),
    "family": v2(1, 0x41, tcp4()),
    "transport": v2(1, 0x13, tcp4()),
    "UDP": v2(1, 0x12, tcp4()),
    "short addresses": v2(1, 0x11, tcp4()[:-1]),
    "short addresses, 6": v2(1, 0x21, tcp6()[:-1]),
    "length": v2(1, 0x11, b"", length=LONGEST + 1),
    "length of LOCAL": v2(0, 0x00, b"", length=LONGEST + 1),
}


@pytest.mark.parametrize("octets", BAD.values(), ids=BAD.keys())
def test_what_is_no_header_stays_none_whatever_follows(octets: bytes) -> None:
    with pytest.raises(ProxyHeaderError):
        parse_proxy_header(octets, LONGEST)
    with pytest.raises(ProxyHeaderError):
        parse_proxy_header(octets + b"PROXY UNKNOWN\r\n", LONGEST)
    for end in range(len(octets)):
        try:
            assert parse_proxy_header(octets[:end], LONGEST) is None
        except ProxyHeaderError:
            break  # it may be told before the end, but never be a header on the way


STARTS = st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x0c"])


@given(st.builds(bytes.__add__, STARTS, st.binary(max_size=200)), st.integers(0, 300))
@example(b"PROXY TCP6 1:2:3:4:5:6:7:8 1::8 1 2\r\nEHLO", 0)
def test_any_octets_give_a_header_or_its_error_and_never_another_answer_later(octets: bytes, longest: int) -> None:
    answers: list[ProxyHeader | str] = []
    for end in range(len(octets) + 1):
        try:
            header = parse_proxy_header(octets[:end], longest)
        except ProxyHeaderError:
            answers.append("error")
            continue
        if header is not None:
            assert header.octets <= end
            answers.append(header)
        else:
            assert not answers
            assert end < max(107, 16 + longest)
    assert len(set(map(str, answers))) <= 1


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=50), st.binary(max_size=20))
def test_both_versions_name_the_same_client(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, more: bytes, behind: bytes
) -> None:
    shown = address.ipv4_mapped if address.version == 6 and address.ipv4_mapped else address
    line = f"PROXY TCP{address.version} {address} {address} {port} 25\r\n".encode()
    addresses = address.packed * 2 + struct.pack("!HH", port, 25)
    binary = v2(1, 0x11 if address.version == 4 else 0x21, addresses + more)
    for octets in (line, binary):
        assert parse_proxy_header(octets + behind, LONGEST) == ProxyHeader(str(shown), port, len(octets))
