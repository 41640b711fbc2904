"""Routes about the API itself: its description, for programs and for people, and whether it answers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from mailwake.api.openapi import encoded_document
from mailwake.api.page import PAGE_HEADERS, api_page
from mailwake.api.routes import Reply, Route
from mailwake.api.schemas import members, results, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailwake.api.routes import Call


async def _health(call: Call) -> dict[str, str]:
    return {"status": "ok"}


def about_routes(others: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that describe the `others` and themselves."""
    # Made when they are first asked for, and kept: they change with the program only.
    made_document = cache(lambda: encoded_document(all_routes))
    made_page = cache(lambda: api_page(all_routes))

    async def document(call: Call) -> Reply:
        return Reply(made_document())

    async def page(call: Call) -> Reply:
        return Reply(made_page(), "text/html; charset=utf-8", headers=PAGE_HEADERS)

    own = (
        Route(
            method="GET",
            path="/api/v1/health",
            summary="Whether the API answers",
            details="For load balancers. How the node's workers are, `/healthz` of the admin address says.",
            answer=_health,
            result=results(members({"status": text()})),
            result_example={"results": {"status": "ok"}},
        ),
        Route(
            method="GET",
            path="/api/openapi.json",
            summary="This description, as an OpenAPI document",
            answer=document,
            result=members({"openapi": text(), "info": _ANY, "paths": _ANY, "components": _ANY}),
        ),
        Route(
            method="GET",
            path="/api/",
            summary="This description, as a page for people",
            answer=page,
            result={"type": "string"},
            media_type="text/html; charset=utf-8",
        ),
    )
    all_routes = (*others, *own)
    return all_routes


_ANY: dict[str, Any] = {"type": "object"}
