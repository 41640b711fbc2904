"""A message about which everything has been decided, and of which nothing has been sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailwake.config.relay_settings import DEFAULT_ROUTE
from mailwake.links.token import message_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.config.scopes import Sourced
    from mailwake.flows.message_policy import Recipient
    from mailwake.flows.plan_cache import Planned
    from mailwake.policy.precedence import EngagementSettings
    from mailwake.rewrite.plan import MessagePlan
    from mailwake.smtp.envelope import Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """What is decided about a recipient's copy; recipients about whom policy said the same share one."""

    content: bytes
    """The message, with the header as policy left it."""
    body_start: int
    removed: Sequence[tuple[int, int]]
    """Spans of the fields that never leave."""
    settings: EngagementSettings
    planned: Planned | None
    """None when nothing is tracked."""
    signed_by: Sequence[str]
    """The signatures it arrived with, when it was to be tracked."""
    packed_facts: bytes
    route: Sourced[str]
    """The name of its route, "default" for `[relay]`, and who decided it."""
    added_fields: bytes = b""
    """Header fields that all its copies have: the Cc that the header adds to, the pool."""

    @property
    def plan(self) -> MessagePlan | None:
        """The plan of the message's rewriting, which may be shared with others of the same body."""
        return self.planned.plan if self.planned is not None else None

    @property
    def tracked_links(self) -> int:
        """How many links lead over the tracker."""
        return len(self.planned.plan.tracked) if self.planned and self.settings.click_tracking.value else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMessage:
    """One message, decided: what its copies share, and the plan of each."""

    transmission_id: int
    sent: float
    envelope: Envelope
    received: bytes
    copy_plans: Sequence[CopyPlan]
    """One for each recipient of the envelope."""
    additions: Sequence[Recipient] | None = None
    """What sets recipients apart beyond that, one for each; None where the header adds nobody."""

    def route(self, index: int) -> str:
        """The name of the copy's route as the relay has it: "" for the default one."""
        name = self.copy_plans[index].route.value
        return "" if name == DEFAULT_ROUTE else name

    def message_id(self, index: int) -> str:
        """The id of the copy for the recipient with this index."""
        return message_id(self.transmission_id, index)

    def rcpt_type(self, index: int) -> str:
        """`cc`, `bcc`, `archive`, or "" for a recipient that the client named."""
        return self.additions[index].rcpt_type if self.additions is not None else ""

    def links_of(self, index: int) -> int:
        """The index of the recipient whose links the copy carries: an archive copy has the original's."""
        if self.additions is None:
            return index
        other = self.additions[index].links_of
        return index if other < 0 else other

    def added_fields(self, index: int) -> bytes:
        """Header fields that this copy alone has."""
        return self.additions[index].added_fields if self.additions is not None else b""
