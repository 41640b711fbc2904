"""Everything that is decided about a message before any of it is sent, and the copies that follow from it.

`prepare` is pure but for ids, tags and counters; `mailwake explain` calls it too, so that what it says is what happens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mailwake.flows.copy_planning import Common, CopyPlanner, PreparationSettings
from mailwake.flows.prepared_message import CopyPlan, PreparedMessage
from mailwake.flows.trace_header import received_field
from mailwake.flows.tracked_copy import copy_urls, link_contexts, render_copy, unsubscribe_url
from mailwake.links.token import ContextTooLong
from mailwake.policy.context import Context
from mailwake.policy.precedence import CONTEXT_VARIABLES
from mailwake.relay.delivery import Copy
from mailwake.rewrite.unsubscribe_fields import unsubscribe_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.clock import Clock
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.flows.message_policy import Judged, Recipient
    from mailwake.links.token import LinkContext, TokenCodec
    from mailwake.listener.session import Session
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.policy.precedence import EngagementSettings
    from mailwake.smtp.envelope import Envelope

__all__ = ["Preparation", "PreparationSettings"]

_NOTHING = Context()


class Preparation:
    """Prepares messages and makes their copies; one object serves one worker."""

    def __init__(
        self,
        settings: PreparationSettings,
        *,
        ids: UniqueIds,
        codec: TokenCodec,
        admit_tags: Callable[[Sequence[str]], Sequence[str]],
        clock: Clock,
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._ids = ids
        self._codec = codec
        self._planner = CopyPlanner(settings, admit_tags=admit_tags, log=log, metrics=metrics)
        self._clock = clock
        self._log = log
        self._metrics = metrics

    def new_id(self) -> int:
        """A number for a message; UniqueIdError when there can be none."""
        return self._ids.next()

    def prepare(
        self,
        session: Session,
        envelope: Envelope,
        content: bytes,
        judged: Judged | None = None,
        transmission_id: int | None = None,
    ) -> PreparedMessage:
        """Decide everything; Refusal for a message that is not taken, UniqueIdError when it can have no id.

        `judged` is what policy said; the message goes to those whose copy policy did not throw away.
        """
        now = self._clock.now()
        number = self.new_id() if transmission_id is None else transmission_id
        common = Common(session, envelope.sender, number, now)
        additions: Sequence[Recipient] | None = None
        if judged is None:
            plan = self._planner.plan(common, content, _NOTHING)
            plans = [plan] * len(envelope.recipients)
        else:
            envelope = replace(envelope, recipients=[each.address for each in judged.recipients])
            plans = self._copy_plans(common, judged)
            if any(each.rcpt_type for each in judged.recipients):
                additions = judged.recipients
        return PreparedMessage(
            transmission_id=common.transmission_id,
            sent=now,
            envelope=envelope,
            received=self._received(session, common.transmission_id, now),
            copy_plans=plans,
            additions=additions,
        )

    def _copy_plans(self, common: Common, judged: Judged) -> list[CopyPlan]:
        """A plan for each recipient; those with the same variables and the same content share one."""
        made: dict[tuple[object, ...], CopyPlan] = {}
        plans = []
        for each in judged.recipients:
            variables = each.context.over(common.session.context)
            key = (each.content, *map(variables.get, CONTEXT_VARIABLES))
            plan = made.get(key)
            if plan is None:
                plan = made[key] = self._planner.plan(common, each.content, each.context, judged.cc_field)
            plans.append(plan)
        return plans

    def copy(self, message: PreparedMessage, index: int) -> Copy:
        """The copy for one recipient, with links of its own; the same every time it is made."""
        recipient = message.envelope.recipients[index]
        return Copy(
            message.envelope.sender_for(recipient),
            recipient,
            self._pieces(message, index),
            smtputf8=message.envelope.smtputf8,
            body=message.envelope.body,
            dsn=message.envelope.dsn_request(recipient),
            route=message.route(index),
        )

    def _pieces(self, message: PreparedMessage, index: int) -> Sequence[bytes]:
        plan = message.copy_plans[index]
        planned = plan.planned
        before = message.received + plan.added_fields + message.added_fields(index)
        if plan.settings.list_unsubscribe.value:
            before += self._unsubscribe_fields(message, index, plan.settings)
        if planned is not None:
            try:
                contexts = self._contexts(message, index, plan.settings)
                urls = copy_urls(planned.plan, planned.recipes, plan.settings, self._codec, contexts)
                pieces = render_copy(planned.plan, urls, plan.settings)
            except ContextTooLong as error:
                self._leave_alone("context too long for links", error)
            except Exception as error:  # a defect of ours must not hold up mail: it leaves untracked
                self._log.exception("rendering failed, the copy leaves untracked", transmission=message.transmission_id)
                self._leave_alone("defect", error)
            else:
                if planned.head is None:
                    return [before, *pieces]
                pieces[0] = pieces[0][planned.head :]
                header = _without(plan.content[: plan.body_start], plan.removed)
                return [before, *header, *pieces]
        return [before, *_without(plan.content, plan.removed)]

    def _contexts(
        self, message: PreparedMessage, index: int, settings: EngagementSettings
    ) -> tuple[LinkContext, LinkContext]:
        original = message.links_of(index)
        return link_contexts(
            settings,
            transmission_id=message.transmission_id,
            recipient_index=original,
            recipient=self._settings.privacy.recipient(message.envelope.recipients[original]),
            sent=int(message.sent),
            metadata_in_clicks=self._settings.include_metadata_in_clicks,
        )

    def _unsubscribe_fields(self, message: PreparedMessage, index: int, settings: EngagementSettings) -> bytes:
        recipient = self._settings.privacy.recipient(message.envelope.recipients[message.links_of(index)])
        try:
            url = unsubscribe_url(settings, self._codec, self._contexts(message, index, settings)[0], recipient)
        except Exception as error:  # as with links: mail is not held up by what is added to it
            self._log.warning("a copy leaves without List-Unsubscribe", error=str(error)[:200])
            self._metrics.counter("list_unsubscribe_failed_total").inc()
            return b""
        return unsubscribe_fields(
            url, self._settings.unsubscribe_mailto.get(settings.tracking_domain.value.lower(), "")
        )

    def _leave_alone(self, reason: str, error: Exception) -> None:
        self._log.warning("a copy leaves untracked", reason=reason, error=str(error)[:200])
        self._metrics.counter("parts_unchanged_total", reason).inc()

    def _received(self, session: Session, transmission_id: int, now: float) -> bytes:
        if not self._settings.trace_header:
            return b""
        return received_field(session, self._settings.hostname, transmission_id, now)


def _without(content: bytes, removed: Sequence[tuple[int, int]]) -> list[bytes]:
    if not removed:
        return [content]
    pieces, position = [], 0
    for start, end in removed:
        pieces.append(content[position:start])
        position = end
    pieces.append(content[position:])
    return pieces
