"""Webhooks of the configuration: checked as those of the API are, and put into the file of webhooks at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.errors import StartupError
from mailwake.webhooks.request_body import apply
from mailwake.webhooks.signature import new_secret
from mailwake.webhooks.target_url import UrlRules
from mailwake.webhooks.webhook import EVENT_TYPES, Webhook, WebhookError, configured_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailwake.config.schema import Settings
    from mailwake.config.webhook_settings import ConfiguredWebhook
    from mailwake.feed.contract import Position
    from mailwake.webhooks.subscription_table import SubscriptionTable


def check_webhooks(settings: Settings) -> None:
    """StartupError, one line, for a webhook of the configuration that cannot be used."""
    delivery = settings.webhook_delivery
    read_configured(settings.webhooks, UrlRules(delivery.allow_http, delivery.ports))


def read_configured(webhooks: Mapping[str, ConfiguredWebhook], urls: UrlRules) -> list[Webhook]:
    """The webhooks of the configuration; StartupError for one that cannot be used."""
    return [_read(name, settings, urls) for name, settings in webhooks.items()]


def adopt(table: SubscriptionTable, webhooks: list[Webhook], end: Callable[[], Position], now: float) -> None:
    """Put them into the file: new ones get what comes from now on, known ones go on where they were.

    A webhook that stands in the configuration no more is switched off, and is the API's from then on, so that a
    name that was misspelt for a moment costs nothing.
    """
    known = {each.webhook.id: each.webhook for each in table.all()}
    for webhook in webhooks:
        former = known.pop(webhook.id, None)
        secret = webhook.signing_secret or (former.signing_secret if former is not None else "") or new_secret()
        webhook = msgspec.structs.replace(webhook, signing_secret=secret)
        if former is None:
            table.add(webhook, end(), now)
        elif former != webhook:
            table.replace(webhook)
    for former in known.values():
        if former.configured:
            table.replace(msgspec.structs.replace(former, configured=False, active=False))


def _read(name: str, settings: ConfiguredWebhook, urls: UrlRules) -> Webhook:
    new = Webhook(id=configured_id(name), name=name, target="", events=(), configured=True)
    try:
        return apply(_body(name, settings), new, urls)
    except WebhookError as error:
        raise StartupError(f"webhooks.{name}: {error.description}") from None


def _body(name: str, settings: ConfiguredWebhook) -> dict[str, Any]:
    """The same as the API would be sent."""
    body: dict[str, Any] = {
        field: value
        for field in ("target", "active", "customer_id", "auth_token", "signing_secret", "gzip", "batch_size")
        if (value := getattr(settings, field)) is not None
    }
    body |= {"name": name, "events": list(settings.events) or sorted(EVENT_TYPES)}
    if settings.batch_seconds is not None:
        body["batch_seconds"] = settings.batch_seconds
    headers = (header.partition(":") for header in settings.custom_headers)
    body["custom_headers"] = {field: value for field, _, value in headers}
    if settings.oauth_token_url is not None:
        fields = {
            "client_id": settings.oauth_client_id,
            "client_secret": settings.oauth_client_secret,
            "scope": settings.oauth_scope,
        }
        filled = {field: value for field, value in fields.items() if value is not None}
        body |= {"auth_type": "oauth2", "auth_request_details": {"url": settings.oauth_token_url, "body": filled}}
    elif settings.username is not None:
        credentials = {"username": settings.username, "password": settings.password or ""}
        body |= {"auth_type": "basic", "auth_credentials": credentials}
    return body
