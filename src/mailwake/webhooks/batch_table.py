"""Batches in the file: the one in hand, those that were delivered lately, and the dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mailwake.feed.contract import Position
from mailwake.webhooks.batch import Batch
from mailwake.webhooks.webhook import EventFilter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mailwake.webhooks.database import WebhooksDatabase
    from mailwake.webhooks.posting import Answer
    from mailwake.webhooks.subscription_table import Subscription

KEPT_DELIVERED = 1_000
"""Batches that are done with whose status is kept for each webhook."""

KEPT_SECONDS = 7 * 86400.0
"""For how long it is kept."""

_encode = msgspec.json.Encoder().encode
_decode_filter = msgspec.json.Decoder(EventFilter).decode

_COLUMNS = (
    "batch_id, from_segment, from_place, to_segment, to_place, filter, events, due, moves, attempts, "
    "state, attempted, response_code, failure_code, latency"
)


class BatchStatus(NamedTuple):
    """A batch, and what came of its last attempt; 0, empty or None where there was none."""

    batch: Batch
    state: str
    """`current`, `delivered`, `dead`, `waiting` for its replay, or `withdrawn`, as it was too large."""
    attempted: float | None
    response_code: int
    failure_code: str
    latency: float | None
    """Seconds."""


class BatchTable:
    """The batches of all webhooks; when a call returns, what it has changed is durable. WebhooksFileError otherwise."""

    def __init__(self, database: WebhooksDatabase) -> None:
        self._database = database

    def current(self, webhook_id: str) -> Batch | None:
        """The batch in hand."""
        found = self._select("webhook = ? AND state = 'current'", (webhook_id,))
        return found[0].batch if found else None

    def form(self, subscription: Subscription, batch: Batch) -> bool:
        """Take a batch in hand before its first attempt; False when the webhook has changed meanwhile."""
        with self._database.changing() as database:
            found = database.execute(
                "SELECT revision FROM webhooks WHERE id = ?", (subscription.webhook.id,)
            ).fetchone()
            if found != (subscription.revision,):
                return False
            database.execute(
                "INSERT INTO batches (webhook, batch_id, state, moves, filter, from_segment, from_place, to_segment,"
                " to_place, events, due) VALUES (?, ?, 'current', 1, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(subscription.webhook.id, batch.batch_id, _encode(batch.filter)),
                    *(*batch.start, *batch.end, batch.events, batch.due),
                ),
            )
        return True

    def take_waiting(self, webhook_id: str, now: float) -> Batch | None:
        """Take the oldest dead letter in hand whose replay was asked for; it is tried for as long as a new batch."""
        with self._database.changing() as database:
            database.execute(
                "UPDATE batches SET state = 'current', moves = 0, attempts = 0, due = ? WHERE number = "
                "(SELECT min(number) FROM batches WHERE webhook = ? AND state = 'waiting')",
                (now, webhook_id),
            )
        return self.current(webhook_id)

    def delivered(self, webhook_id: str, batch: Batch, answer: Answer, now: float) -> bool:
        """The target has it; False when it was withdrawn meanwhile, and the webhook stays where it was put."""
        with self._database.changing() as database:
            database.execute(
                "UPDATE webhooks SET last_successful = ?, failing_since = NULL WHERE id = ?", (now, webhook_id)
            )
            return _end(database, webhook_id, batch, answer, now, "delivered")

    def failed(self, webhook_id: str, batch: Batch, answer: Answer, now: float) -> None:
        """One more attempt has failed."""
        with self._database.changing() as database:
            _note_failure(database, webhook_id, now)
            database.execute(
                "UPDATE batches SET attempts = attempts + 1, attempted = ?, response_code = ?, failure_code = ?, "
                "latency = ? WHERE batch_id = ?",
                (now, answer.status, answer.code, answer.seconds, batch.batch_id),
            )

    def give_up(self, webhook_id: str, batch: Batch, answer: Answer, now: float) -> bool:
        """It is a dead letter after this attempt; False as for `delivered`."""
        with self._database.changing() as database:
            _note_failure(database, webhook_id, now)
            return _end(database, webhook_id, batch, answer, now, "dead")

    def withdraw(self, webhook_id: str, batch: Batch, answer: Answer, now: float) -> None:
        """It is too large for its target: its events are to come again in smaller batches."""
        with self._database.changing() as database:
            _end(database, webhook_id, batch._replace(moves=False), answer, now, "withdrawn")

    def status(self, webhook_id: str, limit: int) -> list[BatchStatus]:
        """Batches that were tried, the latest first."""
        return self._select("webhook = ? AND attempted IS NOT NULL", (webhook_id,), newest=True, limit=limit)

    def dead(self, webhook_id: str) -> list[BatchStatus]:
        """The dead letters, the oldest first, and those that wait for their replay."""
        return self._select("webhook = ? AND state IN ('dead', 'waiting')", (webhook_id,))

    def dead_counts(self) -> dict[str, int]:
        """How many dead letters each webhook has."""
        with self._database.reading() as database:
            rows = database.execute("SELECT webhook, count(*) FROM batches WHERE state = 'dead' GROUP BY webhook")
            return dict(rows.fetchall())

    def replay(self, webhook_id: str, batch_ids: Sequence[str] | None) -> int:
        """Have these dead letters sent again, None: all; how many there were. The webhook's revision changes."""
        with self._database.changing() as database:
            clause, names = _among(batch_ids)
            changed = database.execute(
                f"UPDATE batches SET state = 'waiting' WHERE webhook = ? AND state = 'dead'{clause}",  # noqa: S608
                (webhook_id, *names),
            ).rowcount
            database.execute("UPDATE webhooks SET revision = revision + 1 WHERE id = ?", (webhook_id,))
        return changed

    def drop(self, webhook_id: str, batch_ids: Sequence[str] | None) -> int:
        """Forget these dead letters, None: all; how many there were."""
        with self._database.changing() as database:
            clause, names = _among(batch_ids)
            return database.execute(
                f"DELETE FROM batches WHERE webhook = ? AND state IN ('dead', 'waiting'){clause}",  # noqa: S608
                (webhook_id, *names),
            ).rowcount

    def forget_dead(self, before: float) -> int:
        """Forget dead letters whose last attempt was earlier than this; how many there were."""
        with self._database.changing() as database:
            return database.execute("DELETE FROM batches WHERE state = 'dead' AND attempted < ?", (before,)).rowcount

    def _select(
        self, where: str, values: tuple[object, ...], *, newest: bool = False, limit: int = -1
    ) -> list[BatchStatus]:
        order = "attempted DESC, number DESC" if newest else "number"
        with self._database.reading() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM batches WHERE {where} ORDER BY {order} LIMIT ?",  # noqa: S608
                (*values, limit),
            ).fetchall()
        return [_status(*row) for row in rows]


def _note_failure(database: sqlite3.Connection, webhook_id: str, now: float) -> None:
    database.execute(
        "UPDATE webhooks SET last_failure = ?, failing_since = ifnull(failing_since, ?) WHERE id = ?",
        (now, now, webhook_id),
    )


def _end(database: sqlite3.Connection, webhook_id: str, batch: Batch, answer: Answer, now: float, state: str) -> bool:
    ended = database.execute(
        "UPDATE batches SET state = ?, attempts = attempts + 1, attempted = ?, response_code = ?, failure_code = ?, "
        "latency = ? WHERE batch_id = ? AND state = 'current'",
        (state, now, answer.status, answer.code, answer.seconds, batch.batch_id),
    ).rowcount
    if ended and batch.moves:
        database.execute("UPDATE webhooks SET segment = ?, place = ? WHERE id = ?", (*batch.end, webhook_id))
    done_with = "FROM batches WHERE webhook = ? AND state IN ('delivered', 'withdrawn')"
    database.execute(
        f"DELETE {done_with} AND (attempted < ? OR number <= "
        f"(SELECT number {done_with} ORDER BY number DESC LIMIT 1 OFFSET ?))",
        (webhook_id, now - KEPT_SECONDS, webhook_id, KEPT_DELIVERED),
    )
    return ended > 0


def _among(batch_ids: Sequence[str] | None) -> tuple[str, Sequence[str]]:
    if batch_ids is None:
        return "", ()
    return f" AND batch_id IN ({', '.join('?' * len(batch_ids))})", batch_ids


def _status(
    batch_id: str,
    from_segment: int,
    from_place: int,
    to_segment: int,
    to_place: int,
    wanted: bytes,
    events: int,
    due: float,
    moves: int,
    attempts: int,
    *outcome: object,
) -> BatchStatus:
    batch = Batch(
        batch_id,
        Position(from_segment, from_place),
        Position(to_segment, to_place),
        _decode_filter(wanted),
        events,
        due,
        bool(moves),
        attempts,
    )
    return BatchStatus(batch, *outcome)  # type: ignore[arg-type]  # the columns' types are the table's
