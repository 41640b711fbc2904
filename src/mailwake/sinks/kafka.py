"""Events into Kafka, through librdkafka: confirmed by all replicas in sync, in order, without gaps.

The producer is idempotent: what librdkafka sends again arrives once and in its place. It never gives a message up by
itself (no message timeout), and one that is refused for good ends the producer (gapless guarantee). When nothing is
confirmed for long, the producer is thrown away with all that it has, and the same events begin again with another.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from mailwake.errors import StartupError
from mailwake.sinks.contract import DestinationError
from mailwake.sinks.names import name_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import confluent_kafka

    from mailwake.config.sink_settings import Sink
    from mailwake.sinks.contract import OutgoingEvent
    from mailwake.sinks.own_thread import OwnThread

POLL_SECONDS = 0.1
"""How often waiting for confirmations looks whether it is to end, or has taken too long."""


class KafkaTopic:
    """A `Destination`: when `write` returns, all replicas in sync have the events."""

    def __init__(self, settings: Sink, thread: OwnThread) -> None:
        self._settings = settings
        self._thread = thread
        self._topic: str = settings.value("topic")
        self._key: str = settings.value("key")
        self._timeout: float = settings.value("timeout")
        self._producer: confluent_kafka.Producer | None = None
        self._unconfirmed = 0
        self._refusal = ""
        self._trouble = ""
        self._deadline = 0.0

    async def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Return when each of them is confirmed."""
        await self._thread.run(partial(self._write, events))

    async def tend(self) -> None:
        """Hear what librdkafka has to say of its connections."""
        await self._thread.run(self._listen)

    async def close(self) -> None:
        """End the producer."""
        await self._thread.run(self._discard)

    def _write(self, events: Sequence[OutgoingEvent]) -> None:
        self._unconfirmed, self._refusal = len(events), ""
        self._deadline = time.monotonic() + self._timeout
        try:
            producer = self._producer = self._producer or make_producer(self._settings, self._note_trouble)
            for each in events:
                self._produce(producer, each)
            while self._unconfirmed:
                self._wait(producer)
        except BaseException:
            self._discard()
            raise

    def _produce(self, producer: confluent_kafka.Producer, each: OutgoingEvent) -> None:
        from confluent_kafka import KafkaException

        event = each.event
        key = str(getattr(event, self._key))
        headers: list[tuple[str, str | bytes | None]] = [
            ("event_id", str(event.event_id)),
            ("type", event.type.wire_name),
        ]
        while True:
            try:
                producer.produce(
                    name_for(self._topic, event),
                    each.content,
                    key or None,
                    on_delivery=self._note_report,
                    timestamp=event.timestamp,
                    headers=headers,
                )
            except BufferError:  # as many wait as may
                self._wait(producer)
            except KafkaException as error:
                raise DestinationError(f"Kafka refuses event {event.event_id}: {_said(error.args[0])}") from None
            else:
                return

    def _wait(self, producer: confluent_kafka.Producer) -> None:
        """Hear reports for a moment; DestinationError when it is no use to wait any longer."""
        self._hear(producer, POLL_SECONDS)
        if self._thread.ending.is_set():
            raise DestinationError("Kafka has not confirmed all events; they come again after the next start")
        if time.monotonic() > self._deadline:
            raise DestinationError(
                f"Kafka confirms nothing for {self._timeout:g} seconds"
                + (f": {self._trouble}" if self._trouble else "; look at the brokers and the topic")
            )

    def _note_report(self, error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
        if error is not None:
            self._refusal = self._refusal or _said(error)
        else:
            self._unconfirmed -= 1
            self._deadline = time.monotonic() + self._timeout

    def _note_trouble(self, error: confluent_kafka.KafkaError) -> None:
        self._trouble = _said(error)
        if error.fatal():
            self._refusal = self._refusal or self._trouble

    def _listen(self) -> None:
        if self._producer is not None:
            try:
                self._hear(self._producer, 0)
            except DestinationError:
                self._discard()  # nothing is in its hands; the next events get another

    def _hear(self, producer: confluent_kafka.Producer, seconds: float) -> None:
        """Take reports and errors for so long; DestinationError when an event is refused for good."""
        from confluent_kafka import KafkaException

        try:
            producer.poll(seconds)
        except KafkaException as error:  # a fatal one
            self._refusal = self._refusal or _said(error.args[0])
        if self._refusal:
            raise DestinationError(f"Kafka refuses an event: {self._refusal}")

    def _discard(self) -> None:
        """Let go of the producer; what it has not sent yet it will not send, or it would come after newer events."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()


def make_producer(settings: Sink, on_error: Any = None) -> confluent_kafka.Producer:
    """A producer, which connects by and by; StartupError for settings that librdkafka does not take."""
    from confluent_kafka import KafkaException, Producer

    unheard = logging.Logger("librdkafka")  # what matters comes as errors; nothing of its own goes to our output
    unheard.addHandler(logging.NullHandler())
    try:
        return Producer({**_configuration(settings), "error_cb": on_error or (lambda error: None)}, logger=unheard)
    except KafkaException as error:
        raise StartupError(f"librdkafka: {_said(error.args[0])}") from None
    except (TypeError, ValueError) as error:
        raise StartupError(f"librdkafka: {error}") from None


def _configuration(settings: Sink) -> dict[str, Any]:
    file = settings.librdkafka_file
    return {
        "client.id": "mailwake",
        "linger.ms": "5",
        **(read_properties(file) if file is not None else {}),
        **(settings.librdkafka or {}),
        "bootstrap.servers": ",".join(settings.brokers or ()),
        "acks": "all",
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,
        "message.timeout.ms": 0,
    }


def read_properties(file: Path) -> dict[str, str]:
    """The lines NAME=VALUE of a file; lines that are empty or begin with # do not count. StartupError for others."""
    from mailwake.config.sink_settings import OWN_LIBRDKAFKA

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals or not name:
            raise StartupError(f"{file}:{number}: is no NAME=VALUE; write one, or begin the line with #")
        if name in OWN_LIBRDKAFKA:
            raise StartupError(f"{file}:{number}: {name} is mailwake's own; remove it")
        found[name] = value
    return found


def _said(error: Any) -> str:
    text = error.str() if hasattr(error, "str") else str(error)
    return " ".join(text.split()).rstrip(".")
