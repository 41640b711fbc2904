"""Plans of bodies that came before: list mail is often injected one message a recipient, with the same body each time.

Only whole bodies that are equal octet for octet share a plan, and only multipart messages, where tracking changes
nothing in the message's own header. A body is kept when it comes for the second time, so that mail in which every body
differs costs a hash and no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.flows.tracked_copy import link_recipes
from mailwake.message.headers import find
from mailwake.message.mime_tree import parse
from mailwake.rewrite.plan import make_plan
from mailwake.rewrite.signatures import signed_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.flows.tracked_copy import LinkRecipe
    from mailwake.message.headers import Field
    from mailwake.policy.precedence import EngagementSettings
    from mailwake.rewrite.plan import MessagePlan
    from mailwake.rewrite.settings import RewriteSettings

LARGEST_BODY = 256 * 1024
"""Octets; larger bodies are never kept."""

_CHANGING_FIELDS = (b"Content-Transfer-Encoding", b"Content-Disposition")
# with one of these the body may mean something else

SEEN_BODIES = 256
"""Hashes of bodies that came once."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a message, and how much of what it renders stands before the message's own body.

    `head` octets of the rendered copy are the plan's stand-in for the header; None when the plan is of the whole
    message.
    """

    plan: MessagePlan
    recipes: Sequence[LinkRecipe]
    head: int | None


class PlanCache:
    """Plans messages, from memory where the body has been planned before; `entries` bodies are kept, 0 keeps none."""

    def __init__(self, entries: int, rewriting: RewriteSettings) -> None:
        self._entries = entries
        self._rewriting = rewriting
        self._plans: OrderedDict[tuple[object, ...], Planned] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()

    def plan(
        self,
        content: bytes,
        body_start: int,
        header_fields: Sequence[Field],
        removed: Sequence[tuple[int, int]],
        settings: EngagementSettings,
    ) -> Planned:
        """The plan for this message and these settings."""
        head = self._shared_head(content, body_start, header_fields) if self._entries else None
        if head is None:
            return self._planned(content, removed, settings, None)
        body = content[body_start:]
        key = head, body, settings.click_scheme.value, settings.tracking_domain.value, settings.click_tracking.value
        found = self._plans.get(key)
        if found is not None:
            self._plans.move_to_end(key)
            return found
        if not self._came_before(hash(key)):
            return self._planned(content, removed, settings, None)
        made = self._plans[key] = self._planned(head + body, (), settings, len(head))
        if len(self._plans) > self._entries:
            self._plans.popitem(last=False)
        return made

    def _shared_head(self, content: bytes, body_start: int, header_fields: Sequence[Field]) -> bytes | None:
        """A header that says of the body what the message's own says; None when the plan is not to be shared."""
        if len(content) - body_start > LARGEST_BODY:
            return None
        types = find(header_fields, b"Content-Type")
        if len(types) != 1 or any(find(header_fields, name) for name in _CHANGING_FIELDS):
            return None
        value = content[types[0].value_start : types[0].value_end]
        if value.lstrip()[:10].lower() != b"multipart/":
            return None
        if self._rewriting.on_signed == "skip" and signed_by(content, body_start):
            return None
        return b"Content-Type:" + value + b"\r\n\r\n"

    def _came_before(self, digest: int) -> bool:
        if digest in self._seen:
            return True
        self._seen[digest] = None
        if len(self._seen) > SEEN_BODIES:
            self._seen.popitem(last=False)
        return False

    def _planned(
        self, content: bytes, removed: Sequence[tuple[int, int]], settings: EngagementSettings, head: int | None
    ) -> Planned:
        root = parse(content, crlf_only=True)  # a part that came as BINARYMIME may hold bare line feeds
        plan = make_plan(content, root, removed_fields=removed, settings=self._rewriting)
        return Planned(plan, link_recipes(plan, settings) if settings.click_tracking.value else (), head)
