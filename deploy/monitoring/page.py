"""The tables of docs/monitoring.md, from the list of metrics."""

from __future__ import annotations

import re
from collections.abc import Sequence

from schemas.metrics import METRICS, Kind, Metric

__all__ = ["metrics_table", "with_tables"]

MARKED = re.compile(r"(<!-- metrics -->\n).*?(<!-- end of metrics -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page with its table made anew, between the two comments that mark it."""
    return MARKED.sub(lambda found: found[1] + metrics_table() + found[2], page)


def metrics_table(metrics: Sequence[Metric] = METRICS) -> str:
    """One row a metric."""
    lines = [
        "| Beam: namespace/name | kind | unit | Prometheus | what it says | when it is bad |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for metric in metrics:
        given = " | ".join(
            (
                f"`{metric.namespace}/{metric.name}`",
                metric.kind,
                metric.unit,
                _in_prometheus(metric),
                metric.meaning + _values(metric),
                metric.advice,
            )
        )
        lines.append(f"| {given} |")
    return "\n".join(lines) + "\n"


def _in_prometheus(metric: Metric) -> str:
    if metric.full_name is None:
        return ""
    if metric.kind == Kind.HISTOGRAM:
        return f"`{metric.full_name}_bucket{{le}}`, `…_sum`"
    label = f"{{{metric.label}}}" if metric.label else ""
    return f"`{metric.full_name}{label}`"


def _values(metric: Metric) -> str:
    return f" {metric.name}: {', '.join(metric.values)}." if metric.values else ""
