"""The webhooks that there are, and how far each has come in the feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mailwake.feed.contract import Position
from mailwake.webhooks.webhook import UnknownWebhookError, Webhook

if TYPE_CHECKING:
    from mailwake.webhooks.database import WebhooksDatabase

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Webhook).decode

_COLUMNS = "definition, created, revision, segment, place, last_successful, last_failure, failing_since"


class Subscription(NamedTuple):
    """A webhook and its state; times are Unix seconds, None where there was none."""

    webhook: Webhook
    created: float
    revision: int
    """Greater after each change of the webhook, or of its position by hand."""
    position: Position
    """Behind the last event that it has had, or that was not for it."""
    last_successful: float | None
    last_failure: float | None
    failing_since: float | None
    """When the first attempt failed of those that have failed in a row."""


class SubscriptionTable:
    """Webhooks in the file; when a call returns, what it has changed is durable. WebhooksFileError when that fails."""

    def __init__(self, database: WebhooksDatabase) -> None:
        self._database = database

    def all(self) -> list[Subscription]:
        """Every webhook, the oldest first."""
        with self._database.reading() as database:
            rows = database.execute(f"SELECT {_COLUMNS} FROM webhooks ORDER BY created, id").fetchall()  # noqa: S608
        return [_subscription(row) for row in rows]

    def get(self, webhook_id: str) -> Subscription:
        """The webhook with this id; UnknownWebhookError."""
        with self._database.reading() as database:
            row = database.execute(f"SELECT {_COLUMNS} FROM webhooks WHERE id = ?", (webhook_id,)).fetchone()  # noqa: S608
        if row is None:
            raise UnknownWebhookError(webhook_id)
        return _subscription(row)

    def revisions(self) -> dict[str, int]:
        """Every webhook's id, and its revision: what to look at for whoever waits for changes."""
        with self._database.reading() as database:
            return dict(database.execute("SELECT id, revision FROM webhooks").fetchall())

    def add(self, webhook: Webhook, position: Position, now: float) -> None:
        """A new webhook that gets what comes behind `position`."""
        with self._database.changing() as database:
            database.execute(
                "INSERT INTO webhooks (id, definition, created, segment, place) VALUES (?, ?, ?, ?, ?)",
                (webhook.id, _encode(webhook), now, *position),
            )

    def replace(self, webhook: Webhook) -> None:
        """The webhook has changed; UnknownWebhookError when it was removed meanwhile."""
        with self._database.changing() as database:
            changed = database.execute(
                "UPDATE webhooks SET definition = ?, revision = revision + 1 WHERE id = ?",
                (_encode(webhook), webhook.id),
            ).rowcount
        if not changed:
            raise UnknownWebhookError(webhook.id)

    def remove(self, webhook_id: str) -> None:
        """Forget it, with its batches and dead letters; UnknownWebhookError."""
        with self._database.changing() as database:
            if not database.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,)).rowcount:
                raise UnknownWebhookError(webhook_id)

    def advance(self, subscription: Subscription, position: Position) -> None:
        """Nothing up to `position` was for it; nothing happens where it has changed meanwhile."""
        with self._database.changing() as database:
            database.execute(
                "UPDATE webhooks SET segment = ?, place = ? WHERE id = ? AND revision = ?",
                (*position, subscription.webhook.id, subscription.revision),
            )

    def move(self, webhook_id: str, position: Position) -> None:
        """Set the position by hand: it gets what comes behind it, again or for the first time.

        The batch in hand is given up where it is not the replay of a dead letter: its events come again in another
        one if they are behind the position, and are passed over if they are not.
        """
        with self._database.changing() as database:
            changed = database.execute(
                "UPDATE webhooks SET segment = ?, place = ?, revision = revision + 1 WHERE id = ?",
                (*position, webhook_id),
            ).rowcount
            if not changed:
                raise UnknownWebhookError(webhook_id)
            database.execute("DELETE FROM batches WHERE webhook = ? AND state = 'current' AND moves = 1", (webhook_id,))


def _subscription(
    row: tuple[bytes, float, int, int, int, float | None, float | None, float | None],
) -> Subscription:
    definition, created, revision, segment, place, *times = row
    return Subscription(_decode(definition), created, revision, Position(segment, place), *times)
