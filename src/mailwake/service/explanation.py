"""Preparing a message without sending it, to say what would become of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mailwake.flows.decisions import CLICKS_OFF, decisions
from mailwake.service.rehearsal import Client, Rehearsed, rehearse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.config.load import Configuration
    from mailwake.flows.prepared_message import CopyPlan
    from mailwake.policy.context import Context
    from mailwake.rewrite.plan import PlannedLink

__all__ = ["Client", "Explanation", "explain_message"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Settings as (name, value, source), links with their fate, parts left alone, and the copy as it would leave."""

    settings: Sequence[tuple[str, Any, str]]
    links: Sequence[PlannedLink]
    skipped_parts: Sequence[tuple[str, str]]
    after: bytes
    broken_signatures: Sequence[str]
    """Signatures that the message arrives with and that the changes to it make fail."""


def explain_message(configuration: Configuration, content: bytes, client: Client) -> Explanation:
    """Prepare one recipient's copy as the service would; Refusal as the service would.

    All tags count as known: the system-wide set belongs to the running service.
    """
    rehearsed = asyncio.run(rehearse(configuration, content, client))
    copy_plan = rehearsed.message.copy_plans[0]
    plan = copy_plan.plan
    return Explanation(
        decisions(copy_plan.settings, copy_plan.route, _contexts(rehearsed)),
        _links(copy_plan),
        plan.skipped_parts if plan is not None else (),
        b"".join(rehearsed.preparation.copy(rehearsed.message, 0).pieces),
        copy_plan.signed_by if configuration.settings.on_signed == "track" else (),
    )


def _contexts(rehearsed: Rehearsed) -> Sequence[Context]:
    """The recipient's variables and the connection's, in the order in which they count."""
    judged = rehearsed.judged
    of_message = judged.recipients[0].context if judged is not None else rehearsed.session.message_context
    return of_message, rehearsed.session.context


def _links(copy_plan: CopyPlan) -> Sequence[PlannedLink]:
    if copy_plan.plan is None:
        return ()
    links = copy_plan.plan.links
    if copy_plan.settings.click_tracking.value:
        return links
    return [replace(link, tracked=False, reason=link.reason or CLICKS_OFF) for link in links]
