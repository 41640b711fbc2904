"""An SMTP worker: listeners, message flow, next hop and spool put together, and taken apart in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from mailwake.config.scopes import ScopedOptions
from mailwake.control.known_tags import KnownTags
from mailwake.first_of import first_of
from mailwake.flows.event_outbox import EventOutbox
from mailwake.flows.message_events import MessageEvents
from mailwake.flows.message_flow import MessageFlow
from mailwake.flows.message_policy import MessagePolicy
from mailwake.flows.policy_rejections import PolicyRejections
from mailwake.flows.preparation import Preparation
from mailwake.flows.remainder import Remainder
from mailwake.flows.spool_acceptance import SpoolAcceptance
from mailwake.flows.spool_entry import EntryEvents
from mailwake.links.token import TokenCodec
from mailwake.listener.address_limits import AddressLimits
from mailwake.listener.free_space import FreeSpace
from mailwake.listener.memory_budget import MemoryBudget
from mailwake.listener.server import Listener
from mailwake.policy.precedence import EngagementLimits
from mailwake.relay.attempt_end import AttemptEnds
from mailwake.relay.maildir import MaildirDelivery
from mailwake.relay.retry import RetryLoop
from mailwake.relay.schedule import RetrySchedule
from mailwake.relay.status_report import StatusReports
from mailwake.service.next_hops import make_routes
from mailwake.service.parts import (
    KeySource,
    accounts_of,
    address_limits,
    listener_settings,
    preparation_settings,
)
from mailwake.service.policy_files import load_policies
from mailwake.spool.group_commit import GroupCommit
from mailwake.spool.sqlite_spool import SqliteSpool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.relay.delivery import Delivery
    from mailwake.service.worker_main import RecordingWorker

GRACE_SECONDS = 25.0
"""How long messages in hand may take when the worker is told to stop; the supervisor waits a little longer."""

KEYS_SECONDS = 5.0
"""How often a worker looks whether the keys were rotated."""


async def run_smtp_worker(worker: RecordingWorker) -> None:
    """Take mail on the worker's sockets until it is told to stop, then finish what is in hand."""
    settings, log, metrics, clock = worker.settings, worker.log, worker.metrics, worker.clock
    keys = KeySource(settings.keys, worker.data, clock)
    codec = TokenCodec(keys.load())
    spool = GroupCommit(SqliteSpool(worker.data.spool, clock=clock))
    delivery = _delivery(worker)
    tags = KnownTags(worker.data.control, settings.max_tags, clock=clock, metrics=metrics, log=log)
    preparation = Preparation(
        preparation_settings(settings, worker.privacy),
        ids=worker.ids,
        codec=codec,
        admit_tags=tags.admit,
        clock=clock,
        log=log,
        metrics=metrics,
    )
    events = MessageEvents(worker.journal, worker.ids, privacy=worker.privacy, clock=clock, log=log, metrics=metrics)
    schedule = RetrySchedule(settings.spool.retry_schedule, settings.spool.expiry)
    reports = StatusReports(settings.esmtp_listener.hostname)
    remainder = Remainder(spool, schedule, preparation, reports, clock=clock, log=log, metrics=metrics)
    outbox = EventOutbox(spool, worker.journal, log=log)
    entry_events = EntryEvents(spool.spool, events, outbox)
    retries = RetryLoop(
        spool,
        delivery,
        AttemptEnds(schedule, reports, entry_events, delay_report=settings.spool.delay_report),
        entry_events,
        clock,
        log=log,
        metrics=metrics,
        concurrency=settings.spool.max_concurrency,
    )
    acceptance = None
    if settings.spool.acceptance == "spool":
        acceptance = SpoolAcceptance(spool, preparation, events, outbox, retries, metrics=metrics)
    policies = load_policies(settings, log=log, metrics=metrics)
    policy = MessagePolicy(policies, metrics=metrics)
    rejections = PolicyRejections(
        events,
        worker.ids,
        limits=EngagementLimits.of(settings),
        node_name=settings.node_name,
        privacy=worker.privacy,
        known_tags=tags.known,
        clock=clock,
    )
    flow = MessageFlow(
        preparation,
        delivery,
        remainder,
        events,
        policy=policy,
        rejections=rejections,
        acceptance=acceptance,
        clock=clock,
        log=log,
        metrics=metrics,
    )
    scopes, accounts = ScopedOptions(worker.configuration), accounts_of(settings)
    budget = MemoryBudget(settings.esmtp_listener.max_memory)
    addresses = AddressLimits(address_limits(settings.esmtp_listener), clock)
    space = FreeSpace(worker.data.path, settings.min_free_space, clock, log)
    listeners: dict[str, Listener] = {}
    for name in dict.fromkeys(name for name, _ in worker.sockets):
        made = listener_settings(name, settings.esmtp_listener, scopes)
        listeners[name] = Listener(
            made,
            flow,
            accounts,
            policies=policies,
            budget=budget,
            space=space,
            clock=clock,
            log=log,
            metrics=metrics,
            on_rejected=rejections.of_recipient,
            addresses=addresses,
        )
    if await worker.may_serve():
        for name, listening in worker.sockets:
            await listeners[name].start(listening)
        retries.start()
        watching = asyncio.create_task(_follow_keys(keys, codec))
        worker.report(ready=True)
        await first_of(worker.told.stop, worker.told.drain)
        if not worker.told.stop.is_set():
            await _drain(worker, list(listeners.values()), retries)
        watching.cancel()
    await asyncio.gather(*(listener.stop(GRACE_SECONDS) for listener in listeners.values()))
    await retries.stop()
    await delivery.close()
    accounts.close()
    tags.close()
    await spool.close()
    spool.spool.close()


async def _drain(worker: RecordingWorker, listeners: Sequence[Listener], retries: RetryLoop) -> None:
    """Serve the clients there are, but no new ones and nothing from the spool; until they have left, or time is up."""
    seconds = worker.told.drain_seconds
    # Begun copies are finished; what becomes due from now on is tried by workers with the new settings.
    retiring = asyncio.create_task(retries.stop(seconds))
    leaving = asyncio.gather(retiring, *(listener.drain() for listener in listeners))
    await asyncio.sleep(0)  # by then each of them has closed its sockets
    worker.report(closed=True)
    left = asyncio.Event()
    leaving.add_done_callback(lambda _: left.set())
    await first_of(left, worker.told.stop, seconds=seconds)


def _delivery(worker: RecordingWorker) -> Delivery:
    if worker.orders.demo:
        return MaildirDelivery(worker.data.maildir, worker.clock, metrics=worker.metrics)
    return make_routes(worker.settings, log=worker.log, metrics=worker.metrics)


async def _follow_keys(keys: KeySource, codec: TokenCodec) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(KEYS_SECONDS)
            changed = keys.changed()
            if changed is not None:
                codec.use(changed)
