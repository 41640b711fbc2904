"""Which route a copy takes: the one that policy names, else the pathway's, the customer's, or the default one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.load import DEFAULT
from mailwake.config.relay_settings import DEFAULT_ROUTE
from mailwake.config.scopes import Sourced
from mailwake.smtp.replies import Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.config.schema import Settings
    from mailwake.config.scopes import ResolvedOptions

VARIABLE = "mailwake_relay"
"""The context variable with which policy names a route."""

_NO_SUCH_ROUTE = Reply(451, "4.3.5", "System incorrectly configured, try again later")
_DEFAULT: Sourced[str] = Sourced(DEFAULT_ROUTE, DEFAULT)


class Routing:
    """The routes that there are, and which customer has which; without any, all mail takes the default one."""

    def __init__(self, routes: Mapping[str, object], customers: Mapping[str, str]) -> None:
        self._routes = routes
        self._customers = customers

    @classmethod
    def of(cls, settings: Settings) -> Routing:
        """As configured; the configuration has been checked to name no route that is not there."""
        customers = {name: each.relay for name, each in settings.customers.items() if each.relay is not None}
        return cls(settings.relays, customers)

    def route(self, variables: Mapping[str, str], options: ResolvedOptions) -> Sourced[str]:
        """The name of the route for recipients with these variables, "default" for `[relay]`, and who decided it.

        Raises Refusal with 451 4.3.5 for a name that is not configured: mail that was to take a route of its own must
        not take another one unseen, and the operator can still mend it.
        """
        named = variables.get(VARIABLE)
        if named:
            if named != DEFAULT_ROUTE and named not in self._routes:
                raise Refusal(_NO_SUCH_ROUTE, f"context variable {VARIABLE} is {named[:100]!r}: there is no such relay")
            return Sourced(named, f"context {VARIABLE}")
        if options.relay.value is not None:
            return Sourced(options.relay.value, options.relay.source)
        customer = variables.get("mo_customer_id")
        if customer is not None and (route := self._customers.get(customer)) is not None:
            return Sourced(route, f"customer {customer}")
        return _DEFAULT
