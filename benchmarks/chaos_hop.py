"""A next hop that misbehaves, for benchmarks/chaos: a process that may be killed at any time and started again.

    python -m benchmarks.chaos_hop PORT LEDGER [--seed N]

Every copy that it takes is a line of LEDGER, written before the reply: time, recipient, the sender of a report's copy.
Recipients that begin with `refused` get 550; those that begin with `later` get 450 twice, then are taken. Now and then
it drops a connection before it takes a copy, or after it has taken one; what it has taken and not said yet is noted as
`dropped`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import socket
import time
from collections import Counter
from pathlib import Path
from typing import BinaryIO, cast

import uvloop

from mailwake.smtp.replies import Reply
from mailwake.smtp.server_events import MessageData, RcptTo
from mailwake.smtp.server_limits import ServerLimits
from mailwake.smtp.server_protocol import ServerProtocol

LIMITS = ServerLimits(2048, 12_288, 1 << 20, 64 << 20, 1000, 1000, 1 << 20)
REFUSED = Reply(550, "5.1.1", "No such mailbox")
LATER = Reply(450, "4.2.0", "Mailbox is busy")
DROPS = 0.001
"""The share of copies at which the connection is dropped, before and after taking each."""

_REPORTED = re.compile(rb"(?im)^(Final-Recipient|Action): *(?:rfc822; *)?([^\r\n]*)")


class Hop:
    """What all connections share."""

    def __init__(self, ledger: BinaryIO, seed: int) -> None:
        self._ledger = ledger
        self.random = random.Random(seed)
        self.tries: Counter[str] = Counter()

    def write(self, *words: str) -> None:
        """One line, in the file before anything else happens."""
        self._ledger.write(" ".join((f"{time.time():.3f}", *words)).encode() + b"\n")


class Connection(asyncio.Protocol):
    """One session."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop
        self._protocol = ServerProtocol("hop.example", LIMITS)
        self._transport: asyncio.Transport | None = None
        self._unsaid: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._protocol.receive_data(data)
        while (event := self._protocol.next_event()) is not None:
            if isinstance(event, MessageData):
                if not self._take(event):
                    for recipient in self._unsaid:
                        self._hop.write("dropped", recipient)
                    self._transport.abort()
                    return
            elif isinstance(event, RcptTo) and (refusal := self._refusal(event.recipient)):
                self._protocol.reply(refusal)
                continue
            self._protocol.accept()
        if not self._transport.is_closing():
            self._unsaid.clear()
            self._transport.write(self._protocol.data_to_send())
            if self._protocol.closing:
                self._transport.close()

    def _refusal(self, recipient: str) -> Reply | None:
        if recipient.startswith("refused"):
            return REFUSED
        if recipient.startswith("later"):
            self._hop.tries[recipient] += 1
            if self._hop.tries[recipient] <= 2:
                return LATER
        return None

    def _take(self, message: MessageData) -> bool:
        """Whether the connection lives on."""
        if self._hop.random.random() < DROPS:
            return False
        (recipient,) = message.envelope.recipients
        if message.envelope.sender:
            self._hop.write("taken", recipient)
        else:
            found = {name.lower(): value.decode() for name, value in _REPORTED.findall(message.content)}
            self._hop.write("report", found.get(b"final-recipient", "?"), found.get(b"action", "?"))
        self._unsaid.append(recipient)
        return self._hop.random.random() >= DROPS


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", arguments.port), backlog=256)
    with arguments.ledger.open("ab", buffering=0) as ledger:
        hop = Hop(ledger, arguments.seed)
        server = await asyncio.get_running_loop().create_server(lambda: Connection(hop), sock=listening)
        print(listening.getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
