"""The balance of a run: a counter for every class of reading, so that nothing vanishes.

    read = counted + duplicate + superseded + deleted + outside + no_place + rejected + too_late
"""

from __future__ import annotations

from collections.abc import Mapping

from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricResults, MetricsFilter

__all__ = ["CLASSES", "NAMESPACE", "closes", "count", "read_balance"]

NAMESPACE = "balance"
CLASSES = (
    "counted",
    "duplicate",
    "superseded",
    "deleted",
    "outside",
    "no_place",
    "rejected",
    "too_late",
)


def count(name: str, amount: int, namespace: str = NAMESPACE) -> None:
    """Adds to a counter of the run."""
    if amount:
        Metrics.counter(namespace, name).inc(amount)


def read_balance(metrics: MetricResults) -> dict[str, int]:
    """The counters of a finished run: `read` and every class, 0 where it did not occur."""
    found = {name: 0 for name in ("read", *CLASSES)}
    for result in metrics.query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        name = result.key.metric.name
        if name in found:
            found[name] += result.result
    return found


def closes(balance: Mapping[str, int]) -> bool:
    """Whether every reading that was read is in exactly one class."""
    return balance["read"] == sum(balance[name] for name in CLASSES)
