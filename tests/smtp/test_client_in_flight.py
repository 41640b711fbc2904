"""Many transactions in flight against a server that decides at random: what the client says of each is what it took."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mailwake.smtp.client_events import Closed, Finished, Lost
from mailwake.smtp.client_handshake import ClientOptions
from mailwake.smtp.client_protocol import ClientProtocol
from mailwake.smtp.client_transaction import Transaction

_WHOLE_COMMAND = re.compile(rb"[^\r\n]*\r\n")


class ModelServer:
    """RFC 5321 and BDAT, strictly: what is refused leaves the envelope as it was; 421 is the last word."""

    def __init__(self, decisions: list[int]) -> None:
        self.taken: Counter[bytes] = Counter()
        self.closed = False
        self._decisions = decisions
        self._unread = b""
        self._envelope: list[bytes] | None = None

    def receive(self, octets: bytes) -> bytes:
        self._unread += octets
        replies = b""
        while not self.closed and (found := _WHOLE_COMMAND.match(self._unread)) is not None:
            verb, _, rest = found[0].strip().partition(b" ")
            end = found.end()
            if verb == b"BDAT":
                size = int(rest.split()[0])
                if len(self._unread) < end + size:
                    break
                content, end = self._unread[end : end + size], end + size
                replies += self._bdat(content)
            else:
                replies += self._obey(verb, rest)
            self._unread = self._unread[end:]
        return replies

    def _refusal(self) -> bytes:
        decision = self._decisions.pop() if self._decisions else 0
        self.closed = decision == 1
        return {1: b"421 4.3.2 bye\r\n", 2: b"450-4.2.1 not\r\n450 4.2.1 now\r\n", 3: b"550 5.7.1 no\r\n"}.get(
            decision, b""
        )

    def _obey(self, verb: bytes, rest: bytes) -> bytes:
        if verb == b"RSET":
            self._envelope = None
            return b"250 2.0.0 reset\r\n"
        if (verb == b"MAIL") != (self._envelope is None):
            return b"503 5.5.1 out of order\r\n"
        if refusal := self._refusal():
            return refusal
        self._envelope = [] if self._envelope is None else [*self._envelope, rest]
        return b"250 2.1.0 ok\r\n"

    def _bdat(self, content: bytes) -> bytes:
        if not self._envelope:
            return b"503 5.5.1 nobody\r\n"
        if refusal := self._refusal():
            return refusal  # the envelope stays open: that is what RSET is for
        for recipient in self._envelope:
            self.taken[recipient + b" " + content] += 1
        self._envelope = None
        return b"250 2.0.0 taken\r\n"


@settings(max_examples=300, deadline=None)
@given(
    # 0 accepts; 1 is 421, 2 and 3 are refusals
    decisions=st.lists(st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3]), max_size=60),
    acts=st.lists(st.tuples(st.sampled_from(["send", "to server", "to client"]), st.integers(1, 400)), max_size=60),
    cut=st.booleans(),
)
def test_what_is_said_of_each_is_true(decisions: list[int], acts: list[tuple[str, int]], cut: bool) -> None:
    server = ModelServer(decisions)
    client = ClientProtocol(ClientOptions("me.example"), max_reply_octets=4096)
    client.receive_data(b"220 hop\r\n250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
    client.data_to_send()
    to_server = to_client = b""
    sent: list[Transaction] = []
    if not cut:  # whatever happens, in the end all is exchanged
        acts = [*acts, *[("to server", 10**6), ("to client", 10**6)] * 2]
    for act, size in acts:
        if act == "send" and not client.closed:
            number = b"%d" % len(sent)
            sent.append(Transaction("a@a.example", f"r{len(sent)}@b.example", (b"N: ", number, b"\r\n" * size)))
            client.send(sent[-1])
        elif act == "to server":
            to_client += server.receive(to_server[:size])
            to_server = to_server[size:]
        elif act == "to client":
            client.receive_data(to_client[:size])
            to_client = to_client[size:]
        to_server += b"".join(client.data_to_send())
    client.connection_lost("cut")
    ends: dict[Transaction, Finished | Lost] = {}
    while (event := client.next_event()) is not None:
        if isinstance(event, Finished | Lost):
            assert event.transaction not in ends
            ends[event.transaction] = event
        else:
            assert isinstance(event, Closed) or not ends
    assert set(ends) == set(sent)
    for transaction in sent:
        content = b"".join(transaction.pieces)
        taken = server.taken.pop(f"TO:<{transaction.recipient}> ".encode() + content, 0)
        end = ends[transaction]
        if isinstance(end, Finished):
            assert taken == end.reply.is_positive
        else:
            assert taken <= (transaction.content_sent and not end.behind_421 and transaction.refusal is None)
    assert not server.taken, "every message went to its own recipient, and to nobody else"
    if not cut and not server.closed:
        assert all(isinstance(end, Finished) for end in ends.values())
