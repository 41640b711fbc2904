"""Webhooks, batches and dead letters as the API shows them: the vendor's names and times, and no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mailwake.events.wire import iso_time
from mailwake.webhooks.webhook import HIDDEN

if TYPE_CHECKING:
    from mailwake.webhooks.batch_table import BatchStatus
    from mailwake.webhooks.posting import Answer
    from mailwake.webhooks.subscription_table import Subscription
    from mailwake.webhooks.webhook import Webhook

_SHOWN_BODY = 4096
"""Characters of a target's answer to a test that are shown."""

HIDDEN_FIELDS = ("client_secret", "password", "refresh_token", "assertion", "client_assertion")
"""Fields of a token request that are not shown."""


def shown_webhook(subscription: Subscription) -> dict[str, Any]:
    """A webhook; what is empty by default is left out, but for what the vendor always shows."""
    webhook = subscription.webhook
    shown: dict[str, Any] = {
        "id": webhook.id,
        "name": webhook.name,
        "target": webhook.target,
        "events": list(webhook.events),
        "active": webhook.active,
        "auth_type": webhook.auth_type,
        "auth_request_details": _token_request(webhook),
        "auth_credentials": {"username": webhook.username, "password": HIDDEN} if webhook.username else {},
        "auth_token": HIDDEN if webhook.auth_token else "",
        "custom_headers": dict.fromkeys(webhook.custom_headers, HIDDEN),
        "exception_subaccounts": list(webhook.exception_subaccounts),
        "customer_id": webhook.customer_id,
        "gzip": webhook.gzip,
        "batch_size": webhook.batch_size,
        "batch_seconds": webhook.batch_seconds,
        "read_only": webhook.configured,
        "last_successful": _time(subscription.last_successful),
        "last_failure": _time(subscription.last_failure),
        "failing_since": _time(subscription.failing_since),
    }
    optional = ("last_successful", "last_failure", "failing_since", "customer_id", "batch_size", "batch_seconds")
    return {field: value for field, value in shown.items() if field not in optional or value not in (None, "")}


def shown_batch(status: BatchStatus) -> dict[str, Any]:
    """A batch with its last attempt; `latency` in milliseconds, `response_code` only where the target has answered."""
    batch = status.batch
    shown: dict[str, Any] = {
        "batch_id": batch.batch_id,
        "ts": _time(status.attempted),
        "attempts": batch.attempts,
        "response_code": status.response_code or None,
        "failure_code": status.failure_code or None,
        "latency": None if status.latency is None else round(status.latency * 1000),
        "batch_size": batch.events,
        "state": status.state,
    }
    return {field: value for field, value in shown.items() if value is not None}


def shown_dead_letter(status: BatchStatus, available: int) -> dict[str, Any]:
    """A dead letter; `events_available` says how many of its events the feed still has."""
    batch = status.batch
    return {
        **shown_batch(status),
        "due": _time(batch.due),
        "from": str(batch.start),
        "to": str(batch.end),
        "events_available": available,
    }


def shown_answer(answer: Answer) -> dict[str, Any]:
    """What a target answered to a test."""
    return {
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": answer.body.decode("utf-8", "replace")[:_SHOWN_BODY],
    }


def _token_request(webhook: Webhook) -> dict[str, Any]:
    request = webhook.auth_request_details
    if request is None:
        return {}
    body = {name: HIDDEN if name in HIDDEN_FIELDS else text for name, text in request.body.items()}
    return {"url": request.url, "body": body}


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso_time(int(seconds * 1000))
