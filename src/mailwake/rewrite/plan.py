"""The plan of a message: everything about tracking it that does not depend on the recipient, computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mailwake.rewrite.charsets import LeftAlone
from mailwake.rewrite.found_links import LinkCollector, PlannedLink
from mailwake.rewrite.message_template import MessageTemplate
from mailwake.rewrite.part_plan import PartPlan, plan_part
from mailwake.rewrite.settings import DEFAULT_SETTINGS, RewriteSettings
from mailwake.rewrite.signatures import signed_by
from mailwake.rewrite.top_parts import SkippedPart, describe, top_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.message.mime_tree import Part

__all__ = ["MessagePlan", "PlannedLink", "RewriteSettings", "SkippedPart", "make_plan"]

SIGNED_ON_ARRIVAL = "signed on arrival"
"""The reason for which a whole message is left alone because a change would make its signature fail."""


@dataclass(slots=True)
class MessagePlan:
    """What `render` needs for any recipient's copy, and what `explain` tells about the message."""

    content: bytes
    root: Part
    removed_fields: tuple[tuple[int, int], ...]
    """Spans of the header that no copy carries."""
    parts: tuple[PartPlan, ...]
    """The parts of the body that can be changed, in the order of the message."""
    links: tuple[PlannedLink, ...]
    """Every link of those parts, tracked or not, in the order of the message."""
    tracked: tuple[PlannedLink, ...]
    """Those that are tracked: `render` takes a URL for each of them."""
    skipped_parts: tuple[SkippedPart, ...]
    _templates: dict[int, MessageTemplate] = field(default_factory=dict, repr=False)

    @property
    def can_open(self) -> bool:
        """Whether an image that reports an open can be put into the message."""
        return any(part.kind == "html" and part.takes_images for part in self.parts)

    @property
    def can_amp_open(self) -> bool:
        """Whether one can be put into an AMP part."""
        return any(part.kind == "amp" and part.takes_images for part in self.parts)

    def template(self, purposes: int) -> MessageTemplate:
        """The message with slots for these purposes; built once, for all recipients who need the same ones."""
        template = self._templates.get(purposes)
        if template is None:
            template = self._templates[purposes] = MessageTemplate(
                self.content, self.root, self.removed_fields, self.parts, purposes
            )
        return template


def make_plan(
    content: bytes,
    root: Part,
    *,
    removed_fields: Sequence[tuple[int, int]] = (),
    settings: RewriteSettings = DEFAULT_SETTINGS,
) -> MessagePlan:
    """Scan the body of `content`, of which `root` is the tree. Never raises: what cannot be understood is left alone.

    `removed_fields` are spans of whole header fields, line break included, which no copy carries.
    """
    removed = tuple(sorted(removed_fields))
    signatures = signed_by(content, root.header_end)
    if signatures and settings.on_signed == "skip":
        skipped_message = SkippedPart("message with " + ", ".join(signatures), SIGNED_ON_ARRIVAL)
        return MessagePlan(content, root, removed, (), (), (), (skipped_message,))
    top = top_parts(root)
    collector = LinkCollector()
    parts: list[PartPlan] = []
    skipped = top.skipped
    for kind, part in sorted(top.by_kind.items(), key=lambda item: item[1].start):
        try:
            parts.append(plan_part(content, part, kind, collector, settings))
        except LeftAlone as reason:
            skipped.append(SkippedPart(describe(part), str(reason)))
    return MessagePlan(
        content,
        root,
        removed,
        tuple(parts),
        tuple(collector.links),
        tuple(collector.tracked),
        tuple(skipped),
    )
