"""The configured sinks as runners, and what can be known to be wrong with them before they run."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from mailwake.errors import StartupError
from mailwake.sinks.json_lines import JsonLines
from mailwake.sinks.own_thread import OwnThread
from mailwake.sinks.runner import SinkRunner
from mailwake.sinks.selection import Selection
from mailwake.sinks.standard_output import StandardOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mailwake.clock import Clock
    from mailwake.config.sink_settings import Sink
    from mailwake.feed.contract import EventFeed, Positions
    from mailwake.logs import Logger
    from mailwake.metrics import Metrics
    from mailwake.sinks.contract import Destination

_MODULES = {"kafka": "confluent_kafka", "nats": "nats"}
"""What a kind needs that is not installed with mailwake itself; the extra has the kind's name."""


def check_sinks(sinks: Mapping[str, Sink]) -> None:
    """StartupError, one line, for a sink that cannot run here: a package or a file is missing, settings are unknown.

    What may come by and by is not asked for: directories, servers, topics, streams.
    """
    for name, sink in sinks.items():
        module = _MODULES.get(sink.kind)
        if module is not None and find_spec(module) is None:
            raise StartupError(
                f'sinks.{name}: kind = "{sink.kind}" needs a package that is not installed: '
                f"pip install 'mailwake[{sink.kind}]'"
            )
        try:
            _try_out(sink)
        except StartupError as error:
            raise StartupError(f"sinks.{name}: {error}") from None


def _try_out(sink: Sink) -> None:
    if sink.kind == "kafka":
        from mailwake.sinks.kafka import make_producer

        make_producer(sink)
    elif sink.kind == "nats":
        from mailwake.sinks.nats_jetstream import connection_options

        connection_options(sink)
    elif sink.path is not None and sink.path.is_dir():
        raise StartupError(f"path: {sink.path} is a directory; name a file in it")


def make_sinks(
    sinks: Mapping[str, Sink],
    feed: EventFeed,
    positions: Positions,
    *,
    output: int,
    log: Logger,
    metrics: Metrics,
    clock: Clock,
) -> list[SinkRunner]:
    """The sinks that are active, each to be run in a task of its own; `check_sinks` comes before.

    `output` is the descriptor of the service's standard output, -1 where it is closed. Positions of sinks that are
    configured no more are forgotten, so that nothing waits for them. A new one that is to begin now begins here, and
    not only when it runs: what comes into the feed meanwhile is its, too.
    """
    known = positions.all()
    for name, sink in sinks.items():
        if sink.active and sink.start == "now" and f"sink:{name}" not in known:
            positions.keep(f"sink:{name}", feed.end())
    for consumer in known:
        kind, _, name = consumer.partition(":")
        if kind == "sink" and name not in sinks:
            positions.forget(consumer)
            log.info("a sink is configured no more, its position is forgotten", sink=name)
    runners = []
    for name, sink in sinks.items():
        if not sink.active:
            continue
        thread = OwnThread(f"sink {name}")
        runners.append(
            SinkRunner(
                name,
                _destination(name, sink, thread, output=output, clock=clock, log=log),
                Selection(sink),
                feed=feed,
                positions=positions,
                thread=thread,
                log=log,
                metrics=metrics,
                clock=clock,
                from_beginning=sink.start == "beginning",
            )
        )
    return runners


def _destination(name: str, sink: Sink, thread: OwnThread, *, output: int, clock: Clock, log: Logger) -> Destination:
    if sink.kind == "json-lines":
        return JsonLines(name, sink, thread=thread, clock=clock, log=log)
    if sink.kind == "stdout":
        return StandardOutput(output, thread)
    if sink.kind == "kafka":
        from mailwake.sinks.kafka import KafkaTopic

        return KafkaTopic(sink, thread)
    from mailwake.sinks.nats_jetstream import JetStream

    return JetStream(sink)
