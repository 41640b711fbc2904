"""Copies made fit for a next hop that does not offer 8BITMIME or BINARYMIME."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from mailwake.metrics import Metrics
from mailwake.rewrite.body_encoding import Domain
from mailwake.rewrite.signatures import signed_by
from mailwake.rewrite.transfer_conversion import ConversionImpossible, Converted, convert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.logs import Logger
    from mailwake.relay.delivery import Copy
    from mailwake.relay.settings import RelaySettings
    from mailwake.smtp.envelope import BodyType

_LARGEST_AT_ONCE = 64 << 10
"""Octets; larger content is converted in a thread (20 ms a megabyte), so that other connections go on."""


class Downgrade:
    """What one next hop gets instead of content that it does not take (RFC 6152 §3, RFC 3030 §3)."""

    def __init__(self, settings: RelaySettings, *, log: Logger, metrics: Metrics | None = None) -> None:
        metrics = metrics or Metrics()
        self._settings = settings
        self._log = log
        self._counters = {to: metrics.counter("copies_downgraded_total", to) for to in ("7bit", "8bit", "refused")}
        self._signatures_broken = metrics.counter("signatures_broken_total")

    def is_needed(self, body: BodyType, pieces: Sequence[bytes], *, eight_bit: bool, binary: bool) -> bool:
        """Whether a hop that offers 8BITMIME (`eight_bit`) and BINARYMIME (`binary`) cannot take this as it is.

        Whatever `body` says, 8-bit content is what has octets beyond ASCII: senders forget to declare it.
        """
        if body == "BINARYMIME":
            return not binary
        if eight_bit or self._settings.without_8bitmime == "send":
            return False
        return not all(map(bytes.isascii, pieces))

    async def fit(self, copy: Copy, *, eight_bit: bool) -> Copy:
        """The copy for a hop that takes 8-bit lines (`eight_bit`), or 7-bit ones only; its own, if that is so already.

        Raises ConversionImpossible, with the reply for the sender, for a copy that cannot be changed without harm and
        where the settings forbid it.
        """
        content = b"".join(copy.pieces)
        lines_too = copy.body == "BINARYMIME"
        policy = self._settings.without_8bitmime
        domain = Domain(eight_bit=eight_bit or policy == "send", any_lines=not lines_too)
        try:
            if policy == "refuse":
                raise ConversionImpossible("the next hop does not take 8-bit or binary content, and none is converted")
            if len(content) > _LARGEST_AT_ONCE:
                converted = await asyncio.to_thread(convert, content, domain)
            else:
                converted = convert(content, domain)
        except ConversionImpossible as refusal:
            self._counters["refused"].inc()
            self._log.info("copy refused, it cannot be converted", next_hop=self._settings.address, reason=refusal.log)
            raise
        if converted.content is not content:
            self._report(content, converted, "8bit" if domain.eight_bit else "7bit")
        body: BodyType = "8BITMIME" if domain.eight_bit and not converted.content.isascii() else "7BIT"
        return replace(copy, pieces=(converted.content,), body=body)

    def _report(self, content: bytes, converted: Converted, to: str) -> None:
        self._counters[to].inc()
        signatures = signed_by(content, content.find(b"\r\n\r\n") + 2)
        if signatures:
            self._signatures_broken.inc()
        self._log.info(
            "copy converted for the next hop",
            next_hop=self._settings.address,
            to=to,
            encoded_parts=converted.encoded_parts,
            broken_signatures=list(signatures),
            eight_bit_header=converted.eight_bit_header,
        )
