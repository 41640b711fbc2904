"""Settings turned into the parts that tracker workers are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailwake.config.networks import network_set
from mailwake.errors import StartupError
from mailwake.logs import make_logger
from mailwake.metrics import Metrics
from mailwake.rewrite.unsubscribe_fields import ONE_CLICK
from mailwake.service.unix_sockets import group_id, path_of
from mailwake.tracker.arrivals import Front
from mailwake.tracker.certificates import DEFAULT, CertificateFiles, Certificates
from mailwake.tracker.domains import SIZE_LIMIT, Domain, Domains
from mailwake.tracker.http_limits import HttpLimits
from mailwake.tracker.responses import NOT_FOUND, UNSUBSCRIBE_PAGE, page

if TYPE_CHECKING:
    from pathlib import Path

    from mailwake.config.schema import Settings
    from mailwake.config.tracker_settings import Tracker, TrackerListen, TrackingDomain
    from mailwake.logs import Logger
    from mailwake.tracker.messages import Response


def check_tracker_parts(settings: Settings) -> None:
    """Make once what every worker will make: what cannot be made is said, in one line, before anything is started."""
    domains_of(settings)
    certificates_of(settings, make_logger("json", "error"), Metrics())
    for address, listen in settings.tracker.listen.items():
        if listen.socket_group is not None and path_of(address) is not None:
            group_id(listen.socket_group, f'tracker.listen."{address}"')


def certificate_files(settings: Settings) -> dict[str, CertificateFiles]:
    """The files of every certificate, by tracking domain without its port."""
    found = {}
    tables: dict[str, Tracker | TrackingDomain] = {DEFAULT: settings.tracker}
    tables.update((name.lower().partition(":")[0], domain) for name, domain in settings.tracking_domains.items())
    for name, table in tables.items():
        certificate = table.tls_certificate
        if certificate is not None:
            where = f'tracking_domains."{name}"' if name != DEFAULT else "tracker"
            found[name] = CertificateFiles(certificate, table.tls_key or certificate, where)
    return found


def certificates_of(settings: Settings, log: Logger, metrics: Metrics) -> Certificates | None:
    """The certificates of all domains, None where no address speaks TLS; StartupError names a file that is wrong."""
    tracker = settings.tracker
    if all(listen.tls == "off" for listen in tracker.listen.values()):
        return None
    return Certificates(certificate_files(settings), tracker.tls_minimum_version, log, metrics)


def front_of(listen: TrackerListen, certificates: Certificates | None) -> Front:
    """What comes before HTTP at an address."""
    return Front(
        proxies=network_set(listen.proxy_networks) if listen.proxy_protocol == "required" else None,
        tls=certificates.context if certificates is not None and listen.tls == "on" else None,
    )


def domains_of(settings: Settings) -> Domains:
    """What each tracking domain has of its own; StartupError names a page that cannot be read."""
    tracker = settings.tracker
    page_of_all = _not_found(tracker.not_found_page, "tracker") or NOT_FOUND
    known = {
        name.lower(): Domain(
            serve=domain.serve,
            not_found=_not_found(domain.not_found_page, f'tracking_domains."{name}"') or page_of_all,
            app_links=domain.app_links_directory,
            unsubscribe_page=_unsubscribe_page(domain.unsubscribe_page, f'tracking_domains."{name}"'),
            unsubscribed_url=domain.unsubscribed_url or "",
        )
        for name, domain in settings.tracking_domains.items()
    }
    others = Domain(serve=tracker.unknown_hosts == "serve", not_found=page_of_all)
    return Domains(known, others, tracker.app_links_directory)


def _not_found(path: Path | None, table: str) -> Response | None:
    return page(404, _read(path, f"{table}.not_found_page")) if path is not None else None


def _unsubscribe_page(path: Path | None, table: str) -> Response:
    if path is None:
        return UNSUBSCRIBE_PAGE
    setting = f"{table}.unsubscribe_page"
    content = _read(path, setting)
    if not all(text.encode() in content for text in ONE_CLICK):
        button = '<button name="{}" value="{}">'.format(*ONE_CLICK)
        raise StartupError(f'{setting}: {path} unsubscribes nobody: put <form method="post"> with {button} into it')
    return page(200, content)


def _read(path: Path, setting: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise StartupError(
            f"{setting}: cannot read {path}: {error.strerror}; name a file that mailwake's user can read"
        ) from None
    if len(content) > SIZE_LIMIT:
        raise StartupError(f"{setting}: {path} is larger than {SIZE_LIMIT >> 20} MiB; make it smaller")
    return content


def http_limits(tracker: Tracker) -> HttpLimits:
    """The limits of each worker."""
    return HttpLimits(
        header_timeout=tracker.header_timeout, idle_timeout=tracker.idle_timeout, connections=tracker.max_connections
    )
