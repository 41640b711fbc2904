"""Routes about the API itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.api.routes import Route

if TYPE_CHECKING:
    from mailwake.api.routes import Call


async def _health(call: Call) -> dict[str, str]:
    return {"status": "ok"}


ABOUT_ROUTES = (
    Route(
        method="GET",
        path="/api/v1/health",
        summary="Whether the API answers",
        details="For load balancers. What the node's workers do, `/healthz` of the admin address says.",
        answer=_health,
        result=dict[str, dict[str, str]],
        result_example={"results": {"status": "ok"}},
    ),
)
