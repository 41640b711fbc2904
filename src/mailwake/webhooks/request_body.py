"""What the API is sent to make or change a webhook: each field checked by one table, errors in the vendor's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from mailwake.config.webhook_settings import BATCH_EVENTS, LONGEST_BATCH_SECONDS
from mailwake.webhooks.signature import is_secret
from mailwake.webhooks.webhook import EVENT_TYPES, HIDDEN, VENDOR_EVENT_TYPES, TokenRequest, Webhook, WebhookError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailwake.webhooks.target_url import UrlRules

OWN_HEADERS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "content-encoding", "connection", "upgrade", "te", "trailer"),
        *("keep-alive", "expect", "content-type", "authorization", "user-agent", "proxy-authorization"),
        *("x-messagesystems-webhook-token", "x-messagesystems-batch-id"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
    }
)
"""Headers that no webhook can set for itself: they are mailwake's, or HTTP's own."""

_MAX_HEADERS = 20
_MAX_HEADER_OCTETS = 8192
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_LONGEST_NAME = 200
_LONGEST_TEXT = 4096


class _Refused(ValueError):  # noqa: N818
    """What is wrong with one value; says what is allowed."""


def apply(body: object, webhook: Webhook, urls: UrlRules) -> Webhook:
    """`webhook` with the fields of this JSON body; WebhookError for one that cannot be used.

    Fields that are not a webhook's are ignored, as the vendor does.
    """
    if not isinstance(body, dict):
        raise _wrong("the body", "must be a JSON object")
    changes: dict[str, Any] = {}
    for field, read in _FIELDS.items():
        if field in body and body[field] is None:
            changes |= {field: _UNSET[field]} if field in _UNSET else {}
        elif field in body:
            try:
                changes |= read(body[field], webhook)
            except _Refused as refused:
                raise _wrong(f"'{field}'", str(refused)) from None
    changed = msgspec.structs.replace(webhook, **changes)
    _check(changed, urls, changes)
    return changed


def required(body: object, *fields: str) -> None:
    """WebhookError when a field is not there."""
    for field in fields:
        if isinstance(body, dict) and body.get(field) in (None, ""):
            raise WebhookError(422, "1400", "required field is missing", f"'{field}' is required")


def _wrong(what: str, problem: str) -> WebhookError:
    return WebhookError(422, "1300", "invalid data format/type", f"{what} {problem}")


def _check(webhook: Webhook, urls: UrlRules, changes: Mapping[str, Any]) -> None:
    """What must hold between fields, and of URLs that are new."""
    if "target" in changes and (objection := urls.objection(webhook.target)):
        raise _wrong("'target'", objection)
    if webhook.auth_type == "basic" and not webhook.username:
        raise _wrong("'auth_credentials'", "must have a username with auth_type basic")
    if webhook.auth_type == "oauth2":
        details = webhook.auth_request_details
        if details is None:
            raise _wrong("'auth_request_details'", "must have a url and a body with auth_type oauth2")
        if "auth_request_details" in changes and (objection := urls.objection(details.url)):
            raise _wrong("'auth_request_details.url'", objection)


def _text(value: object, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str) or not value or len(value) > longest:
        raise _Refused(f"must be a string of 1 to {longest} characters")
    if not value.isprintable():
        raise _Refused("must not have control characters or line breaks")
    return value


def _named(field: str, read: Callable[[object], object]) -> Callable[[object, Webhook], dict[str, Any]]:
    return lambda value, webhook: {field: read(value)}


def read_events(value: object) -> tuple[str, ...]:
    """Types of events; ValueError says which one does not exist."""
    if not isinstance(value, list | tuple) or not value:
        raise _Refused("must be an array of event types that is not empty")
    for each in value:
        if not isinstance(each, str) or each not in EVENT_TYPES | VENDOR_EVENT_TYPES:
            raise _Refused(f"has {each!r}, which is no event type; there are {', '.join(sorted(EVENT_TYPES))}")
    return tuple(dict.fromkeys(value))


def read_headers(value: object) -> dict[str, str]:
    """Custom headers; ValueError says what is wrong with them."""
    if not isinstance(value, dict) or len(value) > _MAX_HEADERS:
        raise _Refused(f"must be an object of at most {_MAX_HEADERS} headers")
    found: dict[str, str] = {}
    for name, content in value.items():
        text = str(content) if isinstance(content, int) and not isinstance(content, bool) else content
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise _Refused(f"has {name!r}, which cannot be the name of a header")
        if name.lower() in OWN_HEADERS or name.lower() in map(str.lower, found):
            raise _Refused(f"has {name!r}, which is set by mailwake itself or stands there twice")
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise _Refused(f"has a value for {name!r} that is not ASCII text on one line")
        found[name] = text.strip(" \t")
    if sum(len(name) + len(text) for name, text in found.items()) > _MAX_HEADER_OCTETS:
        raise _Refused(f"must not be longer than {_MAX_HEADER_OCTETS} octets together")
    return found


def _auth_type(value: object) -> str:
    if value not in ("none", "basic", "oauth2"):
        raise _Refused("must be none, basic or oauth2")
    return str(value)


def _credentials(value: object, webhook: Webhook) -> dict[str, Any]:
    """Name and password; a password that is left out, or hidden, stays as it was while the name does."""
    if not isinstance(value, dict):
        raise _Refused("must be an object with username and password")
    if "username" not in value:  # what the vendor shows of an access token: not for us to keep
        return {}
    username = _text(value["username"])
    if ":" in username:
        raise _Refused("must not have a colon in the username (RFC 7617 §2)")
    password = value.get("password", HIDDEN if username == webhook.username else "")
    if password == HIDDEN:
        password = webhook.password
    elif password:
        password = _text(password)
    return {"username": username, "password": password}


def _token_request(value: object, webhook: Webhook) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Refused("must be an object with url and body")
    if not value:
        return {}
    body = value.get("body", {})
    if not isinstance(body, dict) or len(body) > _MAX_HEADERS:
        raise _Refused(f"must have an object of at most {_MAX_HEADERS} texts as body")
    known = webhook.auth_request_details.body if webhook.auth_request_details is not None else {}
    fields = {_text(key): known.get(key, "") if text == HIDDEN else _text(text) for key, text in body.items()}
    return {"auth_request_details": TokenRequest(_text(value.get("url")), fields)}


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Refused("must be true or false")
    return value


def _customers(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _Refused("must be an array of customer ids")
    return tuple(dict.fromkeys(_customer(each) for each in value))


def _customer(value: object) -> str:
    return _text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value, 255)


def _auth_token(value: object, webhook: Webhook) -> dict[str, Any]:
    if value == HIDDEN:
        return {}
    text = "" if value == "" else _text(value)
    if not text.isascii():
        raise _Refused("must be ASCII, as it is sent in a header")
    return {"auth_token": text}


def _custom_headers(value: object, webhook: Webhook) -> dict[str, Any]:
    if isinstance(value, dict):
        former = webhook.custom_headers
        value = {name: former.get(name, text) if text == HIDDEN else text for name, text in value.items()}
    return {"custom_headers": read_headers(value)}


def _batch_size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= BATCH_EVENTS:
        raise _Refused(f"must be a whole number from 1 to {BATCH_EVENTS}")
    return value


def _batch_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_BATCH_SECONDS:
        raise _Refused(f"must be a number from 0 to {LONGEST_BATCH_SECONDS:g}")
    return float(value)


def _secret(value: object) -> str:
    if not isinstance(value, str) or not is_secret(value):
        raise _Refused("must be whsec_ and 24 to 64 octets in base64")
    return value


_UNSET: Mapping[str, Any] = {
    "customer_id": "",
    "exception_subaccounts": (),
    "custom_headers": {},
    "auth_token": "",
    "batch_size": None,
    "batch_seconds": None,
}
"""What null means for the fields that can be without a value; for the others it means nothing."""

_FIELDS: Mapping[str, Callable[[object, Webhook], dict[str, Any]]] = {
    "name": _named("name", lambda value: _text(value, _LONGEST_NAME)),
    "target": _named("target", _text),
    "events": _named("events", read_events),
    "active": _named("active", _flag),
    "custom_headers": _custom_headers,
    "exception_subaccounts": _named("exception_subaccounts", _customers),
    "customer_id": _named("customer_id", _customer),
    "auth_type": _named("auth_type", _auth_type),
    "auth_credentials": _credentials,
    "auth_request_details": _token_request,
    "auth_token": _auth_token,
    "signing_secret": _named("signing_secret", _secret),
    "gzip": _named("gzip", _flag),
    "batch_size": _named("batch_size", _batch_size),
    "batch_seconds": _named("batch_seconds", _batch_seconds),
}
"""The fields of a webhook, and how each is read: from its JSON value and what it was, to what is changed."""
