"""One webhook at work: its batches one after the other, in order, each until its target has it or it is given up.

Everything that matters is in the file before it is acted on: a batch with its id before its first attempt, the new
position with the batch's end. So each step begins by asking the file, and after a kill the same steps go on.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from mailwake.feed.contract import FeedError
from mailwake.metrics import Counter
from mailwake.webhooks.batch import ANY_SIZE, Batch, Limits, Waiting, count, gather
from mailwake.webhooks.database import WebhooksFileError
from mailwake.webhooks.patience import read_retry_after
from mailwake.webhooks.posting import Answer
from mailwake.webhooks.target_url import without_secrets
from mailwake.webhooks.webhook import UnknownWebhookError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from mailwake.clock import Clock
    from mailwake.config.webhook_settings import WebhookDelivery
    from mailwake.feed.contract import EventFeed, Position, Positions
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.webhooks.patience import Patience
    from mailwake.webhooks.sending import Sender
    from mailwake.webhooks.subscription_table import Subscription
    from mailwake.webhooks.subscriptions import Tables

T = TypeVar("T")

_IDLE_SECONDS = 30.0
"""How long nothing is looked at when the feed does not grow."""

_GATHERING_SECONDS = 0.5
"""Seconds between two looks at a feed that grows all the time."""

_ADVANCE_SECONDS = 10.0
"""How often it is kept that events were not for this webhook."""

_DISK_PAUSE = 5.0
"""Seconds until a file is tried again that cannot be read or written."""


class Pauses(Protocol):
    """How time is spent waiting; tests have one that only moves their clock."""

    async def wait(self, seconds: float, woken: asyncio.Event) -> None:
        """Return after this time, or as soon as `woken` is set."""
        ...


class SystemPauses:
    """Waits as long as it is told to."""

    async def wait(self, seconds: float, woken: asyncio.Event) -> None:
        """Return after this time, or as soon as `woken` is set."""
        try:
            await asyncio.wait_for(woken.wait(), seconds)
        except TimeoutError:
            return


class Surroundings(NamedTuple):
    """What all webhooks share."""

    tables: Tables
    feed: EventFeed
    positions: Positions
    settings: WebhookDelivery
    patience: Patience
    clock: Clock
    pauses: Pauses
    log: Logger
    metrics: Metrics
    reader: Executor
    """One thread that reads the feed for all: several would only take the interpreter from the loop by turns."""


class Delivery:
    """Delivers to one webhook until `end()`, or until it is removed or switched off. One task runs it."""

    def __init__(self, subscription: Subscription, sender: Sender, around: Surroundings) -> None:
        webhook = subscription.webhook
        self.id = webhook.id
        self.consumer = webhook.consumer
        self.oldest: float | None = None
        """The time of the oldest event known to wait, Unix seconds; None where none does."""
        self.ending = False
        self._around = around
        self._sender = sender
        self._clock = around.clock
        self._woken = asyncio.Event()
        self._waiting_events = Counter()
        self.rename(webhook.name)
        self._advanced: float | None = None
        self._max_octets = around.settings.max_body_size
        counter = around.metrics.counter
        self._delivered = counter("webhook_batches_total", "delivered")
        self._dead = counter("webhook_batches_total", "dead letter")
        self._events = counter("webhook_events_total")
        self._seconds = around.metrics.histogram("webhook_seconds")

    def rename(self, name: str) -> None:
        """Use this name from now on, in the log and for what is counted."""
        self._log = self._around.log.bind(webhook=name, webhook_id=self.id)
        waiting = self._waiting_events.value
        self._waiting_events.value = 0
        self._waiting_events = self._around.metrics.counter("webhook_waiting_events", self.id, name)
        self._waiting_events.value = waiting

    def wake(self) -> None:
        """The webhook has changed: go on at once, with what it says now."""
        self._max_octets = self._around.settings.max_body_size
        self._woken.set()

    def end(self) -> None:
        """Finish the attempt on its way, and begin no other."""
        self.ending = True
        self._woken.set()

    async def run(self) -> None:
        """Deliver; returns after `end()`, or when the webhook is no more, or not active."""
        try:
            while not self.ending and await self._try_step():
                pass
        except UnknownWebhookError:
            return
        finally:
            self.oldest = None
            self._waiting_events.value = 0

    async def _try_step(self) -> bool:
        try:
            return await self._step()
        except (WebhooksFileError, FeedError) as error:
            self._log.error("a webhook waits until a file can be used again", error=str(error))
        except UnknownWebhookError:
            raise
        except Exception:
            self._log.exception("a webhook could not go on, it is tried again")
        await self._around.pauses.wait(_DISK_PAUSE, self._woken)
        return True

    async def _step(self) -> bool:
        """One attempt, or one wait; whether there is another step."""
        if not self.ending:
            self._woken.clear()
        subscription, batch = await asyncio.to_thread(self._look)
        if not subscription.webhook.active:
            return False
        if batch is None:
            formed = await self._collect(subscription)
            if formed is not None and not self.ending:
                await self._attempt(subscription, *formed)
        elif not self.ending:
            body = await self._in_reader(self._read_again, batch)
            await self._attempt(subscription, batch, body)
        return True

    async def _in_reader(self, ask: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._around.reader, ask, *arguments)

    def _look(self) -> tuple[Subscription, Batch | None]:
        """The webhook as it is now, and the batch in hand: the one from before, or a dead letter to be sent again."""
        tables = self._around.tables
        subscription = tables.subscriptions.get(self.id)
        batch = tables.batches.current(self.id) or tables.batches.take_waiting(self.id, self._clock.now())
        return subscription, batch

    def _read_again(self, batch: Batch) -> bytes | None:
        """The body of a batch from before; None when the feed has none of its events any more."""
        content = gather(self._around.feed, batch.start, batch.filter, Limits(batch.events, ANY_SIZE), batch.end)
        if content.events < batch.events:
            self._log.error(
                "the feed has not all events of a batch any more",
                batch=batch.batch_id,
                events=batch.events,
                left=content.events,
            )
        return content.body if content.events else None

    async def _collect(self, subscription: Subscription) -> tuple[Batch, bytes] | None:
        """Wait until a batch is full or its time is over; None when the webhook has changed meanwhile."""
        webhook, settings = subscription.webhook, self._around.settings
        limits = Limits(webhook.batch_size or settings.batch_size, self._max_octets)
        patience = settings.batch_seconds if webhook.batch_seconds is None else webhook.batch_seconds
        waiting = Waiting(0, 0, subscription.position)
        until: float | None = None
        while not self._woken.is_set():
            waiting = await self._in_reader(count, self._around.feed, waiting, webhook.filter, limits.events)
            now = self._clock.monotonic()
            if waiting.events and until is None:
                until = now + time_left(patience, waiting.first_ms / 1000, self._clock.now())
            self._show(waiting)
            if waiting.events == limits.events or (until is not None and now >= until and not waiting.more):
                return await self._in_reader(self._form, subscription, limits, waiting.first_ms / 1000 + patience)
            if not waiting.events:
                await self._advance(subscription, waiting.position)
            if not waiting.more:
                await self._grown(waiting.position, _IDLE_SECONDS if until is None else until - now)
        return None

    def _form(self, subscription: Subscription, limits: Limits, due: float) -> tuple[Batch, bytes] | None:
        """Make a batch, durably; None when the webhook has changed meanwhile."""
        wanted = subscription.webhook.filter
        content = gather(self._around.feed, subscription.position, wanted, limits)
        batch = Batch(
            str(uuid.uuid4()),
            subscription.position,
            content.end,
            wanted,
            content.events,
            min(due, self._clock.now()),
        )
        if not content.events or not self._around.tables.batches.form(subscription, batch):
            return None
        return batch, content.body

    async def _attempt(self, subscription: Subscription, batch: Batch, body: bytes | None) -> None:
        self._waiting_events.value = batch.events
        self.oldest = batch.due if self.oldest is None else self.oldest
        if body is None:
            answer = Answer(failure="gone", detail="the feed does not have its events any more")
            await self._give_up(batch, answer)
            return
        answer = await self._sender.send(subscription.webhook, batch.batch_id, body)
        self._seconds.observe(answer.seconds)
        self._around.metrics.counter("webhook_attempts_total", answer.code or "delivered").inc()
        if answer.ok:
            self.oldest = None
            await self._deliver(subscription, batch, answer)
        elif answer.status == 413 and batch.moves and batch.events > 1:
            await self._make_smaller(batch, answer, len(body))
        else:
            await self._fail(batch, answer)

    async def _deliver(self, subscription: Subscription, batch: Batch, answer: Answer) -> None:
        await asyncio.to_thread(self._around.tables.batches.delivered, self.id, batch, answer, self._clock.now())
        self._delivered.inc()
        self._events.inc(batch.events)
        if subscription.failing_since is not None:
            self._log.info("a webhook's target takes batches again", batch=batch.batch_id)
        await asyncio.to_thread(self._tell_position)

    async def _make_smaller(self, batch: Batch, answer: Answer, octets: int) -> None:
        """The target says that it is too large (RFC 9110 §15.5.14): the same events come again in smaller batches."""
        self._max_octets = octets // 2
        await asyncio.to_thread(self._around.tables.batches.withdraw, self.id, batch, answer, self._clock.now())
        self._log.warning(
            "a batch is too large for a webhook's target, smaller ones follow", batch=batch.batch_id, size=octets
        )

    async def _fail(self, batch: Batch, answer: Answer) -> None:
        """Wait for the next attempt, or give the batch up. The state is asked for anew: the attempt took a while."""
        subscription = await asyncio.to_thread(self._around.tables.subscriptions.get, self.id)
        now = self._clock.now()
        failing_since = subscription.failing_since
        if failing_since is None:
            target = without_secrets(subscription.webhook.target)
            self._log.warning("a webhook's target fails", target=target, batch=batch.batch_id, reason=answer.trouble)
        pause = self._around.patience.pause(
            attempts=batch.attempts + 1,
            due=batch.due,
            failing_since=now if failing_since is None else failing_since,
            now=now,
            retry_after=read_retry_after(answer.header("retry-after"), now),
        )
        if pause is None:
            await self._give_up(batch, answer)
            pause = self._around.patience.pauses[0]
        else:
            await asyncio.to_thread(self._around.tables.batches.failed, self.id, batch, answer, now)
        await self._around.pauses.wait(pause, self._woken)

    async def _give_up(self, batch: Batch, answer: Answer) -> None:
        now = self._clock.now()
        await asyncio.to_thread(self._around.tables.batches.give_up, self.id, batch, answer, now)
        self._dead.inc()
        self.oldest = None
        self._log.error(
            "a batch of a webhook is a dead letter",
            batch=batch.batch_id,
            events=batch.events,
            attempts=batch.attempts + 1,
            reason=answer.trouble,
        )
        await asyncio.to_thread(self._tell_position)

    async def _advance(self, subscription: Subscription, position: Position) -> None:
        """Keep from time to time that nothing up to here was for this webhook, so that the feed may forget it."""
        now = self._clock.monotonic()
        if position != subscription.position and (self._advanced is None or now - self._advanced >= _ADVANCE_SECONDS):
            self._advanced = now
            await asyncio.to_thread(self._around.tables.subscriptions.advance, subscription, position)
            await asyncio.to_thread(self._tell_position)

    def _tell_position(self) -> None:
        """Say where this webhook is, for the feed's retention; the file of webhooks is what counts."""
        self._around.positions.keep(self.consumer, self._around.tables.subscriptions.get(self.id).position)

    async def _grown(self, position: Position, seconds: float) -> None:
        """Wait until the feed has more, the time is over, or the webhook has changed; then a moment for more still."""
        growing = asyncio.ensure_future(self._around.feed.grown(position, seconds))
        woken = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait({growing, woken}, return_when=asyncio.FIRST_COMPLETED)
            has_grown = growing.done() and growing.result()
        finally:
            for task in (growing, woken):
                task.cancel()
            await asyncio.gather(growing, woken, return_exceptions=True)
        if has_grown:
            await self._around.pauses.wait(min(_GATHERING_SECONDS, seconds), self._woken)

    def _show(self, waiting: Waiting) -> None:
        self._waiting_events.value = waiting.events
        self.oldest = waiting.first_ms / 1000 if waiting.events else None


def time_left(patience: float, first: float, now: float) -> float:
    """Seconds that a batch still waits for more events after its first one, which happened at `first`.

    One that happened a while ago, before a restart or in a backlog, has waited already; a clock that was set back
    makes none wait longer than `patience`.
    """
    return min(max(patience - (now - first), 0.0), patience)
