"""The length of tokens and the time to make and open one.

    benchmarks/tokens

Three links: one without metadata, one with 200 bytes of metadata and three tags, one with a target of 300 bytes; and an
open. Lengths are characters of the token; the URL adds scheme, domain and path. Beside them what a simple tracker puts
into its links, with the few facts that it carries and with ours (benchmarks/peer_links.py): neither secret nor signed.
"""

from __future__ import annotations

import json
import os
from functools import partial

from benchmarks import peer_links
from benchmarks.machine import describe_machine
from benchmarks.timing import microseconds

from mailwake.links.keyring import Keyring
from mailwake.links.token import LinkContext, LinkKind, TokenCodec, message_id

TRANSMISSION = 250_134_154_748_526_592
SENT = 1_795_326_222
SHORT = "https://www.example.com/products/spring-collection?utm_source=newsletter&utm_medium=email"
LONG = SHORT + "&q=" + "".join(f"{n * 7919 % 65521:04x}-" for n in range(50))[: 300 - len(SHORT) - 3]
METADATA = json.dumps(
    {"customer": "4711", "order": "A-2026-11-0815", "text": ("the quick brown fox " * 8)[:146]}, separators=(",", ":")
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


def main() -> None:
    print(describe_machine())
    codec = TokenCodec(Keyring.new(os.urandom, 0))
    cases = [
        ("no metadata", LinkKind.CLICK, context(), SHORT),
        (
            "200 bytes of metadata, 3 tags",
            LinkKind.CLICK,
            context(METADATA, ("news", "spring", "vip")),
            SHORT,
        ),
        ("a target of 300 bytes", LinkKind.CLICK, context(), LONG),
        ("open", LinkKind.OPEN, context(), ""),
    ]
    print(f"{'':<32} token   peer, its facts   peer, our facts   µs to make   µs to open")
    for name, kind, of, target in cases:
        packed = codec.pack_context(of)
        token = codec.encode(kind, packed, target)
        opened = codec.decode(token.decode(), kind.family)
        assert opened.target == target
        action = peer_links.CLICK if target else peer_links.OPEN
        few = len(peer_links.peer_url("", action, of.recipient, target))
        all_of_ours = len(peer_links.peer_url_with_our_facts("", action, of, target))
        making = microseconds(partial(codec.encode, kind, packed, target), times=3000)
        opening = microseconds(partial(codec.decode, token.decode(), kind.family), times=3000)
        print(f"{name:<32} {len(token):>5} {few:>17} {all_of_ours:>17} {making:>12.1f} {opening:>12.1f}")


if __name__ == "__main__":
    main()
