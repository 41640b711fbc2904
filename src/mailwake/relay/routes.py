"""All routes of a configuration: each copy takes the one that its message was given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mailwake.relay.delivery import Copy, Delivery, Outcome

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from mailwake.logs import Logger


class Routes(Delivery):
    """A `Delivery` that hands each copy to the route it names, by default to `routes[""]`.

    A copy from the spool may name a route that a new configuration no longer has: it takes the default one.
    """

    def __init__(self, routes: Mapping[str, Delivery], *, log: Logger) -> None:
        self._routes = routes
        self._log = log
        self._unknown: set[str] = set()

    def __repr__(self) -> str:
        return f"<Routes {list(self._routes.values())!r}>"

    def deliver(self, copy: Copy) -> Coroutine[Any, Any, Outcome]:
        """Try once, now, by the copy's route."""
        return self._of(copy.route).deliver(copy)

    async def close(self) -> None:
        """Close all routes."""
        await asyncio.gather(*(route.close() for route in self._routes.values()))

    def _of(self, name: str) -> Delivery:
        found = self._routes.get(name)
        if found is not None:
            return found
        if name not in self._unknown:
            self._unknown.add(name)
            self._log.warning("a route is configured no more, its copies take the default one", route=name)
        return self._routes[""]
