"""The balance of a run: a counter for every class of reading, so that nothing vanishes.

read = counted + duplicate + superseded + deleted + outside + no_place + rejected + too_late
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping

from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricResults, MetricsFilter

from schemas.classes import CLASSES

__all__ = [
    "CLASSES",
    "NAMESPACE",
    "REASONS",
    "Tallies",
    "closes",
    "count",
    "names_in",
    "read_balance",
    "tally",
    "watch",
]

NAMESPACE = "balance"
REASONS = "rejected"
"""Namespace of the counters of rejected records by reason."""


_watchers: list[Callable[[str, str, int], None]] = []
_tallies: Counter[tuple[str, str]] = Counter()
_tallying = threading.Lock()


def count(name: str, amount: int, namespace: str = NAMESPACE) -> None:
    """Adds to a counter of the run, and to this process's own tally of it."""
    if amount:
        Metrics.counter(namespace, name).inc(amount)
        with _tallying:
            _tallies[namespace, name] += amount
        for watcher in _watchers:
            watcher(namespace, name, amount)


def watch(watcher: Callable[[str, str, int], None]) -> None:
    """Has the function called with namespace, name and amount whenever this process counts."""
    _watchers.append(watcher)


def tally(namespace: str, name: str) -> int:
    """What this process has counted so far: for showing progress, while metrics are not final."""
    return _tallies[namespace, name]


def _now() -> Counter[tuple[str, str]]:
    with _tallying:
        return _tallies.copy()


class Tallies:
    """What this process counts from now on, by namespace: for runners with all workers in it.

    Prism loses counts: of two bundles that bring a counter's first amounts at once, it keeps one's.
    """

    def __init__(self) -> None:
        self._before = _now()

    def counters(self) -> dict[tuple[str, str], int]:
        """All counters that have counted, by namespace and name."""
        return {
            key: amount - self._before[key]
            for key, amount in _now().items()
            if amount != self._before[key]
        }

    def names_in(self, namespace: str) -> dict[str, int]:
        """The counters of a namespace by name."""
        return {
            name: amount for (space, name), amount in self.counters().items() if space == namespace
        }


def names_in(metrics: MetricResults | Tallies, namespace: str) -> dict[str, int]:
    """The counters of a namespace by name, over all steps."""
    if isinstance(metrics, Tallies):
        return metrics.names_in(namespace)
    found: Counter[str] = Counter()
    for result in metrics.query(MetricsFilter().with_namespace(namespace))["counters"]:
        found[result.key.metric.name] += result.result
    return dict(found)


def read_balance(metrics: MetricResults | Tallies) -> dict[str, int]:
    """The counters of a finished run: `read` and every class, 0 where it did not occur."""
    found = names_in(metrics, NAMESPACE)
    return {name: found.get(name, 0) for name in ("read", *CLASSES)}


def closes(balance: Mapping[str, int]) -> bool:
    """Whether every reading that was read is in exactly one class."""
    return balance["read"] == sum(balance[name] for name in CLASSES)
