"""Where a search goes on: the last event of a page, and what was there when its first page was asked for.

A cursor is opaque text for whoever asks. It is not sealed, as there is nothing to win by changing it: the question's
filters, the asker's customer among them, come with the question, and hold whatever the cursor says.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec

from mailwake.store.question import QuestionError

if TYPE_CHECKING:
    from mailwake.store.question import Question

_Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Time = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class PageCursor(NamedTuple):
    """A place in the answers to one question, in one store."""

    store: _Number
    """The number of the store: one that was loaded anew has another."""
    fingerprint: bytes
    """The question's."""
    total: _Number
    snapshot: _Number
    """The last load that counts: later ones are not of this search."""
    timestamp: _Time
    event_id: Annotated[int, msgspec.Meta(ge=0)]
    """Both of the last event given."""
    snapshots: tuple[tuple[_Number, _Number], ...] = ()
    """The last load that counts of each node, in a store that several nodes load."""

    def __str__(self) -> str:
        return urlsafe_b64encode(msgspec.msgpack.encode(self)).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str, question: Question, store: int) -> PageCursor:
        """The cursor that `str` has written for this question; QuestionError for any other text."""
        try:
            data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            cursor = msgspec.msgpack.decode(data, type=cls)
        except (ValueError, msgspec.MsgspecError):
            raise QuestionError("cursor: is none of ours; take it from links.next, or begin with initial") from None
        if cursor.fingerprint != question.fingerprint():
            raise QuestionError("cursor: belongs to other filters; keep them the same, or begin with initial")
        if cursor.store != store:
            raise QuestionError("cursor: is older than this store, which was rebuilt; begin with initial")
        return cursor
