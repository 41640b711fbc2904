"""What must hold between the tracker's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.kinds import UNIX_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailwake.config.schema import Settings
    from mailwake.config.scope_settings import Listen
    from mailwake.config.toml_lines import Path
    from mailwake.config.tracker_settings import Tracker, TrackerListen, TrackingDomain

    Problem = tuple[Path, str]


def tracker_problems(settings: Settings) -> Iterator[Problem]:
    """Everything about the tracker and its domains that is well-formed by itself but cannot be meant."""
    tracker, domains = settings.tracker, settings.tracking_domains
    yield from _key_problems(("tracker",), tracker)
    for name, domain in domains.items():
        yield from _key_problems(("tracking_domains", name), domain)
    certified = tracker.tls_certificate is not None or any(d.tls_certificate is not None for d in domains.values())
    for address, listen in tracker.listen.items():
        path = ("tracker", "listen", address)
        yield from proxy_problems(path, listen)
        if listen.tls == "on" and not certified:
            yield (
                (*path, "tls"),
                'is "on", but there is no certificate; set tls_certificate in [tracker] or in a tracking domain',
            )
    if tracker.unknown_hosts == "refuse" and not domains:
        yield (
            ("tracker", "unknown_hosts"),
            'is "refuse", which refuses everything while there are no [tracking_domains]; add those that are served',
        )


def _key_problems(path: Path, table: Tracker | TrackingDomain) -> Iterator[Problem]:
    if table.tls_key is not None and table.tls_certificate is None:
        yield (*path, "tls_key"), "is set without tls_certificate; set both or neither"


def proxy_problems(path: Path, listen: Listen | TrackerListen) -> Iterator[Problem]:
    """What is wrong with an address that load balancers shall connect to."""
    if listen.proxy_protocol == "required" and not listen.proxy_networks and not path[-1].startswith(UNIX_PREFIX):
        yield (
            (*path, "proxy_protocol"),
            'is "required", but nobody may connect without proxy_networks; name the load balancers there',
        )
