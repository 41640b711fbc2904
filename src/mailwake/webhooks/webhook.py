"""One webhook as a value: where its events go, which events it gets, and how it proves who sends them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Literal

import msgspec

from mailwake.errors import MailwakeError
from mailwake.events.model import EventType

if TYPE_CHECKING:
    from mailwake.events.model import Event

EVENT_TYPES = frozenset(kind.wire_name for kind in EventType)
"""What mailwake records, as webhooks name it."""

VENDOR_EVENT_TYPES = frozenset(
    {
        *("out_of_band", "spam_complaint", "sms_status", "generation_failure", "generation_rejection"),
        *("relay_injection", "relay_rejection", "relay_delivery", "relay_tempfail", "relay_permfail"),
        *("ab_test_completed", "ab_test_cancelled", "success", "error"),
    }
)
"""What a SparkPost webhook may name besides: taken, so that set-up scripts need no change, and never sent."""

HIDDEN = "(hidden)"
"""Stands in the place of a secret in what the API shows; sent back to it, the secret stays as it was."""

CONFIGURED_IDS = uuid.UUID("6d5f5c4e-8c8e-5b0f-9a55-2f1f3c0c6a21")
"""The name space of the ids of webhooks in the configuration: the same name has the same id after every start."""


class WebhookError(MailwakeError):
    """A request about webhooks that cannot be met, in the vendor's terms: HTTP status, code, message, description."""

    def __init__(self, status: int, code: str, message: str, description: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.description = description
        super().__init__(f"{message}: {description}")


class UnknownWebhookError(WebhookError):
    """There is none with this id, or it is another customer's."""

    def __init__(self, webhook_id: str) -> None:
        super().__init__(404, "1600", "resource not found", f"there is no webhook {webhook_id}")


class TokenRequest(msgspec.Struct, frozen=True):
    """How an access token is asked for (RFC 6749 §4.4): the URL, and the fields of the form that is sent there."""

    url: str
    body: dict[str, str]


class FormerSecret(msgspec.Struct, frozen=True):
    """A signing secret that was replaced, and until when requests are signed with it too (Unix seconds)."""

    secret: str
    until: float


class EventFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which events a webhook gets; kept with each batch, so that a retry has the same events after a change."""

    types: tuple[str, ...]
    customer_id: str = ""
    """The only customer whose events it gets; empty: all of them."""
    exceptions: tuple[str, ...] = ()
    """Customers whose events it does not get."""

    def wants(self, event: Event) -> bool:
        """Whether this event is for the webhook."""
        return (
            event.type.wire_name in self.types
            and (not self.customer_id or event.customer_id == self.customer_id)
            and event.customer_id not in self.exceptions
        )


class Webhook(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A webhook; the names are those of the vendor's API where it has the thing. It holds secrets."""

    id: str
    name: str
    target: str
    events: tuple[str, ...]
    active: bool = True
    customer_id: str = ""
    exception_subaccounts: tuple[str, ...] = ()
    custom_headers: dict[str, str] = {}
    auth_type: Literal["none", "basic", "oauth2"] = "none"
    username: str = ""
    password: str = ""
    auth_request_details: TokenRequest | None = None
    auth_token: str = ""
    signing_secret: str = ""
    former_secrets: tuple[FormerSecret, ...] = ()
    gzip: bool = False
    batch_size: int | None = None
    """None: that of `[webhook_delivery]`; so with `batch_seconds`."""
    batch_seconds: float | None = None
    configured: bool = False
    """Whether it stands in the configuration: the API cannot change it."""

    @property
    def filter(self) -> EventFilter:
        """The events that it gets."""
        return EventFilter(self.events, self.customer_id, self.exception_subaccounts)

    @property
    def consumer(self) -> str:
        """Its name among those who hold positions in the feed."""
        return f"webhook:{self.id}"


def configured_id(name: str) -> str:
    """The id of the webhook with this name in the configuration."""
    return str(uuid.uuid5(CONFIGURED_IDS, name))
