"""Where copies go: routes, the next hops of each, and how to talk to a next hop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mailwake.config import kinds
from mailwake.config.fields import Section, Setting, fields_of

DEFAULT_ROUTE = "default"
"""The name by which a pathway or customer names `[relay]` itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HopOptions:
    """How to talk to a next hop; what stands in a route's own table holds for its hops that do not say otherwise."""

    protocol: Annotated[
        str | None,
        Setting("What it speaks: SMTP, or LMTP (RFC 2033).", kinds.choice("smtp", "lmtp"), final="smtp"),
    ] = None
    tls: Annotated[
        str | None,
        Setting(
            "STARTTLS: never, when offered (with a password, always but for this machine), always, or always with a "
            "certificate that is valid for the host.",
            kinds.choice("none", "may", "must", "verify"),
            final="may",
        ),
    ] = None
    implicit_tls: Annotated[
        bool | None,
        Setting(
            "Whether TLS begins with the connection, as on port 465 (RFC 8314), and not with STARTTLS.",
            kinds.flag(),
            final=False,
        ),
    ] = None
    tls_name: Annotated[
        str | None,
        Setting(
            "The name that the certificate must be valid for, and that is asked for (SNI).",
            kinds.host(),
            unset="the host of its address",
            example='"smtp.example.com"',
        ),
    ] = None
    tls_ca_file: Annotated[
        Path | None,
        Setting(
            "The authorities (PEM) that may sign its certificate.",
            kinds.path(),
            unset="those of the system",
            example='"/etc/mailwake/tls/authorities.pem"',
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        Setting(
            "The certificate chain (PEM) that is shown to a hop that asks for one.",
            kinds.path(),
            unset="none is shown",
            example='"/etc/mailwake/tls/client.pem"',
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Setting(
            "The private key (PEM) of that certificate.",
            kinds.path(),
            unset="the key is in the certificate's file",
            example='"/etc/mailwake/tls/client-key.pem"',
        ),
    ] = None
    username: Annotated[
        str | None, Setting("The name for AUTH at the next hop.", kinds.text(), unset="no AUTH", example='"mailwake"')
    ] = None
    password: Annotated[
        str | None, Setting("The password for AUTH.", kinds.password(), unset="password_file", example='"secret"')
    ] = None
    password_file: Annotated[
        Path | None,
        Setting(
            "A file whose first line is the password for AUTH.",
            kinds.path(),
            unset="password",
            example='"/etc/mailwake/relay-password"',
        ),
    ] = None
    max_connections: Annotated[
        int | None,
        Setting("Connections to the next hop at once, from each worker.", kinds.integer(1, 10_000), final=20),
    ] = None
    max_in_flight: Annotated[
        int | None,
        Setting(
            "Messages on their way at once over one connection, where the hop offers PIPELINING and CHUNKING.",
            kinds.integer(1, 1000),
            final=4,
        ),
    ] = None
    max_messages_per_connection: Annotated[
        int | None,
        Setting(
            "Messages after which a connection is closed; 0 means no limit.", kinds.integer(0, 1_000_000_000), final=0
        ),
    ] = None
    max_connection_age: Annotated[
        float | None,
        Setting(
            "A connection this old takes no more messages, so that changes of DNS are followed; 0 means no limit.",
            kinds.duration(0, 86400),
            final=300,
        ),
    ] = None
    idle_timeout: Annotated[
        float | None, Setting("A connection unused for this long is closed.", kinds.duration(0.1, 86400), final=60)
    ] = None
    connect_timeout: Annotated[
        float | None,
        Setting("How long connecting may take, with the greeting.", kinds.duration(0.1, 3600), final=30),
    ] = None
    command_timeout: Annotated[
        float | None, Setting("How long a reply to a command may take.", kinds.duration(0.1, 3600), final=60)
    ] = None
    content_timeout: Annotated[
        float | None,
        Setting(
            "How long the reply after a message's content may take (RFC 5321 §4.5.3.2.6: 10 minutes).",
            kinds.duration(0.1, 7200),
            final=600,
        ),
    ] = None
    wait_timeout: Annotated[
        float | None,
        Setting(
            "How long a copy waits for a connection while all `max_connections` are busy.",
            kinds.duration(0.1, 3600),
            final=60,
        ),
    ] = None
    chunking: Annotated[
        bool | None,
        Setting("Whether BDAT is used when the next hop offers CHUNKING (RFC 3030).", kinds.flag(), final=True),
    ] = None
    without_8bitmime: Annotated[
        str | None,
        Setting(
            "What becomes of 8-bit content for a hop without 8BITMIME: made 7-bit, sent so, or refused (RFC 6152 §3).",
            kinds.choice("convert", "send", "refuse"),
            final="convert",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hop(HopOptions):
    """One of the mail servers of a route."""

    address: Annotated[
        str,
        Setting(
            "The mail server.",
            kinds.next_hop(),
            example='"mail1.example.com:25"',
        ),
    ]
    priority: Annotated[
        int,
        Setting(
            "Hops with the lowest number get all copies; those with the next one do while none of them can be reached.",
            kinds.integer(0, 65_535),
        ),
    ] = 10
    weight: Annotated[
        int,
        Setting(
            "Its share of the copies among hops of the same priority; 0: none while another of them can be reached.",
            kinds.integer(0, 65_535),
        ),
    ] = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Relay(HopOptions):
    """A route: one next hop, or several."""

    next_hop: Annotated[
        str | None,
        Setting(
            "The mail server that takes the copies, where there is one; from the command line it replaces all hops.",
            kinds.next_hop(),
            unset="the `hop` tables; `mailwake serve` needs either of them in [relay], or --next-hop, or --demo",
            example='"mail.example.com:25"',
            replaces="hop",
        ),
    ] = None
    failover_timeout: Annotated[
        float,
        Setting("For how long a copy goes on from a hop that fails to the next one.", kinds.duration(0, 7200)),
    ] = 120
    hop: Annotated[
        tuple[Hop, ...],
        Section("One of several next hops; each may have settings of its own.", numbered=True),
    ] = ()

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All its next hops, however they were written."""
        return self.hop if self.next_hop is None else (Hop(address=self.next_hop),)


def hop_option(name: str, *tables: HopOptions) -> Any:
    """The value of an option: of the first of these tables that has it, or the default."""
    for table in tables:
        value = getattr(table, name)
        if value is not None:
            return value
    marker = fields_of(HopOptions)[name].marker
    return marker.final if isinstance(marker, Setting) else None
