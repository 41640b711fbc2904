"""Sinks as they are written: each kind has its own settings, and what is wrong is said where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailwake.config.event_types import EVENT_TYPES
from mailwake.config.fields import fields_of
from mailwake.config.load import ConfigurationError, load
from mailwake.config.sink_settings import OF_ALL, OF_KIND, Sink
from mailwake.events.model import EventType


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, host_name="n")
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


FILE = '[sinks.a]\nkind = "json-lines"\npath = "e.jsonl"\n'
KAFKA = '[sinks.a]\nkind = "kafka"\nbrokers = ["k:9092"]\n'
NATS = '[sinks.a]\nkind = "nats"\nservers = ["nats://n:4222"]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sinks.a]", '1: sinks.a.kind: is missing; give "json-lines", "stdout", "kafka" or "nats"'),
        ('[sinks.a]\nkind = "file"', '2: sinks.a.kind: "file" cannot be used; give "json-lines", "stdout"'),
        ('[sinks.a]\nkind = "json-lines"', '1: sinks.a.path: is missing; kind = "json-lines" needs it'),
        ('[sinks.a]\nkind = "kafka"', '1: sinks.a.brokers: is missing; kind = "kafka" needs it'),
        ('[sinks.a]\nkind = "nats"', '1: sinks.a.servers: is missing; kind = "nats" needs it'),
        (
            f'{FILE}topic = "t"',
            '4: sinks.a.topic: is a setting of kind = "kafka", and this sink\'s is "json-lines"; remove one',
        ),
        (f"{FILE}timeout = 3", '4: sinks.a.timeout: is a setting of kind = "kafka" and "nats", and this sink\'s is'),
        ('[sinks.a]\nkind = "stdout"\npath = "x"', '3: sinks.a.path: is a setting of kind = "json-lines", and'),
        (f'{FILE}events = ["opens"]', '4: sinks.a.events: ["opens"] cannot be used'.replace('"opens"', "'opens'")),
        (f"{FILE}rotate_sise = 1", "4: sinks.a.rotate_sise: unknown setting; did you mean 'rotate_size'?"),
        (f'{FILE}file_mode = "rw"', '4: sinks.a.file_mode: "rw" cannot be used; give three octal digits'),
        (
            f'{FILE}[sinks.b]\nkind = "json-lines"\npath = "e.jsonl"',
            "6: sinks.b.path: is also that of [sinks.a]; each needs a file of its own",
        ),
        (f'{KAFKA}topic = "a b"', '4: sinks.a.topic: "a b" cannot be used; give letters, digits'),
        (f'{KAFKA}topic = "{{types}}"', '4: sinks.a.topic: "{types}" cannot be used; give letters'),
        (f'{KAFKA}topic = "{{type"', '4: sinks.a.topic: "{type" cannot be used; give letters'),
        (f'{KAFKA}librdkafka = "ssl"', "4: sinks.a.librdkafka: the value cannot be used; give a table of texts"),
        (f"{KAFKA}librdkafka = {{ x = [1] }}", "4: sinks.a.librdkafka: the value cannot be used; give a table"),
        (
            f"{KAFKA}[sinks.a.librdkafka]\nenable.idempotence = false",
            "4: sinks.a.librdkafka: enable.idempotence is mailwake's own; remove it",
        ),
        (
            f'{KAFKA}librdkafka = {{ "bootstrap.servers" = "k:1" }}',
            "4: sinks.a.librdkafka: bootstrap.servers is mailwa",
        ),
        ('[sinks.a]\nkind = "kafka"\nbrokers = ["k"]', "3: sinks.a.brokers: ['k'] cannot be used; give a list"),
        ('[sinks.a]\nkind = "nats"\nservers = ["n:4222"]', "3: sinks.a.servers: ['n:4222'] cannot be used; give a"),
        (f'{NATS}subject = "a.*"', '4: sinks.a.subject: "a.*" cannot be used; give words of letters'),
        (f'{NATS}subject = "a..b"', '4: sinks.a.subject: "a..b" cannot be used; give words of letters'),
        (f'{NATS}username = "u"', "4: sinks.a.username: is set without a password"),
        (f'{NATS}password = "p"', "4: sinks.a.password: is set without username"),
        (f'{NATS}tls_key = "k"', "4: sinks.a.tls_key: is set without tls_certificate"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert any(problem.startswith(expected) for problem in found), found


def test_every_setting_belongs_to_all_or_to_a_kind() -> None:
    assert {*OF_ALL, *(name for names in OF_KIND.values() for name in names)} == {*fields_of(Sink)}


def test_the_types_of_events_are_all_of_them() -> None:
    assert tuple(each.wire_name for each in EventType) == EVENT_TYPES


def test_settings_of_librdkafka_with_and_without_quotes(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    file.write_text(
        f'{KAFKA}[sinks.a.librdkafka]\n"security.protocol" = "SASL_SSL"\nsasl.mechanisms = "PLAIN"\n'
        "sasl.password = '%'\nlinger.ms = 5\nsocket.keepalive.enable = true\n"
    )
    assert load(file, host_name="n").settings.sinks["a"].librdkafka == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "PLAIN",
        "sasl.password": "%",
        "linger.ms": "5",
        "socket.keepalive.enable": "true",
    }


def test_from_the_command_line() -> None:
    overrides = {
        "sinks.k.kind": "kafka",
        "sinks.k.brokers": "k1:9092,k2:9092",
        "sinks.k.librdkafka": '{ "security.protocol" = "ssl" }',
        "sinks.k.events": "open,click",
    }
    sink = load(None, overrides, host_name="n").settings.sinks["k"]
    assert sink.brokers == ("k1:9092", "k2:9092")
    assert sink.librdkafka == {"security.protocol": "ssl"}
    assert sink.events == ("open", "click")
    assert sink.value("topic") == "mailwake-events"
    assert sink.value("timeout") == 30
