"""The links of a simple tracker, for comparison: the facts as JSON, squeezed by zlib, in base64url; readable, unsigned.

This is what sparkyPMTATracking, a tracker for the same mail servers written in Go, puts behind its domain: an object
with `act` (c, o, i), `t_url`, `msg_id` and `rcpt`. Our own code, made from its public description and examples. Go's
zlib ends with an empty block of its own, so its results are some octets longer than Python's; the block is added here
too, and the one published example comes out two octets shorter than it is.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.links.token import LinkContext

CLICK, OPEN, INITIAL_OPEN = "c", "o", "i"
MESSAGE_ID = "0000a1b2c3d4e5f60718"
"""20 hexadecimal digits, as that tracker makes them."""
INITIAL_OPEN_MARKUP = 259
"""Octets of its image at the start of the body without the URL: it stands in a hidden `div`."""
OPEN_MARKUP = 52
"""Octets of its image at the end without the URL."""


def peer_url(base: str, action: str, recipient: str, target: str = "") -> bytes:
    """The peer's URL with the facts that it carries."""
    return _url(base, {"act": action, "t_url": target, "msg_id": MESSAGE_ID, "rcpt": recipient})


def peer_url_with_our_facts(base: str, action: str, of: LinkContext, target: str = "", name: str = "") -> bytes:
    """What the same format would take for all that our links carry; names as short as the peer's."""
    facts = {
        "act": action,
        "t_url": target,
        "t_name": name,
        "msg_id": of.message_id,
        "tr_id": str(of.transmission_id),
        "cust": of.customer_id,
        "sent": of.sent,
        "exp": of.expires,
        "rcpt": of.recipient,
        "camp": of.campaign_id,
        "tags": of.tags,
        "meta": json.loads(of.metadata) if of.metadata else None,
    }
    return _url(base, {key: value for key, value in facts.items() if value or key == "t_url"})


def _url(base: str, facts: Mapping[str, object]) -> bytes:
    text = json.dumps(facts, separators=(",", ":"))
    for character in "&<>":  # as Go's encoder writes them
        text = text.replace(character, f"\\u{ord(character):04x}")
    compressor = zlib.compressobj()
    block = compressor.compress(text.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH) + compressor.flush()
    return base.encode("ascii") + base64.urlsafe_b64encode(block)
