"""All webhooks of a node, in the collector's loop: a task for each, started and ended as they come, change and go."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, NamedTuple

from mailwake.feed.contract import FeedError
from mailwake.webhooks.address_rules import AddressRules
from mailwake.webhooks.batch_table import BatchTable
from mailwake.webhooks.configured import adopt, read_configured
from mailwake.webhooks.database import WebhooksDatabase, WebhooksFileError
from mailwake.webhooks.delivery import Delivery, Surroundings, SystemPauses
from mailwake.webhooks.patience import Patience
from mailwake.webhooks.posting import HttpPoster
from mailwake.webhooks.sending import Sender
from mailwake.webhooks.subscription_table import SubscriptionTable
from mailwake.webhooks.subscriptions import Subscriptions, Tables
from mailwake.webhooks.target_url import UrlRules

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.clock import Clock
    from mailwake.config.schema import Settings
    from mailwake.feed.contract import EventFeed, Positions
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.webhooks.connections import Lookup
    from mailwake.webhooks.delivery import Pauses
    from mailwake.webhooks.subscription_table import Subscription

POLL_SECONDS = 2.0
"""How soon a change is noticed that another process has made: the command line."""

_COUNT_SECONDS = 30.0
"""How often dead letters are counted, and old ones forgotten."""

_GRACE = 1.0
"""Seconds beside the time that an attempt may take, for attempts on their way at the end."""


class _Running(NamedTuple):
    delivery: Delivery
    task: asyncio.Task[None]
    revision: int


class Webhooks:
    """The webhooks in the file `path`, of this feed. StartupError for what cannot be used in the configuration.

    `subscriptions` is for the API: what it changes is acted on at once. Nothing is sent before `run`.
    """

    name = "webhooks"

    def __init__(
        self,
        path: Path,
        feed: EventFeed,
        positions: Positions,
        settings: Settings,
        *,
        clock: Clock,
        log: Logger,
        metrics: Metrics,
        lookup: Lookup | None = None,
        pauses: Pauses | None = None,
    ) -> None:
        delivery = settings.webhook_delivery
        urls = UrlRules(delivery.allow_http, delivery.ports)
        self._configured = read_configured(settings.webhooks, urls)
        self._poster = HttpPoster(
            timeout=delivery.timeout,
            urls=urls,
            addresses=AddressRules(delivery.allow_private_targets),
            clock=clock,
            ca_file=delivery.tls_ca_file,
            lookup=lookup,
        )
        self._database = WebhooksDatabase(path)
        self._reader = ThreadPoolExecutor(1, "webhooks")
        self._tables = Tables(SubscriptionTable(self._database), BatchTable(self._database))
        self._around = Surroundings(
            tables=self._tables,
            feed=feed,
            positions=positions,
            settings=delivery,
            patience=Patience(delivery.retry_schedule, delivery.retry_for),
            clock=clock,
            pauses=pauses or SystemPauses(),
            log=log,
            metrics=metrics,
            reader=self._reader,
        )
        self._changed = asyncio.Event()
        self._running: dict[str, _Running] = {}
        self._off: dict[str, int] = {}
        """Webhooks that are switched off, and by which revision."""
        self._names: dict[str, str] = {}
        self._counted: float | None = None
        self.subscriptions = Subscriptions(
            self._tables,
            feed,
            positions,
            poster=self._poster,
            urls=urls,
            clock=clock,
            changed=self._changed.set,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; attempts on their way are finished first, as long as they may take."""
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.to_thread(self.adopt)
            while not stopping.done():
                self._changed.clear()
                try:
                    await self._reconcile()
                except (WebhooksFileError, FeedError) as error:
                    self._around.log.error("webhooks wait until a file can be used again", error=str(error))
                await self._wait(stopping)
        finally:
            stopping.cancel()
            await self._end_all()

    def close(self) -> None:
        """Close the file; nothing may be under way."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._database.close()

    def adopt(self) -> None:
        """Put those of the configuration into the file; new ones get what comes into the feed from now on."""
        adopt(self._tables.subscriptions, self._configured, self._around.feed.end, self._around.clock.now())

    async def _wait(self, stopping: asyncio.Task[Literal[True]]) -> None:
        changed = asyncio.create_task(self._changed.wait())
        await asyncio.wait({stopping, changed}, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()

    async def _reconcile(self) -> None:
        """Start, wake and end what has to be; look after the dead letters."""
        for webhook_id in [each for each, running in self._running.items() if running.task.done()]:
            del self._running[webhook_id]
        revisions = await asyncio.to_thread(self._tables.subscriptions.revisions)
        for webhook_id in self._running.keys() - revisions.keys():
            await self._end(self._running[webhook_id].delivery)
        self._off = {webhook_id: self._off[webhook_id] for webhook_id in self._off.keys() & revisions.keys()}
        known = {webhook_id: running.revision for webhook_id, running in self._running.items()} | self._off
        if known != revisions:
            for subscription in await asyncio.to_thread(self._tables.subscriptions.all):
                if known.get(subscription.webhook.id) != subscription.revision:
                    await self._follow(subscription)
        await self._count()

    async def _follow(self, subscription: Subscription) -> None:
        """Bring one webhook's task to what the webhook says now."""
        webhook_id = subscription.webhook.id
        running = self._running.get(webhook_id)
        self._rename(webhook_id, subscription.webhook.name)
        if not subscription.webhook.active:
            if running is not None:
                running.delivery.end()  # and is looked at again once it has ended
            else:
                await asyncio.to_thread(self._around.positions.forget, subscription.webhook.consumer)
                self._off[webhook_id] = subscription.revision
            return
        self._off.pop(webhook_id, None)
        # For the feed's retention: the position may have been set by hand.
        await asyncio.to_thread(self._around.positions.keep, subscription.webhook.consumer, subscription.position)
        if running is None:
            delivery = Delivery(subscription, Sender(self._poster, self._around.clock), self._around)
            task = asyncio.create_task(delivery.run(), name=f"webhook {webhook_id}")
            self._running[webhook_id] = _Running(delivery, task, subscription.revision)
        elif not running.delivery.ending and running.revision != subscription.revision:
            self._running[webhook_id] = running._replace(revision=subscription.revision)
            running.delivery.wake()

    def _rename(self, webhook_id: str, name: str) -> None:
        """Its series go on under its new name; those of the former one would stand still and alarm for ever."""
        former = self._names.get(webhook_id, name)
        self._names[webhook_id] = name
        if former != name:
            for gauge in ("webhook_lag_seconds", "webhook_dead_letters"):
                self._around.metrics.counter(gauge, webhook_id, former).value = 0
            self._counted = None
            if webhook_id in self._running:
                self._running[webhook_id].delivery.rename(name)

    async def _end(self, delivery: Delivery) -> None:
        """It is no consumer any more; what is on its way is finished, and its task is gone at one of the next looks."""
        delivery.end()
        await asyncio.to_thread(self._around.positions.forget, delivery.consumer)

    async def _count(self) -> None:
        clock, counter = self._around.clock, self._around.metrics.counter
        now = clock.now()
        for webhook_id, name in self._names.items():
            running = self._running.get(webhook_id)
            oldest = None if running is None else running.delivery.oldest
            lag = 0.0 if oldest is None else max(0.0, now - oldest)
            counter("webhook_lag_seconds", webhook_id, name).value = lag
        if self._counted is not None and clock.monotonic() - self._counted < _COUNT_SECONDS:
            return
        self._counted = clock.monotonic()
        before = now - self._around.settings.dead_letter_retention
        await asyncio.to_thread(self._tables.batches.forget_dead, before)
        counts = await asyncio.to_thread(self._tables.batches.dead_counts)
        for webhook_id, name in self._names.items():
            counter("webhook_dead_letters", webhook_id, name).value = counts.get(webhook_id, 0)

    async def _end_all(self) -> None:
        tasks = {running.task for running in self._running.values()}
        for running in self._running.values():
            running.delivery.end()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._around.settings.timeout + _GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._running.clear()
