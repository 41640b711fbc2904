"""What the API needs of the collector; of what is None, its routes say that it is not ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailwake.api.store_routes import StoreFileParts
    from mailwake.clock import Clock
    from mailwake.config.api_settings import Api
    from mailwake.control.api_keys import ApiKeys
    from mailwake.control.erasures import Erasures
    from mailwake.events.privacy import RecipientHash
    from mailwake.feed.contract import EventFeed
    from mailwake.feed.person_events import PersonEvents
    from mailwake.links.token import Link
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.store.contract import EventStore
    from mailwake.webhooks.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True)
class PrivacyParts:
    """What answers requests about what is known of a person."""

    events: PersonEvents
    erasures: Erasures


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """The services that routes call."""

    settings: Api
    keys: ApiKeys
    clock: Clock
    metrics: Metrics
    log: Logger
    webhooks: Subscriptions | None = None
    store: EventStore | None = None
    store_files: StoreFileParts | None = None
    privacy: PrivacyParts | None = None
    feed: EventFeed | None = None
    open_link: Callable[[str], Link] | None = None
    """What a pasted link says, as `links.pasted.open_pasted`; it reads a file, and is for a thread."""
    hashing: RecipientHash | None = None
    """By which recipients may stand in events; searches look for both names."""
