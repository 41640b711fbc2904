"""The length of tokens and the time to make and open one.

    benchmarks/tokens

Three links: one without metadata, one with 200 bytes of metadata and three tags, one with a target of 300 bytes; and an
open. Lengths are characters of the token; the URL adds scheme, domain and path. Beside them, the same facts as JSON,
squeezed by zlib and in base64url, which is neither secret nor signed: what simple trackers put into their links.
"""

from __future__ import annotations

import base64
import json
import os
import time
import zlib
from collections.abc import Callable
from functools import partial

from benchmarks.machine import describe_machine

from mailwake.links.keyring import Keyring
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id

TRANSMISSION = 250_134_154_748_526_592
SENT = 1_795_326_222
SHORT = "https://www.example.com/products/spring-collection?utm_source=newsletter&utm_medium=email"
LONG = SHORT + "&q=" + "".join(f"{n * 7919 % 65521:04x}-" for n in range(50))[: 300 - len(SHORT) - 3]
METADATA = json.dumps(
    {"customer": "4711", "order": "A-2026-11-0815", "text": "the quick brown fox " * 7}, separators=(",", ":")
)


def context(metadata: str = "", tags: tuple[str, ...] = ()) -> LinkContext:
    return LinkContext(
        customer_id="acme",
        transmission_id=TRANSMISSION,
        message_id=message_id(TRANSMISSION, 0),
        sent=SENT,
        expires=31_536_000,
        recipient="anna.example@mail.example.org",
        campaign_id="newsletter-47",
        tags=tags,
        metadata=metadata,
    )


def plain_json(of: LinkContext, target: str) -> int:
    """Characters of the same facts as zlib-compressed JSON."""
    facts = {name: getattr(of, name) for name in of.__struct_fields__} | {"target": target}
    return len(
        base64.urlsafe_b64encode(zlib.compress(json.dumps(facts, separators=(",", ":")).encode(), 9)).rstrip(b"=")
    )


def microseconds(act: Callable[[], object], rounds: int = 3000) -> float:
    """The best of several rounds, CPU time a call."""
    best = float("inf")
    for _ in range(7):
        began = time.process_time()
        for _ in range(rounds):
            act()
        best = min(best, (time.process_time() - began) / rounds * 1e6)
    return best


def main() -> None:
    print(describe_machine())
    codec = TokenCodec(Keyring.new(os.urandom, 0))
    cases = [
        ("no metadata", LinkKind.CLICK, context(), SHORT),
        (
            "200 bytes of metadata, 3 tags",
            LinkKind.CLICK,
            context(METADATA[:199] + "}", ("news", "spring", "vip")),
            SHORT,
        ),
        ("a target of 300 bytes", LinkKind.CLICK, context(), LONG),
        ("open", LinkKind.OPEN, context(), ""),
    ]
    print(f"{'':<32} token   zlib JSON   µs to make   µs to open")
    for name, kind, of, target in cases:
        packed = codec.pack_context(of)
        token = codec.encode(kind, packed, target)
        opened = codec.decode(token.decode(), kind.family)
        assert opened.target == target
        making = microseconds(partial(codec.encode, kind, packed, target))
        opening = microseconds(partial(codec.decode, token.decode(), kind.family))
        print(f"{name:<32} {len(token):>5} {plain_json(of, target):>11} {making:>12.1f} {opening:>12.1f}")


if __name__ == "__main__":
    main()
