"""Sinks: where events go besides webhooks. One table of settings, each of which belongs to all kinds or to some."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from mailwake.config import kinds
from mailwake.config.event_types import EVENT_TYPES
from mailwake.config.fields import Setting, fields_of

SinkKind = Literal["json-lines", "stdout", "kafka", "nats"]

PATTERN_FIELDS = ("type", "group", "customer")
"""What may stand in braces in a topic or subject."""

KEYS = ("event_id", "message_id", "transmission_id", "rcpt_to", "customer_id")
"""What Kafka's key can be."""

OWN_LIBRDKAFKA = (
    *("bootstrap.servers", "metadata.broker.list", "acks", "request.required.acks", "enable.idempotence"),
    *("enable.gapless.guarantee", "message.timeout.ms", "delivery.timeout.ms", "delivery.report.only.error"),
)
"""Settings of librdkafka on which it hangs that nothing is lost or disordered; they are mailwake's own."""


def properties() -> kinds.Kind:
    """A table of settings of another program; dotted names may be written with or without quotes."""

    def read(value: Any) -> Mapping[str, str]:
        if not isinstance(value, dict):
            raise ValueError
        return dict(_flat(value))

    def from_text(text: str) -> Any:
        try:
            return tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError:
            return text

    allowed = 'a table of texts, numbers and booleans, like { "security.protocol" = "ssl" }'
    return kinds.Kind("table", allowed, read, from_text, hidden=True)


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield prefix + name, "true" if value else "false"
        elif isinstance(value, str | int | float):
            yield prefix + name, str(value)
        else:
            raise ValueError


def pattern(characters: str, allowed: str) -> kinds.Kind:
    """A name of these characters, with fields of PATTERN_FIELDS in braces."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        for literal, name, spec, conversion in string.Formatter().parse(value):
            if (literal and not re.fullmatch(characters, literal)) or spec or conversion:
                raise ValueError
            if name is not None and name not in PATTERN_FIELDS:
                raise ValueError
        if not value or value.startswith(".") or value.endswith(".") or ".." in value:
            raise ValueError
        return value

    fields = ", ".join(f"{{{name}}}" for name in PATTERN_FIELDS)
    return kinds.Kind("name", f"{allowed}; {fields} stand for those of the event", read)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sink:
    """A place that events go to, in order and at least once."""

    kind: Annotated[
        SinkKind,
        Setting(
            "What it is: a file of JSON lines, standard output, Kafka, or NATS JetStream.",
            kinds.choice("json-lines", "stdout", "kafka", "nats"),
            example='"json-lines"',
        ),
    ]
    active: Annotated[
        bool, Setting("Whether it gets events now; while it does not, they are kept for it.", kinds.flag())
    ] = True
    events: Annotated[
        tuple[str, ...],
        Setting("The types of events that it gets; none named means all.", kinds.list_of(kinds.choice(*EVENT_TYPES))),
    ] = ()
    customers: Annotated[
        tuple[str, ...],
        Setting("The customers whose events it gets; none named means all.", kinds.list_of(kinds.text())),
    ] = ()
    start: Annotated[
        Literal["now", "beginning"],
        Setting(
            "Where it begins when its name is new: with the next event, or with the oldest that is still kept.",
            kinds.choice("now", "beginning"),
        ),
    ] = "now"
    form: Annotated[
        Literal["webhook", "flat"],
        Setting(
            'The JSON of an event: {"msys": {"track_event": {…}}} as in webhooks, or the fields alone as in the '
            "events API.",
            kinds.choice("webhook", "flat"),
        ),
    ] = "webhook"
    path: Annotated[
        Path | None,
        Setting(
            "Of json-lines, required: the file that grows; rotated ones stand beside it.",
            kinds.path(),
            unset="an error for json-lines",
            example='"/var/log/mailwake/events.jsonl"',
        ),
    ] = None
    rotate_size: Annotated[
        int | None,
        Setting(
            "Of json-lines: the file is rotated before it exceeds this; 0 means never.",
            kinds.size(0, 1 << 44),
            final=100 << 20,
        ),
    ] = None
    rotate_every: Annotated[
        float | None,
        Setting(
            "Of json-lines: the file is rotated at every multiple of this in UTC, so 1h means on the hour; 0 means "
            "never.",
            kinds.duration(0, 366 * 86400),
            final=0,
        ),
    ] = None
    rotated_name: Annotated[
        str | None,
        Setting(
            "Of json-lines: what a rotated file has in its name, the time of its end or a number; they sort by it.",
            kinds.choice("time", "number"),
            final="time",
        ),
    ] = None
    max_files: Annotated[
        int | None,
        Setting(
            "Of json-lines: how many rotated files are kept, the newest; 0 means all.",
            kinds.integer(0, 1_000_000),
            final=0,
        ),
    ] = None
    compress: Annotated[
        bool | None, Setting("Of json-lines: whether rotated files are compressed (gzip).", kinds.flag(), final=False)
    ] = None
    file_mode: Annotated[
        str | None, Setting("Of json-lines: who may read the files.", kinds.file_mode(), final="0600")
    ] = None
    brokers: Annotated[
        tuple[str, ...] | None,
        Setting(
            "Of kafka, required: some of the cluster's brokers.",
            kinds.list_of(kinds.address(allowed='HOST:PORT, like "kafka1.example.com:9092"'), minimum=1),
            unset="an error for kafka",
            example='["kafka1.example.com:9092", "kafka2.example.com:9092"]',
        ),
    ] = None
    topic: Annotated[
        str | None,
        Setting(
            "Of kafka: the topic.",
            pattern(r"[A-Za-z0-9._-]+", "letters, digits, dots, hyphens and underscores"),
            final="mailwake-events",
        ),
    ] = None
    key: Annotated[
        str | None,
        Setting(
            "Of kafka: the field that is the key; what has the same key goes to the same partition, in order.",
            kinds.choice(*KEYS),
            final="event_id",
        ),
    ] = None
    librdkafka: Annotated[
        Mapping[str, str] | None,
        Setting(
            "Of kafka: further settings of its client library by their names there: TLS, SASL, compression.",
            properties(),
            unset="its defaults",
            example='{ "security.protocol" = "ssl", "compression.type" = "zstd" }',
        ),
    ] = None
    librdkafka_file: Annotated[
        Path | None,
        Setting(
            "Of kafka: a file with more of them, a line NAME=VALUE each, for passwords.",
            kinds.path(),
            unset="none",
            example='"/etc/mailwake/kafka.properties"',
        ),
    ] = None
    servers: Annotated[
        tuple[str, ...] | None,
        Setting(
            "Of nats, required: the servers, any of which will do; tls:// insists on TLS.",
            kinds.list_of(
                kinds.text(
                    pattern=r"(?:nats|tls)://[^\s/@]+:[0-9]{1,5}", allowed='a URL like "nats://nats1.example.com:4222"'
                ),
                minimum=1,
            ),
            unset="an error for nats",
            example='["nats://nats1.example.com:4222"]',
        ),
    ] = None
    subject: Annotated[
        str | None,
        Setting(
            "Of nats: the subject.",
            pattern(r"[A-Za-z0-9._-]+", "words of letters, digits, hyphens and underscores with dots between them"),
            final="mailwake.events.{type}",
        ),
    ] = None
    stream: Annotated[
        str | None,
        Setting(
            "Of nats: the stream that has to take them; another one is refused.",
            kinds.text(pattern=r"[^\s.*>/\\]+", allowed="the name of a stream"),
            unset="whichever takes the subject",
            example='"MAILWAKE"',
        ),
    ] = None
    max_in_flight: Annotated[
        int | None,
        Setting(
            "Of nats: events on their way at once; with 1, a cluster's change of leader disorders nothing either.",
            kinds.integer(1, 4000),
            final=256,
        ),
    ] = None
    credentials_file: Annotated[
        Path | None,
        Setting(
            "Of nats: a credentials file (.creds) with a user's JWT and key.",
            kinds.path(),
            unset="none",
            example='"/etc/mailwake/nats.creds"',
        ),
    ] = None
    username: Annotated[
        str | None, Setting("Of nats: a user's name.", kinds.text(), unset="none", example='"mailwake"')
    ] = None
    password: Annotated[
        str | None,
        Setting("Of nats: the user's password.", kinds.password(), unset="password_file", example='"secret"'),
    ] = None
    password_file: Annotated[
        Path | None,
        Setting(
            "Of nats: a file whose first line is the user's password.",
            kinds.path(),
            unset="password",
            example='"/etc/mailwake/nats-password"',
        ),
    ] = None
    tls_ca_file: Annotated[
        Path | None,
        Setting(
            "Of nats: the authorities (PEM) that may sign the server's certificate.",
            kinds.path(),
            unset="those of the system",
            example='"/etc/mailwake/tls/authorities.pem"',
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        Setting(
            "Of nats: the certificate chain (PEM) that is shown to a server that asks for one.",
            kinds.path(),
            unset="none is shown",
            example='"/etc/mailwake/tls/client.pem"',
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Setting(
            "Of nats: the private key (PEM) of that certificate.",
            kinds.path(),
            unset="the key is in the certificate's file",
            example='"/etc/mailwake/tls/client-key.pem"',
        ),
    ] = None
    timeout: Annotated[
        float | None,
        Setting(
            "Of kafka and nats: how long may pass without any confirmation before all is tried again.",
            kinds.duration(0.1, 3600),
            final=30,
        ),
    ] = None

    def value(self, name: str) -> Any:
        """The value of a setting that belongs to a kind: what is set, or its default."""
        found = getattr(self, name)
        marker = fields_of(Sink)[name].marker
        return marker.final if found is None and isinstance(marker, Setting) else found


OF_ALL = ("kind", "active", "events", "customers", "start", "form")
"""Settings of every kind."""

OF_KIND: Mapping[str, tuple[str, ...]] = {
    "json-lines": ("path", "rotate_size", "rotate_every", "rotated_name", "max_files", "compress", "file_mode"),
    "stdout": (),
    "kafka": ("brokers", "topic", "key", "librdkafka", "librdkafka_file", "timeout"),
    "nats": (
        *("servers", "subject", "stream", "max_in_flight", "credentials_file", "username", "password"),
        *("password_file", "tls_ca_file", "tls_certificate", "tls_key", "timeout"),
    ),
}
"""Each kind's own settings."""

REQUIRED = {"json-lines": "path", "kafka": "brokers", "nats": "servers"}
"""The setting that a kind cannot do without."""

Problem = tuple[tuple[str, ...], str]


def sink_problems(sinks: Mapping[str, Sink]) -> Iterator[Problem]:
    """What is well-formed in the sinks' tables but cannot be meant."""
    owners: dict[Path, str] = {}
    for name, sink in sinks.items():
        path = ("sinks", name)
        yield from _foreign(path, sink)
        required = REQUIRED.get(sink.kind)
        if required is not None and getattr(sink, required) is None:
            yield (*path, required), f'is missing; kind = "{sink.kind}" needs it'
        if sink.tls_key is not None and sink.tls_certificate is None:
            yield (*path, "tls_key"), "is set without tls_certificate; set both or neither"
        for option in sink.librdkafka or ():
            if option in OWN_LIBRDKAFKA:
                yield (*path, "librdkafka"), f"{option} is mailwake's own; remove it{_instead(option)}"
        if sink.path is not None and owners.setdefault(sink.path, name) != name:
            yield (*path, "path"), f"is also that of [sinks.{owners[sink.path]}]; each needs a file of its own"


def _foreign(path: tuple[str, ...], sink: Sink) -> Iterator[Problem]:
    for option in fields_of(Sink):
        if option not in OF_ALL and option not in OF_KIND[sink.kind] and getattr(sink, option) is not None:
            owners = " and ".join(f'"{kind}"' for kind, options in OF_KIND.items() if option in options)
            yield (*path, option), f'is a setting of kind = {owners}, and this sink\'s is "{sink.kind}"; remove one'


def _instead(option: str) -> str:
    if option in ("bootstrap.servers", "metadata.broker.list"):
        return " and set brokers"
    return " and set timeout" if "timeout" in option else ""
