"""The settings of the HTTP API, which the collector serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from mailwake.config import kinds
from mailwake.config.fields import Setting
from mailwake.config.networks import IPNetwork

DEFAULT_API = "127.0.0.1:8090"
"""Where the API is served when no `[api] listen` says otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """The HTTP API: webhooks, search, privacy."""

    listen: Annotated[
        tuple[str, ...],
        Setting(
            "The addresses to serve the API on, in clear: put a proxy with TLS before others than this machine's own.",
            kinds.list_of(kinds.address(), minimum=1),
        ),
    ] = (DEFAULT_API,)
    trusted_proxies: Annotated[
        tuple[IPNetwork, ...],
        Setting(
            "Proxies whose X-Forwarded-For or Forwarded header names the client; from others it is ignored.",
            kinds.list_of(kinds.network()),
        ),
    ] = ()
    max_body: Annotated[
        int, Setting("The largest body of a request; a larger one gets 413.", kinds.size(1 << 10, 1 << 26))
    ] = 1 << 20
    max_connections: Annotated[
        int,
        Setting(
            "Connections open at once, half of them from one address; further ones get 503.", kinds.integer(1, 100_000)
        ),
    ] = 500
    max_requests_per_key: Annotated[
        int,
        Setting(
            "Requests a minute with one API key before it gets 429; 0 means no limit.", kinds.integer(0, 1_000_000)
        ),
    ] = 1200
    max_auth_failures_per_address: Annotated[
        int,
        Setting(
            "Requests without a valid key from one address in ten minutes before more of them get 429; 0: no limit.",
            kinds.integer(0, 1_000_000),
        ),
    ] = 50
