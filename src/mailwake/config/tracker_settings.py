"""The settings of the tracker's HTTP server, of the addresses it is served on, and of each tracking domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from mailwake.config import kinds
from mailwake.config.fields import Section, Setting
from mailwake.config.networks import IPNetwork

_SOCKET_GROUP = Setting(
    "The group of a Unix socket's file.", kinds.text(), unset="mailwake's own", example='"www-data"'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackerListen:
    """One address that the tracker is served on."""

    tls: Annotated[
        Literal["off", "on"],
        Setting(
            "Whether HTTPS is spoken here, with the certificate of the tracking domain that the client names (SNI).",
            kinds.choice("off", "on"),
        ),
    ] = "off"
    proxy_protocol: Annotated[
        Literal["off", "required"],
        Setting(
            "Whether each connection must begin with a load balancer's PROXY header, version 1 or 2, or be closed.",
            kinds.choice("off", "required"),
        ),
    ] = "off"
    proxy_networks: Annotated[
        tuple[IPNetwork, ...],
        Setting(
            "The load balancers that may connect here where proxy_protocol is required; all others are closed.",
            kinds.list_of(kinds.network()),
        ),
    ] = ()
    socket_mode: Annotated[
        str | None,
        Setting(
            "The mode of a Unix socket's file, in octal; whoever may write to it is a trusted proxy.",
            kinds.file_mode(),
            unset='"0660"',
            example='"0666"',
        ),
    ] = None
    socket_group: Annotated[str | None, _SOCKET_GROUP] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracker:
    """The HTTP server that answers opens and clicks."""

    listen: Annotated[
        Mapping[str, TrackerListen],
        Section(
            'An address to serve HTTP on; where none has settings, a list will do: listen = ["127.0.0.1:8080"].',
            key=kinds.listen_address(),
            example="127.0.0.1:8080",
            names_suffice=True,
        ),
    ] = field(default_factory=dict)
    workers: Annotated[
        int, Setting("Worker processes; 0 means as many as `workers` says for SMTP.", kinds.integer(0, 1024))
    ] = 0
    trusted_proxies: Annotated[
        tuple[IPNetwork, ...],
        Setting(
            "Proxies whose X-Forwarded-For or Forwarded header names the client; from others it is ignored.",
            kinds.list_of(kinds.network()),
        ),
    ] = ()
    unknown_hosts: Annotated[
        Literal["serve", "refuse"],
        Setting(
            "Requests whose Host is none of [tracking_domains]: served like others, or answered with 404.",
            kinds.choice("serve", "refuse"),
        ),
    ] = "serve"
    not_found_page: Annotated[
        Path | None,
        Setting(
            "An HTML file shown with 404 for links that are unknown or damaged; read at the start and on reload.",
            kinds.path(),
            unset="a page of mailwake's own",
            example='"/etc/mailwake/not-found.html"',
        ),
    ] = None
    app_links_directory: Annotated[
        Path | None,
        Setting(
            "A directory with a folder for each tracking domain, for apple-app-site-association and assetlinks.json.",
            kinds.path(),
            unset="those files are answered with 404",
            example='"/etc/mailwake/app-links"',
        ),
    ] = None
    max_requests_per_address: Annotated[
        int,
        Setting(
            "Requests a minute from one address before it gets 403; 0 means no limit.", kinds.integer(0, 1_000_000)
        ),
    ] = 0
    max_connections: Annotated[
        int,
        Setting(
            "Connections open at once in each worker; then the one that has waited longest for a request is closed.",
            kinds.integer(1, 1_000_000),
        ),
    ] = 10_000
    header_timeout: Annotated[
        float, Setting("How long a request's header may take from its first octet.", kinds.duration(1, 3600))
    ] = 5
    idle_timeout: Annotated[
        float,
        Setting(
            "How long a connection is kept after an answer; a reload waits as long for the old workers' clients.",
            kinds.duration(1, 3600),
        ),
    ] = 5
    tls_certificate: Annotated[
        Path | None,
        Setting(
            "The certificate chain (PEM) for clients that name no tracking domain with one of its own.",
            kinds.path(),
            unset="such clients are refused",
            example='"/etc/mailwake/tls/fullchain.pem"',
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Setting(
            "The private key (PEM) of the certificate.",
            kinds.path(),
            unset="the key is in the certificate's file",
            example='"/etc/mailwake/tls/privkey.pem"',
        ),
    ] = None
    tls_minimum_version: Annotated[
        Literal["1.2", "1.3"],
        Setting("The oldest TLS that clients may use; of 1.2 its modern ciphers only.", kinds.choice("1.2", "1.3")),
    ] = "1.2"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingDomain:
    """What holds for links of one tracking domain, whatever senders ask for."""

    max_tracking_level: Annotated[
        Literal["off", "anonymous", "identified"],
        Setting(
            "The most that tracking may know: nothing, that somebody opened or clicked, or who it was.",
            kinds.choice("off", "anonymous", "identified"),
        ),
    ] = "identified"
    serve: Annotated[
        bool, Setting("Whether the tracker answers requests for it; if not, they get 404.", kinds.flag())
    ] = True
    tls_certificate: Annotated[
        Path | None,
        Setting(
            "Its certificate chain (PEM), for clients that name it (SNI); files that change are read anew.",
            kinds.path(),
            unset="that of [tracker]",
            example='"/etc/letsencrypt/live/links.example.com/fullchain.pem"',
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Setting(
            "The private key (PEM) of its certificate.",
            kinds.path(),
            unset="the key is in the certificate's file",
            example='"/etc/letsencrypt/live/links.example.com/privkey.pem"',
        ),
    ] = None
    not_found_page: Annotated[
        Path | None,
        Setting(
            "An HTML file shown with 404 for its links.",
            kinds.path(),
            unset="that of [tracker]",
            example='"/etc/mailwake/links.example.com.html"',
        ),
    ] = None
    app_links_directory: Annotated[
        Path | None,
        Setting(
            "A directory with its apple-app-site-association and assetlinks.json.",
            kinds.path(),
            unset="the folder of its name in that of [tracker]",
            example='"/etc/mailwake/app-links/links.example.com"',
        ),
    ] = None
    unsubscribe_mailto: Annotated[
        str | None,
        Setting(
            "An address that takes unsubscriptions by mail: list_unsubscribe names it beside its link.",
            kinds.text(pattern=r"[\x21-\x7e]{1,64}@[A-Za-z0-9.-]{1,255}", allowed="an address in ASCII"),
            unset="List-Unsubscribe has the link alone",
            example='"unsubscribe@example.com"',
        ),
    ] = None
    unsubscribe_page: Annotated[
        Path | None,
        Setting(
            "The page (HTML) that asks people whether to unsubscribe; its form has to POST List-Unsubscribe=One-Click.",
            kinds.path(),
            unset="a page of mailwake's own, in English",
            example='"/etc/mailwake/unsubscribe.html"',
        ),
    ] = None
    unsubscribed_url: Annotated[
        str | None,
        Setting(
            "Where people are sent who have pressed the button on that page; mail programs never are (RFC 8058 §3.1).",
            kinds.text(pattern=r"https?://[\x21-\x7e]{1,2000}", allowed="a URL in ASCII, http or https"),
            unset="a page of mailwake's own says that it is done",
            example='"https://www.example.com/unsubscribed"',
        ),
    ] = None
