"""Everything that is decided about a message before any of it is sent: ids, settings, the plan of its rewriting.

`prepare` is pure but for ids, tags and counters; `mailwake explain` calls it too, so that what it says is what happens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mailwake.config.scopes import Sourced
from mailwake.events.record import MessageFacts, pack_facts
from mailwake.flows.decisions import TRACE_FIELD, trace_field
from mailwake.flows.plan_cache import PlanCache
from mailwake.flows.prepared_message import CopyPlan, PreparedMessage
from mailwake.flows.trace_header import MAX_RECEIVED, received_field
from mailwake.flows.tracked_copy import copy_urls, link_contexts, render_copy
from mailwake.links.token import ContextTooLong
from mailwake.message.headers import fields, find
from mailwake.message.msys_header import MsysHeader, read_msys_header
from mailwake.message.summary import Summary, domain_of, summarise
from mailwake.policy.context import Context
from mailwake.policy.message_view import header_end as header_end_of
from mailwake.policy.precedence import CONTEXT_VARIABLES, EngagementLimits, EngagementSettings, resolve
from mailwake.relay.delivery import Copy
from mailwake.rewrite.signatures import signed_by
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mailwake.clock import Clock
    from mailwake.events.unique_ids import UniqueIds
    from mailwake.flows.message_policy import Judged, Recipient
    from mailwake.flows.plan_cache import Planned
    from mailwake.links.token import TokenCodec
    from mailwake.listener.session import Session
    from mailwake.logs import Logger
    from mailwake.message.headers import Field
    from mailwake.metrics import Metrics
    from mailwake.rewrite.plan import MessagePlan
    from mailwake.rewrite.settings import RewriteSettings
    from mailwake.smtp.envelope import Envelope

HEADER_NAME = b"x-msys-api"

_LOOP = Reply(554, "5.4.6", "Too many hops: this message is in a loop")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationSettings:
    """What holds for every message of a node."""

    hostname: str
    node_name: str
    trace_header: bool
    include_metadata_in_clicks: bool
    plan_cache_entries: int
    ip_pool_header: str
    """The field in which `options.ip_pool` leaves; "": it does not."""
    rewriting: RewriteSettings
    limits: EngagementLimits


class _Common(NamedTuple):
    """What all copies of a message share."""

    session: Session
    sender: str
    transmission_id: int
    now: float


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
        self._admit_tags = admit_tags
        self._plans = PlanCache(settings.plan_cache_entries, settings.rewriting)
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._tracked = metrics.counter("links_tracked_total")

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
        common = _Common(session, envelope.sender, number, now)
        additions: Sequence[Recipient] | None = None
        if judged is None:
            plan = self._copy_plan(common, content, _NOTHING)
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

    def _copy_plans(self, common: _Common, judged: Judged) -> list[CopyPlan]:
        """A plan for each recipient; those with the same variables and the same content share one."""
        made: dict[tuple[object, ...], CopyPlan] = {}
        plans = []
        for each in judged.recipients:
            variables = each.context.over(common.session.context)
            key = (each.content, *map(variables.get, CONTEXT_VARIABLES))
            plan = made.get(key)
            if plan is None:
                plan = made[key] = self._copy_plan(common, each.content, each.context, judged.cc_field)
            plans.append(plan)
        return plans

    def _copy_plan(self, common: _Common, content: bytes, context: Context, cc_field: bytes = b"") -> CopyPlan:
        """The plan for recipients for whom this message context holds."""
        variables = context.over(common.session.context)
        header_end = header_end_of(content)
        header_fields = fields(content, 0, header_end)
        summary = summarise(content, header_fields)
        if summary.received_count >= MAX_RECEIVED:
            raise Refusal(_LOOP, f"{summary.received_count} Received fields")
        ours = find(header_fields, HEADER_NAME)
        header = read_msys_header([content[f.value_start : f.value_end] for f in ours])
        options = common.session.options_for(variables.get("pathway"))
        settings = resolve(variables, header, options, self._settings.limits, self._admit_tags)
        self._count(settings)
        gone = [*ours, *find(header_fields, b"Cc")] if cc_field else ours
        asked = find(header_fields, TRACE_FIELD) if common.session.tracing else []
        gone = [*gone, *asked]
        removed = sorted((field.start, field.end) for field in gone)
        tracking = settings.open_tracking.value or settings.click_tracking.value
        signatures = signed_by(content, header_end) if tracking else ()
        if signatures:
            settings = self._signed(settings)
        planned = self._plan(content, header_end, header_fields, removed, settings) if tracking else None
        traced = b""
        if any(each.value(content) == b"1" for each in asked):
            contexts = (context, common.session.context)
            traced = trace_field(settings, contexts, planned.plan if planned is not None else None)
        return CopyPlan(
            content=content,
            body_start=_body_start(content, header_end),
            removed=removed,
            settings=settings,
            planned=planned,
            signed_by=signatures,
            packed_facts=pack_facts(
                self._facts(common, content, summary, settings, planned, options.pathway.value or "", header)
            ),
            added_fields=cc_field + self._pool_field(header) + traced,
        )

    def _pool_field(self, header: MsysHeader | None) -> bytes:
        name = self._settings.ip_pool_header
        return f"{name}: {header.ip_pool}\r\n".encode() if name and header is not None and header.ip_pool else b""

    def copy(self, message: PreparedMessage, index: int) -> Copy:
        """The copy for one recipient, with links of its own; the same every time it is made."""
        recipient = message.envelope.recipients[index]
        return Copy(
            message.envelope.sender,
            recipient,
            self._pieces(message, index),
            smtputf8=message.envelope.smtputf8,
            eight_bit=message.envelope.body == "8BITMIME",
        )

    def _pieces(self, message: PreparedMessage, index: int) -> Sequence[bytes]:
        plan = message.copy_plans[index]
        planned = plan.planned
        before = message.received + plan.added_fields + message.added_fields(index)
        if planned is not None:
            original = message.links_of(index)
            try:
                contexts = link_contexts(
                    plan.settings,
                    transmission_id=message.transmission_id,
                    recipient_index=original,
                    recipient=message.envelope.recipients[original],
                    sent=int(message.sent),
                    metadata_in_clicks=self._settings.include_metadata_in_clicks,
                )
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

    def _plan(
        self,
        content: bytes,
        header_end: int,
        header_fields: Sequence[Field],
        removed: Sequence[tuple[int, int]],
        settings: EngagementSettings,
    ) -> Planned | None:
        try:
            planned = self._plans.plan(content, _body_start(content, header_end), header_fields, removed, settings)
        except Exception as error:  # as in _pieces: tracking fails open
            self._log.exception("planning failed, the message leaves untracked")
            self._leave_alone("defect", error)
            return None
        plan = planned.plan
        for _, reason in plan.skipped_parts:
            self._metrics.counter("parts_unchanged_total", reason).inc()
        if settings.click_tracking.value:
            self._count_links(plan)
        return planned

    def _count_links(self, plan: MessagePlan) -> None:
        self._tracked.inc(len(plan.tracked))
        if len(plan.tracked) != len(plan.links):
            for link in plan.links:
                if not link.tracked:
                    reason = "scheme" if link.reason.startswith("scheme ") else link.reason
                    self._metrics.counter("links_skipped_total", reason).inc()
        if self._settings.rewriting.tracked_link_text == "warn":
            targets = [link.target for link in plan.tracked if link.text_is_url]
            if targets:
                self._log.warning("tracked links whose text is a URL", links=len(targets), first=targets[0])

    def _signed(self, settings: EngagementSettings) -> EngagementSettings:
        """The settings for a message that arrived signed: counted, and with nothing on where that leaves it alone."""
        if self._settings.rewriting.on_signed == "track":
            self._metrics.counter("messages_signed_total", "tracked").inc()
            return settings
        self._metrics.counter("messages_signed_total", "skipped").inc()
        off = Sourced(False, "on_signed, because the message arrived signed")
        return replace(settings, open_tracking=off, click_tracking=off)

    def _leave_alone(self, reason: str, error: Exception) -> None:
        self._log.warning("a copy leaves untracked", reason=reason, error=str(error)[:200])
        self._metrics.counter("parts_unchanged_total", reason).inc()

    def _count(self, settings: EngagementSettings) -> None:
        if settings.metadata_trimmed:
            self._metrics.counter("metadata_trimmed_total").inc()
            self._log.info("metadata trimmed to max_metadata_len", kept=settings.metadata_text)
        if settings.tags_over_recipient_limit:
            self._metrics.counter("tags_ignored_total", "recipient").inc(settings.tags_over_recipient_limit)

    def _received(self, session: Session, transmission_id: int, now: float) -> bytes:
        if not self._settings.trace_header:
            return b""
        return received_field(session, self._settings.hostname, transmission_id, now)

    def _facts(
        self,
        common: _Common,
        content: bytes,
        summary: Summary,
        settings: EngagementSettings,
        planned: Planned | None,
        pathway: str,
        header: MsysHeader | None,
    ) -> MessageFacts:
        return MessageFacts(
            transmission_id=common.transmission_id,
            injection_time=int(common.now * 1000),
            msg_size=len(content),
            customer_id=settings.customer_id.value or "",
            campaign_id=settings.campaign_id.value or "",
            tags=settings.tags.value,
            metadata=settings.metadata_text,
            friendly_from=summary.friendly_from,
            msg_from=common.sender,
            sending_domain=summary.sending_domain or domain_of(common.sender),
            subject=summary.subject,
            open_tracking=settings.open_tracking.value,
            click_tracking=settings.click_tracking.value,
            initial_pixel=settings.open_tracking.value and settings.initial_open.value,
            amp_enabled=planned is not None and any(part.kind == "amp" for part in planned.plan.parts),
            transactional=header is not None and header.transactional is True,
            node_name=self._settings.node_name,
            pathway=pathway,
        )


def _body_start(content: bytes, header_end: int) -> int:
    return min(header_end + 2, len(content))


def _without(content: bytes, removed: Sequence[tuple[int, int]]) -> list[bytes]:
    if not removed:
        return [content]
    pieces, position = [], 0
    for start, end in removed:
        pieces.append(content[position:start])
        position = end
    pieces.append(content[position:])
    return pieces
