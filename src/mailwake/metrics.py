"""What mailwake counts: one table of Prometheus metrics, from which docs/reference/metrics.md is generated."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as PrometheusMetric

Series = tuple[str, tuple[str, ...]]
"""A metric's name and the values of its labels; a histogram's bucket has its bound there."""


SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 240.0)
"""Upper bounds of the buckets of durations: from a next hop in the same rack to one that makes senders wait."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter, gauge or histogram: its exported name without the `mailwake_` prefix, its labels, what it means.

    A histogram is what has `buckets`, their upper bounds.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    gauge: bool = False
    buckets: tuple[float, ...] = ()

    @property
    def kind(self) -> str:
        """The word that Prometheus has for it."""
        return "histogram" if self.buckets else "gauge" if self.gauge else "counter"


# A gauge is never named like a counter without its `_total`: in OpenMetrics, that would be one name for two things.
METRICS: tuple[Metric, ...] = (
    Metric(
        "build_info",
        "Always 1; which version of mailwake and Python the supervisor runs",
        ("version", "python"),
        gauge=True,
    ),
    Metric("start_time_seconds", "When the supervisor began to run its version, in seconds since 1970", gauge=True),
    Metric(
        "workers",
        "Worker processes now; state is starting, serving or draining (of a former configuration)",
        ("role", "state"),
        gauge=True,
    ),
    Metric("smtp_connections_total", "SMTP connections accepted"),
    Metric("smtp_connections_open", "SMTP connections open now", gauge=True),
    Metric("smtp_connections_refused_total", "SMTP connections refused", ("reason",)),
    Metric(
        "smtp_tls_handshakes_total",
        "TLS handshakes with SMTP clients; result is completed, failed or timed out",
        ("result",),
    ),
    Metric(
        "smtp_auth_total",
        "AUTH attempts; result is accepted, refused, or blocked (too many refused from that address)",
        ("result",),
    ),
    Metric(
        "messages_total",
        "Messages received; result is accepted (250), refused (5xx), deferred (4xx), discarded (250, by policy), "
        "no memory or no space (452)",
        ("result",),
    ),
    Metric(
        "message_seconds",
        "From a message's last octet to the reply for it: policy, rewriting, relaying, events",
        buckets=SECONDS,
    ),
    Metric(
        "copies_total",
        "Attempts to hand a copy on, those from the spool among them; outcome is delivered, refused "
        "(5xx), deferred (4xx), unreachable (no usable connection), or uncertain (lost before the reply: may be twice)",
        ("outcome",),
    ),
    Metric(
        "copies_downgraded_total",
        "Copies made fit for a next hop without 8BITMIME (to 7bit) or without BINARYMIME (to 8bit), or refused with "
        "5.6.3 because they cannot be, or must not be (refused); counted at each attempt",
        ("to",),
    ),
    Metric("signatures_broken_total", "Copies converted for their next hop that had a DKIM or ARC signature: it fails"),
    Metric(
        "copies_resent_total",
        "Copies sent a second time at once, unseen by the sender: 421 came before they were looked at (421), 452 to "
        "MAIL on a connection that had been good (452), or one that had been idle was lost and nothing "
        "of what was sent over it was answered (silence)",
        ("reason",),
    ),
    Metric(
        "relay_attempts_total",
        "The same by next hop: with several of them, one attempt may try one after the other",
        ("next_hop", "outcome"),
    ),
    Metric("relay_seconds", "One attempt at one next hop, with the wait for a free connection", buckets=SECONDS),
    Metric(
        "relay_failovers_total",
        "Copies that went on to another next hop, by route and by the hop that failed",
        ("relay", "next_hop"),
    ),
    Metric(
        "relay_next_hop_up",
        "Workers for which a next hop of a route is up; 0 while it cannot be reached",
        ("relay", "next_hop"),
        gauge=True,
    ),
    Metric(
        "relay_connections_open",
        "Connections to the next hop open now, idle ones among them",
        ("next_hop",),
        gauge=True,
    ),
    Metric("links_tracked_total", "Links made into tracked links, counted once a message"),
    Metric("links_skipped_total", "Links left as they were, counted once a message", ("reason",)),
    Metric("parts_unchanged_total", "Messages or parts that tracking left alone", ("reason",)),
    Metric(
        "messages_signed_total",
        "Messages to be tracked that arrived with a signature (DKIM, ARC); fate is tracked or skipped, see on_signed",
        ("fate",),
    ),
    Metric(
        "list_unsubscribe_failed_total",
        "Copies that left without the List-Unsubscribe they were to get: what it must carry is too long, or a defect",
    ),
    Metric("metadata_trimmed_total", "Messages of which some metadata did not fit max_metadata_len"),
    Metric(
        "tags_ignored_total",
        "Tags not used; limit is recipient (too many for one), system (max_tags), or unavailable (their file fails)",
        ("limit",),
    ),
    Metric(
        "policy_errors_total",
        "Policy functions that raised, ran too long, or said nonsense; the message went on without them",
        ("policy", "phase"),
    ),
    Metric("copies_discarded_total", "Copies that policy accepted and threw away"),
    Metric("policy_refusals_total", "Connections, commands and messages that policy refused", ("phase",)),
    Metric(
        "spool_entries_total",
        "Entries put into the spool; reason is accepted (a message taken at once), deferred (a copy to try again), "
        "bounce (a report of failure) or report (one of delay, or of success)",
        ("reason",),
    ),
    Metric("spool_entries_waiting", "Entries in the spool now, bounce reports among them", gauge=True),
    Metric("spool_oldest_seconds", "How long the oldest of them has waited; 0 when the spool is empty", gauge=True),
    Metric(
        "spool_retries_total",
        "Deliveries tried from the spool; outcome is delivered, deferred, unreachable, uncertain, "
        "bounced (given up, sender told), untold (given up, and the sender wanted no report), dropped (given up, and "
        "there is nobody to tell), or gone (an operator had removed it)",
        ("outcome",),
    ),
    Metric(
        "spool_reports_dropped_total", "Copies given up whose failure nobody is told: from the null sender, or reports"
    ),
    Metric("tracker_requests_total", "HTTP requests to the tracker, by answer", ("answer",)),
    Metric("tracker_connections_total", "Connections that the tracker has accepted"),
    Metric("tracker_connections_open", "Connections to the tracker open now, idle ones among them", gauge=True),
    Metric(
        "tracker_connections_dropped_total",
        "Connections to the tracker that were dropped; reason is request too slow, answer not taken, too many, not a "
        "listed proxy, or no PROXY header",
        ("reason",),
    ),
    Metric(
        "tracker_tls_handshakes_total",
        "TLS handshakes of the tracker; result is completed, failed, or timed out",
        ("result",),
    ),
    Metric(
        "tracker_certificates_loaded_total",
        "Certificates of the tracker read anew because their files have changed; result is accepted or refused",
        ("result",),
    ),
    Metric("tracker_tokens_refused_total", "Links that were unknown, damaged or forged", ("reason",)),
    Metric("tracker_links_expired_total", "Expired links that were followed: answered as ever, no event recorded"),
    Metric(
        "api_requests_total",
        "Requests to the HTTP API, by route (none: refused before it was known) and status (0: the client had gone)",
        ("route", "status"),
    ),
    Metric("api_request_seconds", "From a request's header to its answer", buckets=SECONDS),
    Metric(
        "api_auth_total",
        "API keys in requests; result is accepted, refused (no key, or not a valid one), blocked (too many of those "
        "from that address), or limited (too many requests with a valid one)",
        ("result",),
    ),
    Metric("events_total", "Events recorded, by type", ("type",)),
    Metric(
        "events_bot_total",
        "Events judged to be a machine's, by type and by the reason that the rule gives",
        ("type", "reason"),
    ),
    Metric(
        "enrichment_reloads_total",
        "Changed files of bot rules or places that were read anew; result is accepted or refused (the old one stays)",
        ("file", "result"),
    ),
    Metric("events_lost_total", "Events that could not be written to the journal: look at the disk"),
    Metric("collector_failures_total", "Parts of the collector that have failed and were begun again", ("part",)),
    Metric("feed_events_total", "Events that went from the journal into the feed, where consumers read them"),
    Metric(
        "feed_behind_seconds", "How old the oldest event is that is not in the feed yet; 0 when all are", gauge=True
    ),
    Metric("feed_octets", "Octets that the feed takes on the disk", gauge=True),
    Metric(
        "feed_lag_octets",
        "Octets of the feed that a consumer has not read; it is looked at every minute",
        ("consumer",),
        gauge=True,
    ),
    Metric("feed_lag_seconds", "How old the oldest event is that a consumer has not read", ("consumer",), gauge=True),
    Metric("feed_damaged_octets_total", "Octets of the feed that were damaged and passed over: look at the disk"),
    Metric("journal_octets", "Octets that the journal takes on the disk, the feed not among them", gauge=True),
    Metric("data_free_octets", "Octets that are free on the disk of the feed", gauge=True),
    Metric("journal_records_unreadable_total", "Records of the journal that make no sense and were passed over"),
    Metric("journal_damaged_octets_total", "Octets of the journal that were damaged and passed over: look at the disk"),
    Metric("erasures_waiting", "People whose events are to be erased and are not yet", gauge=True),
    Metric("erasures_total", "People whose events were erased"),
    Metric("erased_records_total", "Records that were erased, in journal, feed and store"),
    Metric("store_up", "1 while events are loaded into the store and can be searched; absent without one", gauge=True),
    Metric("store_events_loaded_total", "Events that went from the feed into the store"),
    Metric("store_events_known_total", "Events that the feed gave again, and the store had already"),
    Metric("store_events", "Events in the store now", gauge=True),
    Metric("store_octets", "What the store takes on the disk", gauge=True),
    Metric(
        "store_behind_seconds",
        "How old the event is that was loaded last, while there is more to load; 0 when all is loaded",
        gauge=True,
    ),
    Metric(
        "webhook_attempts_total",
        "Attempts to deliver a batch to a webhook; result is delivered, or one of the failure codes",
        ("result",),
    ),
    Metric(
        "webhook_batches_total",
        "Batches that are done with; result is delivered, or dead letter (given up, to be replayed)",
        ("result",),
    ),
    Metric("webhook_events_total", "Events delivered to webhooks"),
    Metric("webhook_seconds", "One attempt, from the look-up of the target to the end of its answer", buckets=SECONDS),
    Metric(
        "webhook_lag_seconds",
        "How old the oldest event is that a webhook has not got yet; 0 when it has all",
        ("webhook_id", "webhook"),
        gauge=True,
    ),
    Metric(
        "webhook_waiting_events",
        "Events in a webhook's batch, the one in hand or the one that is being made; more may wait behind it",
        ("webhook_id", "webhook"),
        gauge=True,
    ),
    Metric(
        "webhook_dead_letters",
        "Batches that a webhook's target did not take, waiting to be replayed or dropped",
        ("webhook_id", "webhook"),
        gauge=True,
    ),
    Metric(
        "worker_restarts_total",
        "Workers that died and were started again; role is smtp, tracker or collector",
        ("role",),
    ),
    Metric("sink_events_total", "Events that a sink's destination has taken", ("sink",)),
    Metric("sink_failures_total", "Attempts of a sink that failed; each is tried again", ("sink",)),
    Metric("sink_up", "Whether the last attempt of a sink succeeded, 1 or 0", ("sink",), gauge=True),
    Metric(
        "sink_lag_seconds",
        "The age of the oldest event that a sink is handing on; 0 when its destination has all",
        ("sink",),
        gauge=True,
    ),
    Metric("config_reloads_total", "Reloads of the configuration (SIGHUP); result is accepted or refused", ("result",)),
    Metric("upgrades_total", "Upgrades without a restart (SIGUSR2); result is accepted or refused", ("result",)),
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


class Histogram:
    """How long something took, counted in buckets; `observe()` costs little more than a counter."""

    __slots__ = ("_bounds", "_counters", "_sum")

    def __init__(self, bounds: tuple[float, ...], counters: Sequence[Counter], total: Counter) -> None:
        self._bounds = bounds
        self._counters = counters  # one more than bounds: the last is for what exceeds all
        self._sum = total

    def observe(self, value: float) -> None:
        """Count one `value`."""
        self._counters[bisect_left(self._bounds, value)].value += 1
        self._sum.value += value


_SUM = "sum"
"""Stands in the place of a bucket's bound for the sum of all values."""


class Metrics:
    """The counters of one process, kept as plain numbers so that counting costs next to nothing.

    `counter(name, label_value…)` gives the same object every time: look it up once, then `inc()` it.
    """

    def __init__(self) -> None:
        self._series: dict[Series, Counter] = {}
        self._known = {metric.name: metric for metric in METRICS}

    def counter(self, name: str, *labels: str) -> Counter:
        """The series `name` with these label values, in the order of the table.

        Raises KeyError for a name that is not in METRICS, ValueError for the wrong number of labels.
        """
        metric = self._known[name]
        if len(labels) != len(metric.labels) or metric.buckets:
            raise ValueError(f"{name} is a {metric.kind} that takes the labels {metric.labels}")
        return self._series.setdefault((name, labels), Counter())

    def histogram(self, name: str) -> Histogram:
        """The histogram `name`; KeyError, ValueError as for `counter`."""
        metric = self._known[name]
        if not metric.buckets:
            raise ValueError(f"{name} is a {metric.kind}")
        # Each bucket counts its own values only, so that those of several processes are added up like any counter.
        places = [*map(str, metric.buckets), "+Inf", _SUM]
        *counters, total = (self._series.setdefault((name, (place,)), Counter()) for place in places)
        return Histogram(metric.buckets, counters, total)

    def snapshot(self) -> list[tuple[str, tuple[str, ...], float]]:
        """Every series with its value, for sending to the process that answers /metrics."""
        return [(name, labels, counter.value) for (name, labels), counter in self._series.items()]


def export(registry: CollectorRegistry, read_totals: Callable[[], Mapping[Series, float]]) -> None:
    """Register a collector that shows what `read_totals` gives: name and labels → value."""
    from prometheus_client.registry import Collector

    class _Totals(Collector):
        def collect(self):  # type: ignore[no-untyped-def]  # the library's own signature is looser than ours
            by_name: defaultdict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
            for (name, labels), value in read_totals().items():
                by_name[name][labels] = value
            for metric in METRICS:
                yield _histogram_family(metric, by_name) if metric.buckets else _family(metric, by_name)

    registry.register(_Totals())


def _family(metric: Metric, by_name: Mapping[str, Mapping[tuple[str, ...], float]]) -> PrometheusMetric:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    make = GaugeMetricFamily if metric.gauge else CounterMetricFamily
    family = make("mailwake_" + metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    rows = dict(by_name.get(metric.name, {}))
    if not rows and not metric.labels:
        rows = {(): 0.0}
    for labels, value in sorted(rows.items()):
        family.add_metric(labels, value)
    return family


def _histogram_family(metric: Metric, by_name: Mapping[str, Mapping[tuple[str, ...], float]]) -> PrometheusMetric:
    from prometheus_client.core import HistogramMetricFamily

    rows = by_name.get(metric.name, {})
    bounds = [*map(str, metric.buckets), "+Inf"]
    counted = accumulate(rows.get((bound,), 0.0) for bound in bounds)
    family = HistogramMetricFamily("mailwake_" + metric.name, metric.help)
    family.add_metric([], list(zip(bounds, counted, strict=True)), sum_value=rows.get((_SUM,), 0.0))
    return family
