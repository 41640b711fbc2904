"""What is decided about a recipient's copy: settings, the plan of its rewriting, what its events will say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from mailwake.config.scopes import Sourced
from mailwake.events.record import pack_facts
from mailwake.flows.decisions import TRACE_FIELD, trace_field
from mailwake.flows.message_facts import message_facts
from mailwake.flows.plan_cache import PlanCache
from mailwake.flows.prepared_message import CopyPlan
from mailwake.flows.trace_header import MAX_RECEIVED
from mailwake.message.headers import fields, find
from mailwake.message.msys_header import HEADER_NAME, MsysHeader, read_msys_header
from mailwake.message.summary import summarise
from mailwake.policy.message_view import header_end as header_end_of
from mailwake.policy.precedence import EngagementLimits, EngagementSettings, resolve
from mailwake.rewrite.signatures import signed_by
from mailwake.rewrite.unsubscribe_fields import has_own
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.events.privacy import EventPrivacy
    from mailwake.flows.plan_cache import Planned
    from mailwake.flows.routing import Routing
    from mailwake.listener.session import Session
    from mailwake.logs import Logger
    from mailwake.message.headers import Field
    from mailwake.metrics import Metrics
    from mailwake.policy.context import Context
    from mailwake.rewrite.plan import MessagePlan
    from mailwake.rewrite.settings import RewriteSettings

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
    unsubscribe_mailto: Mapping[str, str]
    """By tracking domain, the address that List-Unsubscribe names beside the link."""
    privacy: EventPrivacy
    """What events and links say of recipients."""
    rewriting: RewriteSettings
    limits: EngagementLimits
    routing: Routing


class Common(NamedTuple):
    """What all copies of a message share."""

    session: Session
    sender: str
    transmission_id: int
    now: float


class CopyPlanner:
    """Makes the plans of copies; one object serves one worker."""

    def __init__(
        self,
        settings: PreparationSettings,
        *,
        admit_tags: Callable[[Sequence[str]], Sequence[str]],
        log: Logger,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._admit_tags = admit_tags
        self._plans = PlanCache(settings.plan_cache_entries, settings.rewriting)
        self._log = log
        self._metrics = metrics
        self._tracked = metrics.counter("links_tracked_total")

    def plan(self, common: Common, content: bytes, context: Context, cc_field: bytes = b"") -> CopyPlan:
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
        route = self._settings.routing.route(variables, options)
        settings = resolve(variables, header, options, self._settings.limits, self._admit_tags)
        self._count(settings)
        gone = [*ours, *find(header_fields, b"Cc")] if cc_field else ours
        asked = find(header_fields, TRACE_FIELD) if common.session.tracing else []
        gone = [*gone, *asked]
        removed = sorted((field.start, field.end) for field in gone)
        tracking = settings.open_tracking.value or settings.click_tracking.value
        if settings.list_unsubscribe.value:
            settings = _unless_own(settings, header_fields)
        changing = tracking or settings.list_unsubscribe.value
        signatures = signed_by(content, header_end) if changing else ()
        if signatures:
            settings = self._signed(settings)
        planned = self._rewriting(content, header_end, header_fields, removed, settings) if tracking else None
        traced = b""
        if any(each.value(content) == b"1" for each in asked):
            contexts = (context, common.session.context)
            traced = trace_field(settings, route, contexts, planned.plan if planned is not None else None)
        return CopyPlan(
            content=content,
            body_start=body_start(content, header_end),
            removed=removed,
            settings=settings,
            planned=planned,
            signed_by=signatures if tracking else (),
            route=route,
            packed_facts=pack_facts(
                message_facts(
                    transmission_id=common.transmission_id,
                    now=common.now,
                    content=content,
                    sender=common.sender,
                    privacy=self._settings.privacy,
                    summary=summary,
                    header=header,
                    settings=settings,
                    customer_id=settings.customer_id.value or "",
                    pathway=options.pathway.value or "",
                    node_name=self._settings.node_name,
                    amp_enabled=planned is not None and any(part.kind == "amp" for part in planned.plan.parts),
                )
            ),
            added_fields=cc_field + self._pool_field(header) + traced,
        )

    def _pool_field(self, header: MsysHeader | None) -> bytes:
        name = self._settings.ip_pool_header
        return f"{name}: {header.ip_pool}\r\n".encode() if name and header is not None and header.ip_pool else b""

    def _rewriting(
        self,
        content: bytes,
        header_end: int,
        header_fields: Sequence[Field],
        removed: Sequence[tuple[int, int]],
        settings: EngagementSettings,
    ) -> Planned | None:
        try:
            planned = self._plans.plan(content, body_start(content, header_end), header_fields, removed, settings)
        except Exception:  # a defect of ours must not hold up mail
            self._log.exception("planning failed, the message leaves untracked")
            self._metrics.counter("parts_unchanged_total", "defect").inc()
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
        # A field that the signature does not cover, or whose absence it covers, is of no use (RFC 8058 §4).
        unsubscribe = off if settings.list_unsubscribe.value else settings.list_unsubscribe
        return replace(settings, open_tracking=off, click_tracking=off, list_unsubscribe=unsubscribe)

    def _count(self, settings: EngagementSettings) -> None:
        if settings.metadata_trimmed:
            self._metrics.counter("metadata_trimmed_total").inc()
            self._log.info("metadata trimmed to max_metadata_len", kept=settings.metadata_text)
        if settings.tags_over_recipient_limit:
            self._metrics.counter("tags_ignored_total", "recipient").inc(settings.tags_over_recipient_limit)


def _unless_own(settings: EngagementSettings, header_fields: Sequence[Field]) -> EngagementSettings:
    if not has_own(header_fields):
        return settings
    return replace(settings, list_unsubscribe=Sourced(False, "List-Unsubscribe, which the message has"))


def body_start(content: bytes, header_end: int) -> int:
    """Where the body begins, behind the blank line; at the end for a message of header fields alone."""
    return min(header_end + 2, len(content))
