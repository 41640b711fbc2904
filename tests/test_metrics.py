"""The exported text is what Prometheus reads, in both of its formats, and no metric of the table is missing in it."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from mailwake.metrics import METRICS, Metrics, Series, export


def _registry(*processes: Metrics) -> CollectorRegistry:
    totals: dict[Series, float] = {}
    for process in processes:
        for name, labels, value in process.snapshot():
            totals[name, labels] = totals.get((name, labels), 0.0) + value
    registry = CollectorRegistry()
    export(registry, lambda: totals)
    return registry


def _every_series_used() -> Metrics:
    used = Metrics()
    for metric in METRICS:
        if metric.buckets:
            used.histogram(metric.name).observe(0.02)
        else:
            used.counter(metric.name, *(f"a {label}" for label in metric.labels)).inc()
    return used


def _exported_names() -> set[str]:
    return {f"mailwake_{metric.name}" + ("_count" if metric.buckets else "") for metric in METRICS}


def test_prometheus_reads_every_metric_with_its_kind_and_meaning() -> None:
    families = list(parse(generate_latest(_registry(_every_series_used())).decode()))
    assert {sample.name for family in families for sample in family.samples} >= _exported_names()
    kinds = {family.name: (family.type, family.documentation) for family in families}
    for metric in METRICS:
        assert kinds["mailwake_" + metric.name.removesuffix("_total")] == (metric.kind, metric.help)


def _openmetrics(text: str) -> list[Metric]:
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # it raises for names that clash


def test_openmetrics_reads_it_too_where_no_two_metrics_may_share_a_name() -> None:
    text = generate_openmetrics(_registry(_every_series_used())).decode()  # type: ignore[no-untyped-call]  # theirs
    families = _openmetrics(text)
    assert {sample.name for family in families for sample in family.samples} >= _exported_names()


def test_metrics_without_labels_are_there_from_the_start() -> None:
    samples = {s.name: s.value for f in parse(generate_latest(_registry(Metrics())).decode()) for s in f.samples}
    for metric in METRICS:
        if not metric.labels:
            assert samples[f"mailwake_{metric.name}" + ("_count" if metric.buckets else "")] == 0


def test_a_histogram_counts_over_processes_and_a_bound_belongs_to_its_own_bucket() -> None:
    one, other = Metrics(), Metrics()
    for process, values in ((one, (0.001, 0.005)), (other, (0.0051, 240.0, 1000.0))):
        for value in values:
            process.histogram("message_seconds").observe(value)
    registry = _registry(one, other)

    def bucket(bound: str) -> float | None:
        return registry.get_sample_value("mailwake_message_seconds_bucket", {"le": bound})

    assert [bucket(bound) for bound in ("0.005", "0.01", "60.0", "240.0", "+Inf")] == [2, 3, 3, 4, 5]
    assert registry.get_sample_value("mailwake_message_seconds_count") == 5
    total = registry.get_sample_value("mailwake_message_seconds_sum")
    assert total is not None
    assert math.isclose(total, 1240.0111)


def test_a_metric_is_used_as_what_it_is_and_with_its_labels() -> None:
    metrics = Metrics()
    with pytest.raises(ValueError, match="message_seconds is a histogram"):
        metrics.counter("message_seconds")
    with pytest.raises(ValueError, match="spool_entries_waiting is a gauge"):
        metrics.histogram("spool_entries_waiting")
    with pytest.raises(ValueError, match="takes the labels"):
        metrics.counter("messages_total")
    with pytest.raises(KeyError):
        metrics.counter("mesages_total")
