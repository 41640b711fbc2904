"""The whole message with slots: slices of the original, and the bodies that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mailwake.message.headers import fields, find
from mailwake.rewrite.body_template import BodyTemplate, PlainBody
from mailwake.rewrite.edits import Edit, Kept, Purpose, chosen, pieces
from mailwake.rewrite.header_edits import added_fields, new_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.message.mime_tree import Part
    from mailwake.rewrite.part_plan import PartPlan
    from mailwake.rewrite.quoted_printable import QuotedPrintableBody


class _Section(NamedTuple):
    """A body that changes, and the bytes of the message before it."""

    before: bytes
    body: BodyTemplate
    plan: PartPlan


class MessageTemplate:
    """The message for one set of purposes; `append_to` is what each copy costs."""

    def __init__(
        self,
        content: bytes,
        root: Part,
        removed_fields: Sequence[tuple[int, int]],
        parts: Sequence[PartPlan],
        purposes: int,
    ) -> None:
        self._content = content
        self._root = root
        self._purposes = purposes
        self._line_break = b"\r\n" if b"\r\n" in content[: root.body_start] or b"\n" not in content else b"\n"
        self._header_edits = [Edit(start, end, Purpose.CLEANUP) for start, end in removed_fields]
        self._sections: list[_Section] = []
        self._encoded: dict[int, tuple[bytes, QuotedPrintableBody]] = {}
        position = 0
        for plan in parts:
            body = plan.body(purposes, self._line_break) if purposes else None
            if body is not None:
                before = self._between(position, plan.part.body_start, ())
                self._sections.append(_Section(before, body, plan))
                position = plan.part.end
        self._rest = self._between(position, len(content), ())

    def append_to(self, out: list[bytes], values: Sequence[bytes]) -> None:
        """Append the copy's bytes with these values in its slots; no line with a value is longer than 998 bytes."""
        longest = max(map(len, values), default=0)
        for index, (before, body, _) in enumerate(self._sections):
            if isinstance(body, PlainBody) and not body.fits(values, longest):
                before, body = self._in_quoted_printable(index)
            out.append(before)
            body.append_to(out, values)
        out.append(self._rest)

    def _between(self, start: int, end: int, more_edits: Sequence[Edit]) -> bytes:
        """The message from `start` to `end` with the changes to its header fields."""
        inside = (edit for edit in (*self._header_edits, *more_edits) if start <= edit.start and edit.end <= end)
        edits = chosen(inside, Purpose.CLEANUP)
        if not edits:
            return self._content[start:end]
        changed = pieces([edit._replace(start=edit.start - start, end=edit.end - start) for edit in edits], end - start)
        base = self._content[start:end]
        return b"".join(
            base[piece.start : piece.end] if isinstance(piece, Kept) else piece
            for piece in changed
            if not isinstance(piece, int)
        )

    def _in_quoted_printable(self, index: int) -> tuple[bytes, BodyTemplate]:
        """The section of a body that is not encoded, for copies in which a line of it would be too long."""
        if index not in self._encoded:
            plan = self._sections[index].plan
            start = self._sections[index - 1].plan.part.end if index else 0
            before = self._between(start, plan.part.body_start, self._encoding_edits(plan.part))
            self._encoded[index] = before, plan.body_in_quoted_printable(self._purposes, self._line_break)
        return self._encoded[index]

    def _encoding_edits(self, part: Part) -> list[Edit]:
        """The edits that make the part's header say quoted-printable, and change nothing else."""
        header = fields(self._content, part.start, part.header_end)
        present = find(header, b"Content-Transfer-Encoding")
        if present:
            return new_values(self._content, present, b"quoted-printable")
        lines = [b"Content-Transfer-Encoding: quoted-printable"]
        if part is self._root and not find(header, b"MIME-Version"):
            lines.insert(0, b"MIME-Version: 1.0")
        return [added_fields(self._content, part, lines, self._line_break)]
