"""JSON schemas and examples of webhooks; `webhooks/request_body.py` validates them, and a test compares both."""

from __future__ import annotations

from typing import Any

from mailwake.api.documentation_routes import TYPES
from mailwake.api.schemas import Schema, array, flag, members, text, whole
from mailwake.config.webhook_settings import BATCH_EVENTS, LONGEST_BATCH_SECONDS

ID = "12affc24-f183-4e03-9234-3c15c2c818c2"

FIELDS: dict[str, Schema] = {
    "name": text("What it is called.", maxLength=200),
    "target": text("The URL that batches are POSTed to.", format="uri"),
    "events": array(text(), f"The types of events that it gets: {', '.join(TYPES)}; the vendor's others, too."),
    "active": flag("Whether anything is sent; what comes meanwhile waits."),
    "custom_headers": members(
        {}, required=(), additionalProperties=text(), description="Further headers of each POST."
    ),
    "auth_type": text("How the target knows us.", enum=["none", "basic", "oauth2"]),
    "auth_credentials": members(
        {"username": text(), "password": text()}, required=(), description="For `basic`: name and password."
    ),
    "auth_request_details": members(
        {"url": text(format="uri"), "body": members({}, required=(), additionalProperties=text())},
        required=(),
        description="For `oauth2`: where an access token is asked for, and the fields of that form.",
    ),
    "auth_token": text("Sent as X-MessageSystems-Webhook-Token."),
    "customer_id": text("The only customer whose events it gets; a key that is bound to one sets it."),
    "exception_subaccounts": array(text(), "Customers whose events it does not get."),
    "signing_secret": text("The secret of its signatures (Standard Webhooks); one is made where none is given."),
    "gzip": flag("Whether batches are compressed."),
    "batch_size": {**whole("Events of a batch at most."), "minimum": 1, "maximum": BATCH_EVENTS},
    "batch_seconds": {
        "type": "number",
        "minimum": 0,
        "maximum": LONGEST_BATCH_SECONDS,
        "description": "How long a batch is waited for until it is full.",
    },
}
"""What can be said of a webhook."""

NEW_WEBHOOK = members(FIELDS, required=("name", "target", "events"))
CHANGED_WEBHOOK = members(FIELDS, required=())

NEW_EXAMPLE: dict[str, Any] = {
    "name": "Example webhook",
    "target": "https://client.example.com/example-webhook",
    "events": ["delivery", "injection", "open", "click"],
    "auth_type": "basic",
    "auth_credentials": {"username": "basicauthuser", "password": "mypassword"},
    "custom_headers": {"x-api-key": "abcd"},
}
CHANGE_EXAMPLE = {"name": "Renamed webhook", "events": ["bounce", "delay"]}

LINKS = array(members({"href": text(), "rel": text(), "method": array(text())}))

SHOWN = members(
    {
        "id": text(),
        **FIELDS,
        "read_only": flag("Whether it stands in the configuration file, so that the API cannot change it."),
        "last_successful": text("When a batch was last taken.", format="date-time"),
        "last_failure": text("When a batch was last not taken.", format="date-time"),
        "failing_since": text("When the failures began that go on.", format="date-time"),
        "links": LINKS,
    },
    required=("id", "name", "target", "events", "active", "links"),
)
"""A webhook as it is shown, its secrets hidden."""

SHOWN_EXAMPLE: dict[str, Any] = {
    "id": ID,
    "name": "Example webhook",
    "target": "https://client.example.com/example-webhook",
    "events": ["delivery", "injection", "open", "click"],
    "active": True,
    "auth_type": "basic",
    "auth_request_details": {},
    "auth_credentials": {"username": "basicauthuser", "password": "(hidden)"},
    "auth_token": "",
    "custom_headers": {"x-api-key": "(hidden)"},
    "exception_subaccounts": [],
    "gzip": False,
    "read_only": False,
    "last_successful": "2026-03-01T12:00:00.000Z",
}

ANSWER = members({"status": whole(), "headers": {"type": "object"}, "body": text()})
"""What a target has answered to a test."""

BATCH = members(
    {
        "batch_id": text("The same for all attempts: X-MessageSystems-Batch-ID."),
        "ts": text("When it was last tried.", format="date-time"),
        "attempts": whole(),
        "response_code": text("What the target answered."),
        "failure_code": text("Why it failed."),
        "latency": whole("Milliseconds that the answer took."),
        "batch_size": whole("Events in it."),
        "state": text("What became of it."),
    },
    required=("batch_id", "attempts", "batch_size"),
)
DEAD_LETTER = members(
    {
        **BATCH["properties"],
        "due": text("When it was to be sent.", format="date-time"),
        "from": text("Where it begins in the feed."),
        "to": text("Where it ends in the feed."),
        "events_available": whole("How many of its events the feed still has."),
    },
    required=("batch_id", "attempts", "batch_size", "events_available"),
)
BATCH_EXAMPLE = {
    "batch_id": "032d3305-4029-48f5-8e8b-cc1373f3cfd0",
    "ts": "2026-03-01T12:00:00.000Z",
    "attempts": 7,
    "response_code": "200",
    "latency": 160,
    "batch_size": 1204,
    "state": "delivered",
}
