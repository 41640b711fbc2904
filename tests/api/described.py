"""Holds every answer of a test against what the OpenAPI document says of its route."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no stubs of its own

from mailwake.api.openapi import openapi_document
from mailwake.api.route_table import ROUTES

DOCUMENT: dict[str, Any] = json.loads(json.dumps(openapi_document(ROUTES)))


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    # Paths without parameters come first, as in the application.
    paths = sorted(DOCUMENT["paths"], key=lambda path: "{" in path)
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


async def as_described(answer: httpx.Response) -> None:
    """An event hook for httpx: AssertionError or ValidationError for an answer that the document does not have."""
    await answer.aread()
    asked = answer.request.url.path
    path = next((path for pattern, path in _patterns() if pattern.fullmatch(asked)), None)
    if path is None or answer.request.method not in ("GET", "POST", "PUT", "DELETE"):
        return
    operation = DOCUMENT["paths"][path][answer.request.method.lower()]
    assert str(answer.status_code) in operation["responses"], f"{asked} is not said to answer {answer.status_code}"
    content = operation["responses"][str(answer.status_code)].get("content")
    if content is None:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"]
    if media_type == "application/json":
        validator(content[media_type]["schema"]).validate(answer.json())


DESCRIBED = {"response": [as_described]}
"""For `httpx.AsyncClient(event_hooks=…)`."""
