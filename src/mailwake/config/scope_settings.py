"""The tracking options, the scopes they may stand in, and the SMTP listener's own settings (1-injection §1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from mailwake.config import kinds
from mailwake.config.fields import Section, Setting
from mailwake.config.networks import IPNetwork, parse_network

CENTURY = 100 * 365 * 86400.0
NAME = kinds.text(
    pattern=r"[^\x00-\x1f\x7f]{1,100}", allowed="a name of 1 to 100 characters without control characters"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingOptions:
    """The options that every scope takes; None means that this scope leaves the choice to the next one."""

    open_tracking_enabled: Annotated[bool | None, Setting("Whether opens are tracked.", kinds.flag(), final=False)] = (
        None
    )
    click_tracking_enabled: Annotated[
        bool | None, Setting("Whether clicks are tracked.", kinds.flag(), final=False)
    ] = None
    initial_open_enabled: Annotated[
        bool | None,
        Setting(
            "Whether opens are also tracked by an image at the top, seen even where a mail client clips long messages.",
            kinds.flag(),
            final=True,
        ),
    ] = None
    honeypot_link: Annotated[
        bool | None,
        Setting(
            "Whether HTML parts get a hidden link that only machines follow, where clicks are tracked.",
            kinds.flag(),
            final=False,
        ),
    ] = None
    open_tracking_scheme: Annotated[
        str | None, Setting("The scheme of the tracking images' URLs.", kinds.choice("http", "https"), final="http")
    ] = None
    click_tracking_scheme: Annotated[
        str | None, Setting("The scheme of tracked links.", kinds.choice("http", "https"), final="http")
    ] = None
    tracking_domain: Annotated[
        str | None,
        Setting(
            "The host (and port) of tracked links and images; it must lead to mailwake's tracker.",
            kinds.authority(),
            final="localhost:8080",
        ),
    ] = None
    tracking_link_expiry: Annotated[
        int | None,
        Setting(
            "How long after sending a tracked link still records events; it redirects for ever.",
            kinds.duration(0, CENTURY, whole=True),
            final=31_536_000,
        ),
    ] = None
    list_unsubscribe: Annotated[
        bool | None,
        Setting(
            "Whether messages without a List-Unsubscribe of their own get one, for one click (RFC 8058).",
            kinds.flag(),
            final=False,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionOptions(TrackingOptions):
    """What a scope takes beside them that a client's address alone decides: listeners and peers, but no pathways."""

    smtp_extensions: Annotated[
        tuple[str, ...] | None,
        Setting(
            "Commands for trusted clients from here, who can then pretend to be others; no one else gets them.",
            kinds.list_of(kinds.choice("XCLIENT", "XREMOTEIP", "XSETCONTEXT", "XDUMPCONTEXT")),
            final=(),
        ),
    ] = None
    ehlo_discard: Annotated[
        tuple[str, ...] | None,
        Setting(
            "Extensions that EHLO does not show to clients from here, and that do not work for them.",
            kinds.list_of(
                kinds.choice(
                    "PIPELINING",
                    "SIZE",
                    "8BITMIME",
                    "SMTPUTF8",
                    "CHUNKING",
                    "BINARYMIME",
                    "DSN",
                    "XVERP",
                    "STARTTLS",
                    "AUTH",
                )
            ),
            final=(),
        ),
    ] = None


_PATHWAY = Setting(
    "The pathway of mail received here.", NAME, unset="the next scope's pathway", example='"newsletters"'
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer(ConnectionOptions):
    """Clients from one network."""

    pathway: Annotated[str | None, _PATHWAY] = None


_PEERS = Section(
    "Clients from a network; of several that hold the client's address the longest prefix comes first.",
    key=kinds.network(),
    example="10.0.0.0/8",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listen(ConnectionOptions):
    """One address that SMTP or LMTP is served on."""

    protocol: Annotated[
        Literal["smtp", "lmtp"],
        Setting(
            "What is spoken here; LMTP (RFC 2033) answers each recipient by itself, for mail servers on this network.",
            kinds.choice("smtp", "lmtp"),
        ),
    ] = "smtp"
    pathway: Annotated[str | None, _PATHWAY] = None
    tls: Annotated[
        Literal["starttls", "implicit", "off"],
        Setting(
            "TLS here: offered with STARTTLS where there is a certificate, before any SMTP as on port 465, or never.",
            kinds.choice("starttls", "implicit", "off"),
        ),
    ] = "starttls"
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
            "The mode of a Unix socket's file, in octal; whoever may write to it may send without AUTH.",
            kinds.file_mode(),
            unset='"0660"',
            example='"0666"',
        ),
    ] = None
    socket_group: Annotated[
        str | None,
        Setting("The group of a Unix socket's file.", kinds.text(), unset="mailwake's own", example='"mail"'),
    ] = None
    peer: Annotated[Mapping[str, Peer], _PEERS] = field(default_factory=dict)


_RELAY = Setting(
    'The route of its mail: one of [relays], or "default" for [relay].',
    NAME,
    unset="the group's route, the customer's, or [relay]",
    example='"transactional"',
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pathway(TrackingOptions):
    """A named set of tracking options for a stream of mail."""

    group: Annotated[
        str | None, Setting("The pathway group it belongs to.", NAME, unset="no group", example='"marketing"')
    ] = None
    relay: Annotated[str | None, _RELAY] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PathwayGroup(TrackingOptions):
    """Tracking options for several pathways."""

    relay: Annotated[str | None, _RELAY] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EsmtpListener(ConnectionOptions):
    """The SMTP server that takes messages in."""

    hostname: Annotated[
        str,
        Setting(
            "The name in the greeting and in Received headers.",
            kinds.host(),
            unset="node_name",
            example='"mx.example.com"',
        ),
    ] = ""
    greeting: Annotated[
        str,
        Setting(
            "The text after the host name in the greeting.",
            kinds.text(pattern=r"[\x20-\x7e]{1,200}", allowed="1 to 200 printable ASCII characters"),
        ),
    ] = "ESMTP mailwake"
    relay_networks: Annotated[
        tuple[IPNetwork, ...],
        Setting(
            "Clients from these networks may send without AUTH; all others must authenticate.",
            kinds.list_of(kinds.network()),
        ),
    ] = (parse_network("127.0.0.0/8"), parse_network("::1/128"))
    max_message_size: Annotated[
        int, Setting("The largest message taken, announced with SIZE (RFC 1870).", kinds.size(1024, 1 << 30))
    ] = 30 << 20
    max_memory: Annotated[
        int,
        Setting(
            "Octets of messages that a worker holds at once: above it MAIL gets 452, above twice it DATA gets 421.",
            kinds.size(1024, 1 << 40),
        ),
    ] = 256 << 20
    max_recipients: Annotated[
        int, Setting("Recipients of one message; more get 452 4.5.3 (RFC 5321 §4.5.3.1.8).", kinds.integer(1, 50_000))
    ] = 1000
    max_line_length: Annotated[
        int, Setting("The longest line of a message, with its CRLF.", kinds.size(1000, 1 << 30))
    ] = 65_536
    max_connections: Annotated[
        int, Setting("Connections open at once in each worker; more get 421 4.3.2.", kinds.integer(1, 1_000_000))
    ] = 1000
    max_connections_per_address: Annotated[
        int,
        Setting(
            "Connections open at once in each worker from one address (IPv6: one /64) outside relay_networks; more get "
            "421 4.7.0; 0 means no limit.",
            kinds.integer(0, 1_000_000),
        ),
    ] = 100
    max_connection_rate: Annotated[
        int,
        Setting(
            "New connections a minute in each worker from one such address; more get 421 4.7.0; 0 means no limit.",
            kinds.integer(0, 1_000_000),
        ),
    ] = 0
    max_transactions: Annotated[
        int,
        Setting(
            "Messages on one connection before it is closed with 421; 0 means no limit.",
            kinds.integer(0, 1_000_000_000),
        ),
    ] = 0
    max_errors: Annotated[
        int, Setting("Commands refused on one connection before it is closed with 421.", kinds.integer(1, 100_000))
    ] = 20
    max_auth_failures: Annotated[
        int, Setting("Wrong passwords on one connection before it is closed with 421.", kinds.integer(1, 1000))
    ] = 3
    max_auth_failures_per_address: Annotated[
        int,
        Setting(
            "Wrong passwords in each worker from one such address within auth_failure_window; then its AUTH gets "
            "454 4.7.0 whatever the password; 0 means no limit.",
            kinds.integer(0, 1_000_000),
        ),
    ] = 20
    auth_failure_window: Annotated[
        float,
        Setting("How long wrong passwords count, from the first one of an address.", kinds.duration(1, 86400)),
    ] = 600
    idle_timeout: Annotated[
        float,
        Setting(
            "A connection that sends nothing for this long is closed with 421 4.4.2 (RFC 5321 §4.5.3.2.7).",
            kinds.duration(1, 86400),
        ),
    ] = 300
    command_timeout: Annotated[
        float, Setting("How long one command may take from its first octet to its last.", kinds.duration(1, 86400))
    ] = 300
    data_timeout: Annotated[
        float, Setting("How long the content of one message may take to arrive.", kinds.duration(1, 86400))
    ] = 1800
    bare_newlines: Annotated[
        Literal["reject", "convert"],
        Setting(
            "A CR or LF that stands alone: the message is refused, or it becomes CRLF; it never ends a message.",
            kinds.choice("reject", "convert"),
        ),
    ] = "reject"
    tls_certificate: Annotated[
        Path | None,
        Setting(
            "The certificate chain (PEM) for STARTTLS and implicit TLS.",
            kinds.path(),
            unset="no TLS",
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
    tls_client_ca: Annotated[
        Path | None,
        Setting(
            "The authorities (PEM) whose certificates clients may present; a self-signed one is its own authority.",
            kinds.path(),
            unset="none is taken",
            example='"/etc/mailwake/tls/client-ca.pem"',
        ),
    ] = None
    tls_client_certificates: Annotated[
        Literal["off", "ask", "require"],
        Setting(
            "Whether clients are asked for a certificate; with require, MAIL gets 530 5.7.0 without one.",
            kinds.choice("off", "ask", "require"),
        ),
    ] = "off"
    auth_requires_tls: Annotated[
        Literal["auto", "yes", "no"],
        Setting(
            "Whether AUTH is offered under TLS only; auto means yes, except to clients on this machine.",
            kinds.choice("auto", "yes", "no"),
        ),
    ] = "auto"
    pathway: Annotated[str | None, _PATHWAY] = None
    listen: Annotated[
        Mapping[str, Listen],
        Section(
            "An address to serve SMTP on, or unix: and the path of a socket; without any, 127.0.0.1:2525.",
            key=kinds.listen_address(),
            example="127.0.0.1:2525",
        ),
    ] = field(default_factory=dict)
    peer: Annotated[Mapping[str, Peer], _PEERS] = field(default_factory=dict)
