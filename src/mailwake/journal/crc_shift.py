"""CRC-32 of any part of a stretch out of the CRCs of its beginnings, in constant time whatever the part's length.

With the arithmetic of CRC-32 (polynomials over GF(2), modulo the generator) crc(AB) = crc(A)·x^(8·|B|) + crc(B). So
two running sums and one product give crc(B), and no octet is read twice for it.
"""

from __future__ import annotations

from functools import cache

_GENERATOR = 0xEDB88320  # bits reversed, as zlib has it: the highest bit is x^0
_ONE = 1 << 31
_LOW = 10
_LOW_SIZE = 1 << _LOW


def part_crc(before: int, through: int, octets: int) -> int:
    """The CRC-32 of a part of `octets` octets, less than 2²⁰ of them.

    `before` and `through` are zlib's sums of all that stands before the part, and of that with it.
    """
    return through ^ _times(before, _octet_power(octets))


def _times(a: int, b: int) -> int:
    # a·b modulo the generator, bit by bit from x^0 up.
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFF
        b = (b >> 1) ^ _GENERATOR if b & 1 else b >> 1
    return product


def _octet_power(octets: int) -> int:
    # x^(8·octets) modulo the generator.
    high = octets >> _LOW
    return _times(_powers(8)[octets & (_LOW_SIZE - 1)], _powers(8 << _LOW)[high]) if high else _powers(8)[octets]


@cache
def _powers(bits: int) -> list[int]:
    # x^0, x^bits, x^(2·bits)…, _LOW_SIZE of them.
    step, square, exponent = _ONE, _ONE >> 1, bits
    while exponent:
        if exponent & 1:
            step = _times(step, square)
        square, exponent = _times(square, square), exponent >> 1
    powers = [_ONE]
    while len(powers) < _LOW_SIZE:
        powers.append(_times(powers[-1], step))
    return powers
