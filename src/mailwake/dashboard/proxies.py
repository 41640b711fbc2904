"""What a trusted proxy says of a request: who has logged in there, and whether the browser came by TLS.

Only the peer itself is believed, and only if it is one of `api.trusted_proxies`: what stands in a request from anybody
else is what its client liked to write there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.api.errors import ApiError, Fault
from mailwake.config.networks import network_set, parse_client
from mailwake.control.api_keys import Scope
from mailwake.dashboard.viewer import Viewer

if TYPE_CHECKING:
    from starlette.requests import Request

    from mailwake.config.api_settings import Api
    from mailwake.config.dashboard_settings import Dashboard

EVERY_CUSTOMER = "*"
"""What `customer_header` says of somebody who may see all of them."""

_LONGEST_NAME = 200


class TrustedProxies:
    """Reads what proxies add to requests."""

    def __init__(self, api: Api, dashboard: Dashboard) -> None:
        self._networks = network_set(api.trusted_proxies)
        self._dashboard = dashboard
        self._scopes = frozenset(map(Scope, dashboard.user_scopes))

    def sent(self, request: Request) -> bool:
        """Whether the request came from one."""
        peer = request.client
        return peer is not None and parse_client(peer.host.partition("%")[0]) in self._networks

    def secure(self, request: Request) -> bool:
        """Whether the browser spoke TLS with the proxy, as it says."""
        if not self.sent(request):
            return False
        said = ",".join(request.headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
        nearest = ",".join(request.headers.getlist("forwarded")).rpartition(",")[2].lower()
        by_standard = [pair.strip().partition("=")[2].strip('"') for pair in nearest.split(";") if "proto=" in pair]
        return said == "https" or "https" in by_standard

    def hosts(self, request: Request) -> set[str]:
        """The names under which the browser may know this site."""
        names = {request.headers.get("host", "").lower()}
        if self.sent(request):
            names |= {each.strip().lower() for each in request.headers.getlist("x-forwarded-host")}
        return names - {""}

    def user(self, request: Request) -> Viewer | None:
        """Who has logged in at the proxy; None if it says nothing. ApiError when what it says lets nobody in."""
        if self._dashboard.user_header is None or not self.sent(request):
            return None
        name = _only(request, self._dashboard.user_header)
        if not name:
            return None
        if self._dashboard.customer_header is None:
            customer = None
        else:
            customer = _only(request, self._dashboard.customer_header)
            if not customer:
                raise ApiError(
                    Fault.FORBIDDEN,
                    f"the proxy does not say whose data {name[:60]} may see: it has to send "
                    f"{self._dashboard.customer_header} (dashboard.customer_header)",
                )
        return Viewer(
            name=name,
            customer=None if customer == EVERY_CUSTOMER else customer,
            scopes=self._scopes,
            by_key=False,
        )


def _only(request: Request, header: str) -> str:
    """The field's value; a proxy that lets a second one through lets it through from anybody."""
    values = request.headers.getlist(header)
    if len(values) > 1:
        raise ApiError(Fault.FORBIDDEN, f"the request has {header} {len(values)} times; the proxy has to replace it")
    value = values[0].strip() if values else ""
    if len(value) > _LONGEST_NAME or not value.isprintable():
        raise ApiError(Fault.FORBIDDEN, f"{header} is no name: it is too long, or has control characters")
    return value
