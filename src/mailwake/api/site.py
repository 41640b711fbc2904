"""What else may be served at the API's addresses: a site of pages, which says by itself how its errors look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from mailwake.api.errors import ApiError
    from mailwake.api.routes import Reply


class Site(Protocol):
    """Pages for people; `Answering` is around them as it is around the API."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Its paths."""
        ...

    def holds(self, path: str) -> bool:
        """Whether this path is of the site, or would be."""
        ...

    def error_page(self, scope: Scope, error: ApiError, request_id: str) -> Reply:
        """What is answered instead of the API's JSON; must not fail."""
        ...
