"""Every setting of mailwake, declared once: type, default, kind of value and a sentence of documentation.

Validation, `mailwake config example` and the reference in docs/ are all generated from these classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from mailwake.config import kinds
from mailwake.config.api_settings import Api
from mailwake.config.dashboard_settings import Dashboard
from mailwake.config.enrichment_settings import Enrichment
from mailwake.config.fields import Section, Setting
from mailwake.config.journal_settings import Journal
from mailwake.config.privacy_settings import Privacy
from mailwake.config.relay_settings import Relay
from mailwake.config.scope_settings import NAME, EsmtpListener, Pathway, PathwayGroup, TrackingOptions
from mailwake.config.sink_settings import Sink
from mailwake.config.store_settings import Store
from mailwake.config.tracker_settings import Tracker, TrackingDomain
from mailwake.config.webhook_settings import ConfiguredWebhook, WebhookDelivery

DEFAULT_LISTEN = "127.0.0.1:2525"
"""Where SMTP is served when no `[esmtp_listener.listen."…"]` says otherwise."""

DEFAULT_TRACKER_LISTEN = "127.0.0.1:8080"
"""Where HTTP is served when `tracker.listen` does not say otherwise."""

KEY_OCTETS = 64
"""AES-256-SIV takes a key of two halves (RFC 5297 §2.2)."""

# Deliberately no values that load: nobody shall run with a key or a password that stands in a public file.
_EXAMPLE_KEY = '"what `openssl rand -base64 64` prints"'
_EXAMPLE_HASH = '"what `mailwake account hash` prints"'


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A sender that may authenticate, with AUTH, with a client certificate, or with either."""

    password: Annotated[
        str | None,
        Setting(
            "The hash of its password.",
            kinds.password_hash(),
            unset="no AUTH, only certificates",
            example=_EXAMPLE_HASH,
        ),
    ] = None
    certificates: Annotated[
        tuple[str, ...],
        Setting(
            "SHA-256 fingerprints of client certificates: who presents one is this account without AUTH.",
            kinds.list_of(kinds.fingerprint()),
        ),
    ] = ()
    customer_id: Annotated[
        str | None,
        Setting("The customer its mail belongs to (mo_customer_id).", NAME, unset="the account's name", example='"42"'),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Customer:
    """What holds for the mail of one customer."""

    relay: Annotated[
        str | None,
        Setting(
            'The route of its mail, where the pathway names none: one of [relays], or "default".',
            NAME,
            unset="[relay]",
            example='"transactional"',
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spool:
    """Copies that wait for another attempt, or, if you like, for their first one."""

    acceptance: Annotated[
        Literal["after-relay", "spool"],
        Setting(
            "When a sender gets its 250: once the next hop has the message, or once it is in the spool, to be relayed.",
            kinds.choice("after-relay", "spool"),
        ),
    ] = "after-relay"
    retry_schedule: Annotated[
        tuple[float, ...],
        Setting(
            "The pauses before each new attempt; the last one repeats.",
            kinds.list_of(kinds.duration(1, 7 * 86400), minimum=1),
        ),
    ] = (60, 300, 900, 1800, 3600, 7200, 14400)
    max_concurrency: Annotated[
        int, Setting("Copies from the spool that each worker sends at once.", kinds.integer(1, 10_000))
    ] = 20
    expiry: Annotated[
        float, Setting("How long a copy is tried before its sender gets a bounce.", kinds.duration(1, 60 * 86400))
    ] = 5 * 86400
    delay_report: Annotated[
        float,
        Setting(
            "After how long a sender is told that a copy is late and still tried; 0 means never.",
            kinds.duration(0, 60 * 86400),
        ),
    ] = 4 * 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class KeySecret:
    """One key of the keyring."""

    id: Annotated[int, Setting("The key's number, which every link carries.", kinds.integer(1, 255), example="1")]
    secret: Annotated[bytes, Setting("The key.", kinds.secret(KEY_OCTETS), example=_EXAMPLE_KEY)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Keys for links; without any, mailwake makes its own in the data directory on first start."""

    current: Annotated[
        int | None,
        Setting(
            "The number of the key for new links.", kinds.integer(1, 255), unset="the last one listed", example="1"
        ),
    ] = None
    secrets: Annotated[
        tuple[KeySecret, ...],
        Section("A key; links made with any of the listed keys are understood.", numbered=True),
    ] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyFile:
    """One policy file; several are asked in the order in which they stand here."""

    file: Annotated[
        Path,
        Setting(
            "The policy: Python (.py), or Lua as for Momentum (.lua).",
            kinds.path(),
            example='"/etc/mailwake/policy/campaigns.py"',
        ),
    ]
    on_error: Annotated[
        Literal["refuse", "continue"],
        Setting(
            "What follows when it fails: the client gets 451 4.3.0, or the message goes on as if it had said nothing.",
            kinds.choice("refuse", "continue"),
        ),
    ] = "refuse"
    timeout: Annotated[
        float, Setting("How long one of its functions may take that is async.", kinds.duration(0.01, 600))
    ] = 5
    instruction_limit: Annotated[
        int, Setting("Lua instructions that one call may take before it is ended.", kinds.integer(1000, 1_000_000_000))
    ] = 1_000_000
    memory_limit: Annotated[
        int, Setting("Memory that a Lua script may use in each worker.", kinds.size(1 << 20, 1 << 32))
    ] = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings(TrackingOptions):
    """The whole configuration; what stands at its top is global."""

    data_dir: Annotated[Path, Setting("Where keys, journal, spool and tags are kept.", kinds.path())] = Path(
        "mailwake-data"
    )
    min_free_space: Annotated[
        int,
        Setting(
            "With less room than this for the data directory, MAIL is answered with 452 4.3.1; 0 means it never is.",
            kinds.size(0, 1 << 44),
        ),
    ] = 64 << 20
    node_name: Annotated[
        str,
        Setting(
            "This machine's name in events and replies.",
            kinds.host(),
            unset="the host name",
            example='"node1.example.com"',
        ),
    ] = ""
    node_id: Annotated[
        int | None,
        Setting(
            "A number that no other node has; it makes ids unique.",
            kinds.integer(0, 255),
            unset="drawn at first start and kept in the data directory",
            example="0",
        ),
    ] = None
    workers: Annotated[int, Setting("SMTP worker processes; 0 means one for each CPU.", kinds.integer(0, 1024))] = 0
    reload_drain: Annotated[
        float,
        Setting(
            "How long SMTP connections are served on under their old settings after a reload.",
            kinds.duration(0, 86400),
        ),
    ] = 300
    log_format: Annotated[
        Literal["auto", "human", "json"],
        Setting(
            "How log lines look; auto means human on a terminal and JSON elsewhere.",
            kinds.choice("auto", "human", "json"),
        ),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Setting("The least important lines that are logged.", kinds.choice("debug", "info", "warning", "error")),
    ] = "info"
    admin_listen: Annotated[str, Setting("The address of /healthz and /metrics.", kinds.address())] = "127.0.0.1:9464"
    trace_header: Annotated[
        bool, Setting("Whether a Received header is added to each copy (RFC 5321 §4.4).", kinds.flag())
    ] = True
    click_tracking_include_metadata: Annotated[
        bool, Setting("Whether click links carry the message's metadata.", kinds.flag())
    ] = True
    max_metadata_len: Annotated[
        int, Setting("Metadata that travels in links and events, as compact JSON.", kinds.size(0, 4096))
    ] = 200
    max_tags_per_recipient: Annotated[int, Setting("Tags of one message; more are ignored.", kinds.integer(0, 100))] = (
        10
    )
    text_click_tracking: Annotated[
        bool,
        Setting(
            "Whether URLs in text/plain parts are tracked: tracked URLs are long, and people read them there.",
            kinds.flag(),
        ),
    ] = True
    text_click_limit: Annotated[
        int | None,
        Setting(
            "At most so many URLs of a text/plain part are tracked, the first ones.",
            kinds.integer(0, 100_000),
            unset="all of them",
            example="10",
        ),
    ] = None
    open_pixel: Annotated[
        Literal["body", "macro"],
        Setting(
            "Where the image that reports an open stands: at the end of the body, or at {{open_pixel()}}.",
            kinds.choice("body", "macro"),
        ),
    ] = "body"
    track_mso: Annotated[
        bool,
        Setting("Whether links in conditional comments for Outlook are tracked, its buttons among them.", kinds.flag()),
    ] = True
    tracked_link_text: Annotated[
        Literal["track", "skip", "warn"],
        Setting(
            "Links whose text is a URL, which filters may take for phishing once tracked; warn: tracked and logged.",
            kinds.choice("track", "skip", "warn"),
        ),
    ] = "track"
    on_signed: Annotated[
        Literal["skip", "track"],
        Setting(
            "Messages that arrive with a DKIM signature, which tracking breaks: left alone, or tracked all the same.",
            kinds.choice("skip", "track"),
        ),
    ] = "skip"
    ip_pool_header: Annotated[
        str | None,
        Setting(
            "The header field in which the X-MSYS-API header's options.ip_pool is passed on.",
            kinds.text(pattern=r"[\x21-\x39\x3b-\x7e]{1,100}", allowed="the name of a header field"),
            unset="it is not passed on",
            example='"X-IP-Pool"',
        ),
    ] = None
    plan_cache_entries: Annotated[
        int,
        Setting(
            "Bodies that a worker remembers how to rewrite, for mail sent one message a recipient; 0 means none.",
            kinds.integer(0, 10_000),
        ),
    ] = 16
    max_tags: Annotated[
        int, Setting("Distinct tags known to the whole system; new ones beyond are ignored.", kinds.integer(0, 100_000))
    ] = 100
    esmtp_listener: Annotated[EsmtpListener, Section("The SMTP server that takes messages in.")] = field(
        default_factory=EsmtpListener
    )
    pathway: Annotated[
        Mapping[str, Pathway],
        Section(
            "Tracking options for a stream of mail, named by a listener, a peer or policy.",
            key=NAME,
            example="newsletters",
        ),
    ] = field(default_factory=dict)
    pathway_group: Annotated[
        Mapping[str, PathwayGroup],
        Section("Tracking options for all pathways whose `group` names it.", key=NAME, example="marketing"),
    ] = field(default_factory=dict)
    accounts: Annotated[
        Mapping[str, Account], Section("A sender that may authenticate with AUTH.", key=NAME, example="shop")
    ] = field(default_factory=dict)
    tracking_domains: Annotated[
        Mapping[str, TrackingDomain],
        Section(
            "What holds for links of one tracking domain, whatever senders ask for.",
            key=kinds.authority(),
            example="links.example.com",
        ),
    ] = field(default_factory=dict)
    privacy: Annotated[Privacy, Section("What events say of people; it is applied before anything is written.")] = (
        field(default_factory=Privacy)
    )
    policy: Annotated[
        tuple[PolicyFile, ...],
        Section("A policy file; several are asked in the order in which they stand here.", numbered=True),
    ] = ()
    tracker: Annotated[Tracker, Section("The HTTP server that answers opens and clicks.")] = field(
        default_factory=Tracker
    )
    relay: Annotated[
        Relay, Section("The default route: the next hops that copies are handed to unless another route is named.")
    ] = field(default_factory=Relay)
    relays: Annotated[
        Mapping[str, Relay],
        Section("A further route, named by pathways, customers or policy.", key=NAME, example="transactional"),
    ] = field(default_factory=dict)
    customers: Annotated[
        Mapping[str, Customer],
        Section("What holds for the mail of one customer (mo_customer_id).", key=NAME, example="42"),
    ] = field(default_factory=dict)
    spool: Annotated[Spool, Section("Copies that wait for another attempt, or, if you like, for their first one.")] = (
        field(default_factory=Spool)
    )
    journal: Annotated[Journal, Section("Events on this node's disk, and how long they stay there.")] = field(
        default_factory=Journal
    )
    api: Annotated[Api, Section("The HTTP API, which the collector serves.")] = field(default_factory=Api)
    dashboard: Annotated[
        Dashboard, Section("The dashboard: pages for people at /dashboard/, on the addresses of the API.")
    ] = field(default_factory=Dashboard)
    store: Annotated[
        Store, Section("Where events can be searched; a site that only wants webhooks can do without.")
    ] = field(default_factory=Store)
    enrichment: Annotated[
        Enrichment, Section("What is found out about the people and machines behind opens and clicks.")
    ] = field(default_factory=Enrichment)
    keys: Annotated[Keys, Section("Keys for links; without any, mailwake makes its own in the data directory.")] = (
        field(default_factory=Keys)
    )
    sinks: Annotated[
        Mapping[str, Sink],
        Section("A place that events go to, in order and at least once.", key=NAME, example="archive"),
    ] = field(default_factory=dict)
    webhooks: Annotated[
        Mapping[str, ConfiguredWebhook],
        Section("A target that gets batches of events; others are made with the API.", key=NAME, example="crm"),
    ] = field(default_factory=dict)
    webhook_delivery: Annotated[
        WebhookDelivery, Section("How batches of events are delivered to webhooks, whoever has made these.")
    ] = field(default_factory=WebhookDelivery)
