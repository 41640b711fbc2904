"""The settings of the dashboard, the pages for people that the collector serves beside the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

from mailwake.config import kinds
from mailwake.config.fields import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.config.api_settings import Api
    from mailwake.config.toml_lines import Path

_HEADER_NAME = r"[A-Za-z0-9][A-Za-z0-9-]{0,99}"
_OF_BROWSERS = frozenset(
    (
        *("authorization", "cookie", "forwarded", "from", "host", "origin", "referer", "user-agent"),
        *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"),
    )
)
"""Header fields that say other things than who somebody is, or that a proxy hands on as a browser sent them."""


def _header_name() -> kinds.Kind:
    return kinds.text(pattern=_HEADER_NAME, allowed="the name of a header field")


def _time_zone() -> kinds.Kind:
    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        try:
            return ZoneInfo(value).key
        except (KeyError, OSError):
            raise ValueError from None

    return kinds.Kind("time zone", 'a time zone like "UTC" or "America/New_York"', read)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboard:
    """The dashboard: pages for people at /dashboard/, on the addresses of the API."""

    enabled: Annotated[bool, Setting("Whether there is a dashboard.", kinds.flag())] = True
    title: Annotated[str, Setting("What its pages are headed with.", kinds.text())] = "mailwake"
    timezone: Annotated[
        str, Setting("The time zone of days and hours, until somebody chooses another one.", _time_zone())
    ] = "UTC"
    session_lifetime: Annotated[
        float,
        Setting(
            "How long a log-in with an API key lasts; it ends earlier with the key.", kinds.duration(60, 365 * 86400)
        ),
    ] = 12 * 3600
    user_header: Annotated[
        str | None,
        Setting(
            "The header in which a proxy of api.trusted_proxies names who has logged in there; others' is ignored.",
            _header_name(),
            unset="people log in with an API key",
            example='"X-Forwarded-User"',
        ),
    ] = None
    customer_header: Annotated[
        str | None,
        Setting(
            'The header in which it names the customer a user is bound to, "*" for all of them; it must be there.',
            _header_name(),
            unset="users see all customers",
            example='"X-Forwarded-Customer"',
        ),
    ] = None
    user_scopes: Annotated[
        tuple[str, ...],
        Setting(
            "What users of user_header may do, as the scopes of API keys.",
            kinds.list_of(kinds.choice("read", "webhooks", "admin"), minimum=1),
        ),
    ] = ("read",)


def dashboard_problems(dashboard: Dashboard, api: Api) -> Iterator[tuple[Path, str]]:
    """What cannot be meant: a header that nobody is trusted to send, or that everybody is."""
    for name in ("user_header", "customer_header"):
        header = getattr(dashboard, name)
        if header is not None and header.lower() in _OF_BROWSERS:
            yield ("dashboard", name), f'"{header}" says something else; name a header that only the proxy sets'
    if dashboard.user_header is None:
        if dashboard.customer_header is not None:
            yield ("dashboard", "customer_header"), "is set without user_header; set both, or neither"
        return
    if dashboard.customer_header is not None and dashboard.customer_header.lower() == dashboard.user_header.lower():
        yield ("dashboard", "customer_header"), "is the same as user_header; name two headers"
    if not api.trusted_proxies:
        yield ("dashboard", "user_header"), "is set, but no proxy is trusted to send it; set api.trusted_proxies"
    for network in api.trusted_proxies:
        if network.prefixlen == 0:
            yield (
                ("dashboard", "user_header"),
                f"would be believed from everybody, as api.trusted_proxies has {network}; name the proxy only",
            )
