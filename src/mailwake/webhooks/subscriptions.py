"""What can be done with webhooks: the API's routes and the command line call this, in the vendor's terms.

Every call may be given the only customer whose webhooks the caller sees; others are as if they were not there. All
raise WebhookError (with HTTP status, code, message and description) for what cannot be done, and WebhooksFileError
or FeedError when a disk fails. Secrets are never in what is shown, but for `create`, `rotate_secret` and `secret`.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mailwake.events.wire import iso_time
from mailwake.webhooks.batch import ANY_SIZE, PAGE_EVENTS, TEST_BODY, Limits, Waiting, count, gather
from mailwake.webhooks.request_body import apply, required
from mailwake.webhooks.sending import Sender
from mailwake.webhooks.shown import shown_answer, shown_batch, shown_dead_letter, shown_webhook
from mailwake.webhooks.signature import new_secret
from mailwake.webhooks.webhook import FormerSecret, UnknownWebhookError, Webhook, WebhookError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mailwake.clock import Clock
    from mailwake.feed.contract import EventFeed, Position, Positions
    from mailwake.webhooks.batch import Batch
    from mailwake.webhooks.batch_table import BatchTable
    from mailwake.webhooks.posting import Answer, Poster
    from mailwake.webhooks.subscription_table import Subscription, SubscriptionTable
    from mailwake.webhooks.target_url import UrlRules

Shown = dict[str, Any]
"""A JSON object, ready to be answered."""

ROTATION_SECONDS = 86400.0
"""For how long requests are signed with a replaced secret too."""

MAX_STATUS = 1_000
"""Batches that `batch_status` shows at most."""


class Standing(NamedTuple):
    """How far a webhook is: what waits for it in the feed, and what was given up."""

    waiting: int
    """Events for it that its target has not had."""
    more: bool
    """Whether there may be more of them than were counted (MOST_COUNTED)."""
    oldest: float | None
    """When the first of them happened, Unix seconds."""
    dead_letters: int


MOST_COUNTED = 10_000
"""Events of the feed that are looked at to see what waits; who is further behind than that is far behind."""


class Tables(NamedTuple):
    """The file of webhooks."""

    subscriptions: SubscriptionTable
    batches: BatchTable


class Subscriptions:
    """Webhooks as they are made, changed, asked for and removed; `changed` is called after each change."""

    def __init__(
        self,
        tables: Tables,
        feed: EventFeed,
        positions: Positions,
        *,
        poster: Poster,
        urls: UrlRules,
        clock: Clock,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._tables = tables
        self._feed = feed
        self._positions = positions
        self._poster = poster
        self._urls = urls
        self._clock = clock
        self._changed = changed

    async def create(self, body: object, *, customer: str | None = None) -> Shown:
        """Make a webhook, once its target has answered a test batch with 200; shows its id and its signing secret.

        It gets the events that come from now on.
        """
        required(body, "name", "target", "events")
        new = Webhook(id=str(uuid.uuid4()), name="", target="", events=(), signing_secret=new_secret())
        webhook = _bound(apply(body, new, self._urls), customer)
        await self._test(webhook)
        position = await asyncio.to_thread(self._feed.end)
        await asyncio.to_thread(self._positions.keep, webhook.consumer, position)
        await asyncio.to_thread(self._tables.subscriptions.add, webhook, position, self._clock.now())
        self._changed()
        return {"id": webhook.id, "signing_secret": webhook.signing_secret}

    async def all(self, *, customer: str | None = None) -> list[Shown]:
        """All webhooks, the oldest first."""
        found = await asyncio.to_thread(self._tables.subscriptions.all)
        return [shown_webhook(each) for each in found if _visible(each, customer)]

    async def get(self, webhook_id: str, *, customer: str | None = None) -> Shown:
        """One webhook."""
        return shown_webhook(await self._find(webhook_id, customer))

    async def standings(self, *, customer: str | None = None) -> dict[str, Standing]:
        """How far each webhook is, by its id."""
        found = await asyncio.to_thread(self._tables.subscriptions.all)
        dead = await asyncio.to_thread(self._tables.batches.dead_counts)
        visible = [each for each in found if _visible(each, customer)]
        return {each.webhook.id: await asyncio.to_thread(self._standing, each, dead) for each in visible}

    def _standing(self, found: Subscription, dead: Mapping[str, int]) -> Standing:
        waiting = Waiting(0, 0, found.position, more=found.webhook.active)
        looked = 0
        while waiting.more and looked < MOST_COUNTED:
            waiting = count(self._feed, waiting, found.webhook.filter, MOST_COUNTED)
            looked += PAGE_EVENTS
        oldest = waiting.first_ms / 1000 if waiting.events else None
        return Standing(waiting.events, waiting.more, oldest, dead.get(found.webhook.id, 0))

    async def update(self, webhook_id: str, body: object, *, customer: str | None = None) -> Shown:
        """Change the given fields; a new target or new credentials are tested first, as for `create`."""
        former = (await self._find_changeable(webhook_id, customer)).webhook
        webhook = _bound(apply(body, former, self._urls), customer)
        if webhook.active and _sends_elsewhere(former, webhook):
            await self._test(webhook)
        await asyncio.to_thread(self._tables.subscriptions.replace, webhook)
        self._changed()
        return {"id": webhook.id}

    async def delete(self, webhook_id: str, *, customer: str | None = None) -> None:
        """Remove it with its dead letters; a batch on its way may still arrive."""
        found = await self._find_changeable(webhook_id, customer)
        await asyncio.to_thread(self._tables.subscriptions.remove, webhook_id)
        await asyncio.to_thread(self._positions.forget, found.webhook.consumer)
        self._changed()

    async def validate(self, webhook_id: str, body: object = None, *, customer: str | None = None) -> Shown:
        """Send a batch of one event to the target, `message` of the body or an empty one; shows what it answered."""
        webhook = (await self._find(webhook_id, customer)).webhook
        message = body.get("message") if isinstance(body, dict) else None
        if message is not None and not isinstance(message, dict):
            raise WebhookError(422, "1300", "invalid data format/type", "'message' must be an object")
        sent = TEST_BODY if message is None else msgspec.json.encode([message])
        answer = await self._send_test(webhook, sent)
        if answer.status != 200 or answer.failure:
            raise _target_failed(answer)
        return {"msg": "Test POST to endpoint succeeded", "response": shown_answer(answer)}

    async def batch_status(
        self, webhook_id: str, *, limit: int = MAX_STATUS, customer: str | None = None
    ) -> list[Shown]:
        """The batches that were tried lately, the latest first, with what came of their last attempt."""
        await self._find(webhook_id, customer)
        limit = max(1, min(limit, MAX_STATUS))
        return [shown_batch(each) for each in await asyncio.to_thread(self._tables.batches.status, webhook_id, limit)]

    async def dead_letters(self, webhook_id: str, *, customer: str | None = None) -> list[Shown]:
        """The batches that were given up, the oldest first, and whether the feed still has their events."""
        await self._find(webhook_id, customer)
        return await asyncio.to_thread(self._dead_letters, webhook_id)

    def _dead_letters(self, webhook_id: str) -> list[Shown]:
        dead = self._tables.batches.dead(webhook_id)
        beginning = self._feed.seek(0) if dead else None
        return [shown_dead_letter(each, self._available(each.batch, beginning)) for each in dead]

    def _available(self, batch: Batch, beginning: Position | None) -> int:
        """How many events of the batch the feed still has; they are counted where it begins in the middle of them."""
        if beginning is None or batch.start >= beginning:
            return batch.events
        if batch.end <= beginning:
            return 0
        return gather(self._feed, batch.start, batch.filter, Limits(batch.events, ANY_SIZE), batch.end).events

    async def replay_dead_letters(
        self, webhook_id: str, batch_ids: Sequence[str] | None = None, *, customer: str | None = None
    ) -> int:
        """Have these dead letters sent again under their own batch ids, before anything new; None: all. How many."""
        await self._find(webhook_id, customer)
        count = await asyncio.to_thread(self._tables.batches.replay, webhook_id, batch_ids)
        self._changed()
        return _some(count, batch_ids)

    async def drop_dead_letters(
        self, webhook_id: str, batch_ids: Sequence[str] | None = None, *, customer: str | None = None
    ) -> int:
        """Forget these dead letters, None: all; how many."""
        await self._find(webhook_id, customer)
        count = await asyncio.to_thread(self._tables.batches.drop, webhook_id, batch_ids)
        self._changed()
        return _some(count, batch_ids)

    async def replay_from(
        self, webhook_id: str, time_ms: int, *, customer: str | None = None, now: float | None = None
    ) -> Shown:
        """Send all events again that came at this time (Unix milliseconds) or later, in new batches.

        A webhook that is not so far yet goes on where it is: a replay passes over nothing. Only a time that is not
        past, now at the earliest, passes over all that waits. Shows where it goes on; events that retention has
        taken are not sent.
        """
        found = await self._find(webhook_id, customer)
        position = await asyncio.to_thread(self._feed.seek, time_ms)
        if found.position < position and time_ms / 1000 < (self._clock.now() if now is None else now):
            position = found.position
        else:
            await asyncio.to_thread(self._positions.keep, found.webhook.consumer, position)
            await asyncio.to_thread(self._tables.subscriptions.move, webhook_id, position)
            self._changed()
        return {"id": webhook_id, "from": iso_time(time_ms), "position": str(position)}

    async def rotate_secret(self, webhook_id: str, *, customer: str | None = None) -> Shown:
        """A new signing secret; requests are signed with the former one too for ROTATION_SECONDS."""
        webhook = (await self._find_changeable(webhook_id, customer)).webhook
        now = self._clock.now()
        former = [FormerSecret(webhook.signing_secret, now + ROTATION_SECONDS)] if webhook.signing_secret else []
        former += [each for each in webhook.former_secrets if now < each.until]
        changed = msgspec.structs.replace(webhook, signing_secret=new_secret(), former_secrets=tuple(former[:2]))
        await asyncio.to_thread(self._tables.subscriptions.replace, changed)
        self._changed()
        return {"id": webhook.id, "signing_secret": changed.signing_secret}

    async def secret(self, webhook_id: str) -> str:
        """Its signing secret, for the operator."""
        return (await self._find(webhook_id, None)).webhook.signing_secret

    async def _find(self, webhook_id: str, customer: str | None) -> Subscription:
        found = await asyncio.to_thread(self._tables.subscriptions.get, webhook_id)
        if not _visible(found, customer):
            raise UnknownWebhookError(webhook_id)
        return found

    async def _find_changeable(self, webhook_id: str, customer: str | None) -> Subscription:
        found = await self._find(webhook_id, customer)
        if found.webhook.configured:
            raise WebhookError(
                409,
                "1602",
                "resource in use",
                f"it is [webhooks.{found.webhook.name}] of the configuration: change it there",
            )
        return found

    async def _test(self, webhook: Webhook) -> None:
        answer = await self._send_test(webhook, TEST_BODY)
        if answer.status != 200 or answer.failure:
            raise _target_failed(answer)

    async def _send_test(self, webhook: Webhook, body: bytes) -> Answer:
        return await Sender(self._poster, self._clock).send(webhook, str(uuid.uuid4()), body)


def _visible(subscription: Subscription, customer: str | None) -> bool:
    return customer is None or subscription.webhook.customer_id == customer


def _bound(webhook: Webhook, customer: str | None) -> Webhook:
    """The webhook as one of this customer; another customer's events cannot be asked for."""
    if customer is None:
        return webhook
    if webhook.customer_id not in ("", customer):
        raise WebhookError(403, "1100", "permission denied", f"this key is bound to customer {customer}")
    return msgspec.structs.replace(webhook, customer_id=customer)


def _sends_elsewhere(former: Webhook, webhook: Webhook) -> bool:
    """Whether the target may answer otherwise than it did: where to, as whom, or whether at all."""
    ways = (
        "target",
        "auth_type",
        "username",
        "password",
        "auth_request_details",
        "custom_headers",
        "auth_token",
        "gzip",
    )
    return any(getattr(former, way) != getattr(webhook, way) for way in ways)


def _target_failed(answer: Answer) -> WebhookError:
    what = "tokens" if answer.failure == "token" else "target"
    why = answer.trouble or f"it answered {answer.status}, not 200"
    return WebhookError(
        400, "400", f"POST to webhook {what} URL failed", f'{why}; it must answer 200 to [{{"msys":{{}}}}]'
    )


def _some(count: int, batch_ids: Sequence[str] | None) -> int:
    if batch_ids is not None and count == 0:
        raise WebhookError(404, "1600", "resource not found", f"no dead letter {', '.join(batch_ids)}")
    return count
