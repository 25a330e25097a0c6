"""How Prometheus scrapes a job, and turns Flink's names into those of the list of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from schemas.metrics import METRICS, PREFIX, Kind, Metric

__all__ = ["FLINK", "pod_monitor", "prometheus_config", "relabelings"]

FLINK = "flink_taskmanager_job_task_operator_"
"""How the reporter of Flink begins the name of a metric that a step counts."""

TOO_LONG = "(task|operator)_name|task_attempt_(id|num)"
"""Labels of Flink that say in kilobytes, or anew after each restart, what others say."""

Rule = dict[str, Any]


def relabelings(metrics: Sequence[Metric] = METRICS) -> list[Rule]:
    """The rules that Prometheus applies to each scraped metric, in this order.

    Args:
        metrics: the list.
    """
    rules = [_dropped(metrics)]
    for metric in metrics:
        if metric.kind == Kind.HISTOGRAM:
            rules += _of_histogram(metric)
        elif metric.label is not None and metric.full_name is not None:
            names = "|".join(metric.values) or ".+"
            found = f"{FLINK}{metric.namespace}_({names})"
            rules += [
                _rule(found, metric.label, "${1}"),
                _rule(found, "__name__", metric.full_name),
            ]
    rules += _plain(metrics)
    return [*rules, {"regex": TOO_LONG, "action": "labeldrop"}]


def _rule(regex: str, target: str, replacement: str) -> Rule:
    return {
        "source_labels": ["__name__"],
        "regex": regex,
        "target_label": target,
        "replacement": replacement,
    }


def _dropped(metrics: Sequence[Metric]) -> Rule:
    """Distributions are no numbers to Flink's reporter: it says 0, always."""
    names = [
        f"{metric.namespace}_{metric.name}"
        for metric in metrics
        if metric.kind in {Kind.DISTRIBUTION, Kind.HISTOGRAM}
    ]
    regex = f"{FLINK}({'|'.join(names)})"
    return {"source_labels": ["__name__"], "regex": regex, "action": "drop"}


def _of_histogram(metric: Metric) -> Iterator[Rule]:
    begin = f"{FLINK}{metric.namespace}_{metric.name}"
    yield _rule(rf"{begin}_le_(\d+)", "le", "${1}")
    yield _rule(f"{begin}_le_inf", "le", "+Inf")
    yield _rule(rf"{begin}_le_(\d+|inf)", "__name__", f"{metric.full_name}_bucket")
    yield _rule(f"{begin}_sum", "__name__", f"{metric.full_name}_sum")


def _plain(metrics: Sequence[Metric]) -> Iterator[Rule]:
    """Metrics without a label: those whose new name is made of the old one together."""
    alike: dict[str, list[str]] = {}
    for metric in metrics:
        if metric.label is not None or metric.kind == Kind.HISTOGRAM or metric.full_name is None:
            continue
        if metric.full_name == f"{PREFIX}{metric.namespace}_{metric.name}_total":
            alike.setdefault(metric.namespace, []).append(metric.name)
        else:
            yield _rule(f"{FLINK}{metric.namespace}_{metric.name}", "__name__", metric.full_name)
    for namespace, names in alike.items():
        regex = f"{FLINK}{namespace}_({'|'.join(names)})"
        yield _rule(regex, "__name__", f"{PREFIX}{namespace}_${{1}}_total")


def prometheus_config() -> dict[str, Any]:
    """The configuration of a Prometheus beside the cluster, or the run, of one machine."""
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": "flink",
                "static_configs": [{"targets": ["127.0.0.1:9249", "127.0.0.1:9250"]}],
                "metric_relabel_configs": relabelings(),
            },
            {
                "job_name": "regional_means",
                "static_configs": [{"targets": ["127.0.0.1:9400"]}],
            },
        ],
    }


def pod_monitor() -> dict[str, Any]:
    """The same for the pods of `deploy/flink/kubernetes`, as Prometheus' operator takes it."""
    operators = {"source_labels": "sourceLabels", "target_label": "targetLabel"}
    rules = [
        {operators.get(key, key): value for key, value in rule.items()} for rule in relabelings()
    ]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": "regional-means"},
        "spec": {
            "selector": {
                "matchLabels": {"app": "regional-means", "type": "flink-native-kubernetes"}
            },
            "podMetricsEndpoints": [
                {"port": "metrics", "interval": "15s", "metricRelabelings": rules}
            ],
        },
    }
