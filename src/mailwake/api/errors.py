"""What the API says when it cannot do what was asked: the vendor's codes and shape, one table.

`{"errors": [{"message": …, "description": …, "code": …}]}`: the message is the vendor's text for the code, the
description says what was wrong with this request and what to do. The code is text, as clients expect.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.webhooks.webhook import WebhookError


class _Kind(NamedTuple):
    status: int
    code: str
    message: str
    meaning: str


class Fault(_Kind, Enum):
    """Each kind of error: HTTP status, the vendor's code ("" where it has none) and text, and when it is answered."""

    BAD_PARAMETER = (
        400,
        "1200",
        "invalid params",
        "a parameter of the URL is unknown or has a value that it cannot have",
    )
    MISSING_PARAMETER = (400, "1401", "required parameter is missing", "the URL lacks a parameter")
    NOT_UTF8 = (400, "1305", "input data not utf8 encoded", "the body is not UTF-8")
    TARGET_FAILED = (400, "400", "test POST to the target failed", "a webhook's target did not take the test batch")
    BAD_REQUEST = (400, "", "bad request", "what was sent is no HTTP request, or one that cannot be understood")
    UNAUTHORIZED = (401, "", "Unauthorized.", "there is no API key in the request, or none that is valid")
    FORBIDDEN = (403, "1100", "permission denied", "the key is valid and does not allow this")
    NO_ROUTE = (404, "1101", "invalid URI", "there is nothing at this path")
    NOT_FOUND = (404, "1600", "resource not found", "there is no such thing, or it belongs to another customer")
    WRONG_METHOD = (405, "1102", "invalid HTTP method", "the path is right and the method is not; see Allow")
    TOO_SLOW = (408, "", "request timeout", "the request did not arrive in time")
    CONFLICT = (409, "1602", "resource conflict", "it contradicts what is there already")
    TOO_LARGE = (413, "", "request entity too large", "the body is larger than api.max_body")
    WRONG_MEDIA_TYPE = (415, "1700", "unsupported Content-Type header", "a body has to be application/json")
    NOT_JSON = (422, "1300", "invalid data format/type", "the body is no JSON, or a field has the wrong type or value")
    MISSING_FIELD = (422, "1400", "required field is missing", "the body lacks a field")
    TOO_MANY = (429, "", "too many requests", "more requests than this key or this address may send; see Retry-After")
    LONG_HEADER = (431, "", "request header fields too large", "the URL and the header together are too long")
    SERVER_FAULT = (500, "", "internal server error", "a defect of mailwake; the log has it under the request's id")
    BUSY = (503, "", "service unavailable", "the collector is busy or cannot read its files now; see Retry-After")


class ApiError(Exception):
    """Ends a request with this answer; `more` are further members of the error, as the vendor has them."""

    def __init__(
        self,
        fault: Fault,
        description: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(description)
        self.status = fault.status
        self.code = fault.code
        self.message = fault.message
        self.description = description
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    @classmethod
    def of_webhook(cls, error: WebhookError) -> ApiError:
        """What webhooks say, in the vendor's terms already."""
        made = cls(Fault.BAD_REQUEST, error.description)
        made.status, made.code, made.message = error.status, error.code, error.message
        return made

    def body(self) -> dict[str, Any]:
        """What is answered."""
        error: dict[str, Any] = {"message": self.message, "description": self.description}
        if self.code:
            error["code"] = self.code
        return {"errors": [{**error, **self.more}]}
