"""The store: events where they can be searched, kept by the collector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from mailwake.config import kinds
from mailwake.config.fields import Setting, fields_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """Where events can be searched; a site that only wants webhooks can do without."""

    enabled: Annotated[
        bool, Setting("Whether events are kept where they can be searched; without it, searches get 503.", kinds.flag())
    ] = True
    engine: Annotated[
        Literal["duckdb", "clickhouse"],
        Setting(
            "What keeps them: DuckDB in a file of the collector, or a ClickHouse server that several nodes may share.",
            kinds.choice("duckdb", "clickhouse"),
        ),
    ] = "duckdb"
    keep: Annotated[
        float,
        Setting(
            "How long events can be searched, by their own time; 0 means for ever.", kinds.duration(0, 36500 * 86400)
        ),
    ] = 400 * 86400
    memory_limit: Annotated[
        int,
        Setting(
            "Memory that the store may use in the collector, with ClickHouse one search there; what needs more goes to "
            "the disk.",
            kinds.size(128 << 20, 1 << 40),
        ),
    ] = 512 << 20
    threads: Annotated[
        int, Setting("Threads that loading and searching may use; 0 means one for each CPU.", kinds.integer(0, 1024))
    ] = 0
    search_timeout: Annotated[
        float, Setting("How long one search may take before it is given up.", kinds.duration(0.1, 3600))
    ] = 30
    url: Annotated[
        str | None,
        Setting(
            "Of clickhouse, required: its HTTP interface.",
            kinds.text(
                pattern=r"https?://[A-Za-z0-9.\[\]:_-]+/?", allowed='a URL like "http://clickhouse.example.com:8123"'
            ),
            unset="an error for clickhouse",
            example='"https://clickhouse.example.com:8443"',
        ),
    ] = None
    database: Annotated[
        str | None,
        Setting(
            "Of clickhouse: the database with mailwake's tables, which are made when they are not there; of all nodes "
            "that share it.",
            kinds.text(pattern=r"[A-Za-z_][A-Za-z0-9_]*", allowed="a name of letters, digits and underscores"),
            final="mailwake",
        ),
    ] = None
    username: Annotated[
        str | None, Setting("Of clickhouse: a user's name.", kinds.text(), final="default", example='"mailwake"')
    ] = None
    password: Annotated[
        str | None,
        Setting("Of clickhouse: the user's password.", kinds.password(), unset="password_file", example='"secret"'),
    ] = None
    password_file: Annotated[
        Path | None,
        Setting(
            "Of clickhouse: a file whose first line is the user's password.",
            kinds.path(),
            unset="password",
            example='"/etc/mailwake/clickhouse-password"',
        ),
    ] = None
    tls_ca_file: Annotated[
        Path | None,
        Setting(
            "Of clickhouse: the authorities (PEM) that may sign the certificate of an https URL.",
            kinds.path(),
            unset="those of the system",
            example='"/etc/mailwake/tls/authorities.pem"',
        ),
    ] = None

    def value(self, name: str) -> Any:
        """The value of a setting: what is set, or its default."""
        found = getattr(self, name)
        marker = fields_of(Store)[name].marker
        return marker.final if found is None and isinstance(marker, Setting) else found


_OF_CLICKHOUSE = ("url", "database", "username", "password", "password_file", "tls_ca_file")

Problem = tuple[tuple[str, ...], str]


def store_problems(store: Store) -> Iterator[Problem]:
    """What is well-formed in the store's table but cannot be meant."""
    if store.engine != "clickhouse":
        for name in _OF_CLICKHOUSE:
            if getattr(store, name) is not None:
                yield ("store", name), f'is a setting of engine = "clickhouse", and this one is "{store.engine}"'
    elif store.url is None:
        yield ("store", "url"), 'is missing; engine = "clickhouse" needs it'
