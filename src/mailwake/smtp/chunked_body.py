"""The content of a message as it comes in BDAT commands (RFC 3030): counted octets, nothing stuffed."""

from __future__ import annotations

from mailwake.smtp.data_body import ContentRules, check_binary, check_content, too_big
from mailwake.smtp.replies import Reply
from mailwake.smtp.states import State


class ChunkedBody:
    """Gathers the chunks of one message; what is over the size limit, or refused from the start, is swallowed."""

    __slots__ = ("_binary", "_content", "_missing", "_rules", "_size", "last", "octets", "refusal", "resume")

    def __init__(
        self, rules: ContentRules, refusal: Reply | None = None, resume: State = State.CHUNKS, *, binary: bool = False
    ) -> None:
        self._rules = rules
        self._binary = binary
        self._content = bytearray()
        self._size = 0
        self._missing = 0
        self.octets = 0
        """The size of the chunk that is coming or came last."""
        self.last = False
        """Whether that chunk ends the message."""
        self.refusal = refusal
        """The reply to a BDAT that was out of sequence: its octets follow all the same."""
        self.resume = resume
        """The state after a chunk that does not end the message."""

    @property
    def held(self) -> int:
        """Octets of the message that are in memory."""
        return len(self._content)

    @property
    def too_big(self) -> Reply | None:
        """The refusal, once the chunks announced so far are over the size limit."""
        return too_big(self._rules) if self._size > self._rules.message_size else None

    def begin(self, octets: int, *, last: bool) -> None:
        """A BDAT command came; its octets follow it directly."""
        self.octets = self._missing = octets
        self.last = last
        self._size += octets

    def take(self, octets: bytearray) -> bool:
        """Move what belongs to the chunk out of the buffer; whether the chunk is whole."""
        part = octets[: self._missing]
        del octets[: self._missing]
        self._missing -= len(part)
        if self.refusal is None and self._size <= self._rules.message_size:
            self._content += part
        return self._missing == 0

    def content(self) -> bytes | Reply:
        """The whole message, or its refusal."""
        check = check_binary if self._binary else check_content
        return self.too_big or check(bytes(self._content), self._rules)
