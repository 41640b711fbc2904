"""Preparing a message without sending it, to say what would become of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mailwake.clock import SystemClock
from mailwake.config.scopes import ScopedOptions
from mailwake.events.unique_ids import UniqueIds
from mailwake.flows.preparation import Preparation
from mailwake.links.keyring import Keyring
from mailwake.links.token import TokenCodec
from mailwake.listener.session import Session
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.service.parts import preparation_settings
from mailwake.smtp.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailwake.config.load import Configuration
    from mailwake.flows.prepared_message import CopyPlan
    from mailwake.policy.precedence import EngagementSettings
    from mailwake.rewrite.plan import PlannedLink


@dataclass(frozen=True, slots=True)
class Explanation:
    """Settings as (name, value, source), links with their fate, parts left alone, and the copy as it would leave."""

    settings: Sequence[tuple[str, Any, str]]
    links: Sequence[PlannedLink]
    skipped_parts: Sequence[tuple[str, str]]
    after: bytes
    broken_signatures: Sequence[str]
    """Signatures that the message arrives with and that the changes to it make fail."""


def explain_message(
    configuration: Configuration,
    content: bytes,
    *,
    sender: str,
    recipient: str,
    peer: str,
    listener: str | None,
    context: Mapping[str, str],
) -> Explanation:
    """Prepare one recipient's copy as the service would, with keys of the moment; Refusal as the service would.

    All tags count as known: the system-wide set belongs to the running service.
    """
    scopes = ScopedOptions(configuration)
    name = listener or scopes.listeners[0]
    session = Session(name, peer, 0, scopes.resolve(name, peer, context.get("pathway")), trusted_network=True)
    for variable, value in context.items():
        session.context.set(variable, value, "the command line")
    session.hello_domain, session.extended = "explain.invalid", True
    clock = SystemClock()
    preparation = Preparation(
        preparation_settings(configuration.settings),
        ids=UniqueIds(0, 0, clock.now, lambda mark: None),
        codec=TokenCodec(Keyring.new(os.urandom, 0)),
        admit_tags=list,
        clock=clock,
        log=make_logger("auto", "error"),
        metrics=Metrics(),
    )
    message = preparation.prepare(session, Envelope(sender, [recipient]), content)
    copy_plan = message.copy_plans[0]
    plan = copy_plan.plan
    return Explanation(
        _settings(copy_plan.settings),
        _links(copy_plan),
        plan.skipped_parts if plan is not None else (),
        b"".join(preparation.copy(message, 0).pieces),
        copy_plan.signed_by if configuration.settings.on_signed == "track" else (),
    )


def _links(copy_plan: CopyPlan) -> Sequence[PlannedLink]:
    if copy_plan.plan is None:
        return ()
    links = copy_plan.plan.links
    if copy_plan.settings.click_tracking.value:
        return links
    return [replace(link, tracked=False, reason=link.reason or "click tracking is off") for link in links]


def _settings(settings: EngagementSettings) -> list[tuple[str, Any, str]]:
    named = (
        ("open_tracking", settings.open_tracking),
        ("initial_open", settings.initial_open),
        ("click_tracking", settings.click_tracking),
        ("open_tracking_scheme", settings.open_scheme),
        ("click_tracking_scheme", settings.click_scheme),
        ("tracking_domain", settings.tracking_domain),
        ("tracking_link_expiry", settings.link_expiry),
        ("campaign_id", settings.campaign_id),
        ("metadata", settings.metadata),
        ("tags", settings.tags),
        ("customer_id", settings.customer_id),
    )
    return [(name, sourced.value, sourced.source) for name, sourced in named]
