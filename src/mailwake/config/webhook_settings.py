"""Webhooks: how batches of events are delivered to HTTP targets, and targets that stand in the configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from mailwake.config import kinds
from mailwake.config.fields import Setting
from mailwake.config.networks import IPNetwork

BATCH_EVENTS = 10_000
BATCH_SECONDS = 30.0
LONGEST_BATCH_SECONDS = 3600.0
"""No batch waits longer for more events, whatever a webhook asks for."""


# RFC 9110 §5.1 and §5.5, ASCII only.
_HEADER = kinds.text(pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*", allowed='a header like "X-Api-Key: abcd"')


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookDelivery:
    """How batches are delivered; holds for all webhooks, those of the API and those of the configuration."""

    batch_size: Annotated[
        int, Setting("Events of one batch at most, where a webhook does not say less.", kinds.integer(1, BATCH_EVENTS))
    ] = BATCH_EVENTS
    batch_seconds: Annotated[
        float,
        Setting(
            "How long a batch waits for more events after its first one, where a webhook does not say otherwise.",
            kinds.duration(0, LONGEST_BATCH_SECONDS),
        ),
    ] = BATCH_SECONDS
    max_body_size: Annotated[
        int, Setting("Octets of a batch at most, before compression.", kinds.size(64 << 10, 64 << 20))
    ] = 10 << 20
    timeout: Annotated[
        float,
        Setting(
            "How long a target may take for all of its answer, and a second more for each 256 KiB sent.",
            kinds.duration(0.1, 600),
        ),
    ] = 6
    retry_schedule: Annotated[
        tuple[float, ...],
        Setting(
            "The pauses after each failed attempt; the last one repeats.",
            kinds.list_of(kinds.duration(0.1, 86400), minimum=1),
        ),
    ] = (5, 10, 20, 40, 80, 160, 320, 600)
    retry_for: Annotated[
        float,
        Setting(
            "How long a batch is tried before it is a dead letter, counted while its target takes nothing at all.",
            kinds.duration(0, 60 * 86400),
        ),
    ] = 4 * 3600
    dead_letter_retention: Annotated[
        float,
        Setting(
            "How long a dead letter is listed; its events go earlier if the feed does.", kinds.duration(0, 370 * 86400)
        ),
    ] = 30 * 86400
    allow_http: Annotated[
        bool, Setting("Whether targets may be http, where everyone on the way can read the events.", kinds.flag())
    ] = False
    allow_private_targets: Annotated[
        tuple[IPNetwork, ...],
        Setting(
            "Networks that are not the public internet in which targets may be all the same, like those of this site.",
            kinds.list_of(kinds.network()),
        ),
    ] = ()
    ports: Annotated[
        tuple[int, ...],
        Setting(
            "The only ports that targets may have; an empty list means 80, 443 and all from 1024 up.",
            kinds.list_of(kinds.integer(1, 65535)),
        ),
    ] = ()
    tls_ca_file: Annotated[
        Path | None,
        Setting(
            "Further authorities (PEM) that may sign targets' certificates.",
            kinds.path(),
            unset="those of the system only",
            example='"/etc/mailwake/tls/authorities.pem"',
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfiguredWebhook:
    """A target that gets batches of events; the API shows it, but it is changed here only."""

    target: Annotated[
        str,
        Setting(
            "The URL that batches are POSTed to.",
            kinds.text(pattern=r"https?://[\x21-\x7e]+", allowed="an http or https URL in ASCII"),
            example='"https://example.com/events"',
        ),
    ]
    events: Annotated[
        tuple[str, ...],
        Setting(
            "The types of events it gets; an empty list means all.",
            kinds.list_of(kinds.text(pattern="[a-z_]+", allowed='a type of event like "click"')),
        ),
    ] = ()
    customer_id: Annotated[
        str | None,
        Setting("The only customer whose events it gets.", kinds.text(), unset="it gets those of all", example='"42"'),
    ] = None
    active: Annotated[bool, Setting("Whether batches are sent to it now.", kinds.flag())] = True
    username: Annotated[
        str | None, Setting("The name for Basic authentication.", kinds.text(), unset="none", example='"mailwake"')
    ] = None
    password: Annotated[
        str | None,
        Setting("The password for Basic authentication.", kinds.password(), unset="empty", example='"secret"'),
    ] = None
    oauth_token_url: Annotated[
        str | None,
        Setting(
            "Where tokens are fetched (OAuth 2.0 client credentials, RFC 6749 §4.4).",
            kinds.text(pattern=r"https?://[\x21-\x7e]+", allowed="an http or https URL in ASCII"),
            unset="no OAuth 2.0",
            example='"https://login.example.com/oauth/token"',
        ),
    ] = None
    oauth_client_id: Annotated[
        str | None, Setting("The client's id there.", kinds.text(), unset="none", example='"mailwake"')
    ] = None
    oauth_client_secret: Annotated[
        str | None, Setting("The client's secret there.", kinds.password(), unset="none", example='"secret"')
    ] = None
    oauth_scope: Annotated[
        str | None, Setting("The scope that is asked for.", kinds.text(), unset="none", example='"events"')
    ] = None
    auth_token: Annotated[
        str | None,
        Setting(
            "What X-MessageSystems-Webhook-Token says.",
            kinds.password(),
            unset="no such header is sent",
            example='"secret"',
        ),
    ] = None
    custom_headers: Annotated[
        tuple[str, ...],
        Setting(
            "Further headers of each request.",
            replace(kinds.list_of(_HEADER), hidden=True),
        ),
    ] = ()
    signing_secret: Annotated[
        str | None,
        Setting(
            "The secret of its signatures.",
            kinds.password(),
            unset="drawn at first start; `mailwake webhooks show` tells it",
            example='"whsec_ and what `openssl rand -base64 32` prints"',
        ),
    ] = None
    gzip: Annotated[bool, Setting("Whether bodies are compressed (Content-Encoding: gzip).", kinds.flag())] = False
    batch_size: Annotated[
        int | None,
        Setting(
            "Events of one batch at most.",
            kinds.integer(1, BATCH_EVENTS),
            unset="that of [webhook_delivery]",
            example="500",
        ),
    ] = None
    batch_seconds: Annotated[
        float | None,
        Setting(
            "How long a batch waits for more events after its first one.",
            kinds.duration(0, LONGEST_BATCH_SECONDS),
            unset="that of [webhook_delivery]",
            example='"5s"',
        ),
    ] = None
