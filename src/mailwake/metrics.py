"""What mailwake counts: one table of Prometheus metrics, from which docs/reference/metrics.md is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prometheus_client import CollectorRegistry


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter or gauge: its exported name without the `mailwake_` prefix, its labels, and what it means."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    gauge: bool = False


METRICS: tuple[Metric, ...] = (
    Metric("smtp_connections_total", "SMTP connections accepted"),
    Metric("smtp_connections", "SMTP connections open now", gauge=True),
    Metric("smtp_connections_refused_total", "SMTP connections refused", ("reason",)),
    Metric("smtp_auth_total", "AUTH attempts", ("result",)),
    Metric("messages_total", "Messages received, by what became of them", ("result",)),
    Metric("copies_total", "Copies handed to the next hop, by outcome", ("outcome",)),
    Metric("links_tracked_total", "Links made into tracked links, counted once a message"),
    Metric("links_skipped_total", "Links left as they were, counted once a message", ("reason",)),
    Metric("parts_unchanged_total", "Messages or parts that tracking left alone", ("reason",)),
    Metric("messages_signed_total", "Messages to be tracked that arrived with a signature, by fate", ("fate",)),
    Metric("metadata_trimmed_total", "Messages of which some metadata did not fit max_metadata_len"),
    Metric("tags_ignored_total", "Tags over a limit", ("limit",)),
    Metric("policy_errors_total", "Policy functions that raised, ran too long, or said nonsense", ("policy", "phase")),
    Metric("copies_discarded_total", "Copies that policy accepted and threw away"),
    Metric("policy_refusals_total", "Refusals by policy", ("phase",)),
    Metric("spool_entries_total", "Copies put into the spool, by reason", ("reason",)),
    Metric("spool_retries_total", "Deliveries tried from the spool, by outcome", ("outcome",)),
    Metric("tracker_requests_total", "HTTP requests to the tracker, by answer", ("answer",)),
    Metric("tracker_tokens_refused_total", "Links that were unknown, damaged or forged", ("reason",)),
    Metric("tracker_links_expired_total", "Expired links that were followed: answered as ever, no event recorded"),
    Metric("events_total", "Events recorded, by type", ("type",)),
    Metric("events_lost_total", "Events that could not be written to the journal: look at the disk"),
    Metric("worker_restarts_total", "Workers that died and were started again", ("role",)),
    Metric("config_reloads_total", "Reloads of the configuration (SIGHUP): accepted, refused", ("result",)),
)
"""Every metric that any process of mailwake exports."""


class Counter:
    """One time series: `inc()` adds to it; a gauge also takes negative amounts."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add `amount`."""
        self.value += amount


class Metrics:
    """The counters of one process, kept as plain numbers so that counting costs next to nothing.

    `counter(name, label_value…)` gives the same object every time: look it up once, then `inc()` it.
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, tuple[str, ...]], Counter] = {}
        self._known = {metric.name: metric for metric in METRICS}

    def counter(self, name: str, *labels: str) -> Counter:
        """The series `name` with these label values, in the order of the table.

        Raises KeyError for a name that is not in METRICS, ValueError for the wrong number of labels.
        """
        metric = self._known[name]
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name} takes the labels {metric.labels}")
        return self._series.setdefault((name, labels), Counter())

    def snapshot(self) -> list[tuple[str, tuple[str, ...], float]]:
        """Every series with its value, for sending to the process that answers /metrics."""
        return [(name, labels, counter.value) for (name, labels), counter in self._series.items()]


def export(registry: CollectorRegistry, read_totals: Callable[[], Mapping[tuple[str, tuple[str, ...]], float]]) -> None:
    """Register a collector that shows what `read_totals` gives: name and labels → value."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector

    class _Totals(Collector):
        def collect(self):  # type: ignore[no-untyped-def]  # the library's own signature is looser than ours
            totals = read_totals()
            for metric in METRICS:
                family_type = GaugeMetricFamily if metric.gauge else CounterMetricFamily
                name = "mailwake_" + (metric.name if metric.gauge else metric.name.removesuffix("_total"))
                family = family_type(name, metric.help, labels=metric.labels)
                rows = [(labels, value) for (row_name, labels), value in totals.items() if row_name == metric.name]
                if not rows and not metric.labels:
                    rows = [((), 0.0)]
                for labels, value in sorted(rows):
                    family.add_metric(labels, value)
                yield family

    registry.register(_Totals())
