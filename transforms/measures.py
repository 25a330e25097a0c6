"""Gauges, distributions and latencies of a run: as Beam's metrics, and for this process to show.

Each is updated once a batch, a bundle or a poll, never once a reading; `schemas.metrics` has the
list.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.metrics import Metrics

from schemas.metrics import BOUNDS
from transforms.balance import count

__all__ = [
    "ARRIVAL_TO_RESULT",
    "EVENT_TO_ARRIVAL",
    "LATENCY",
    "gauges",
    "measure_arrivals",
    "observe",
    "set_gauge",
    "update_distribution",
]

LATENCY = "latency"
EVENT_TO_ARRIVAL, ARRIVAL_TO_RESULT = "event_to_arrival", "arrival_to_result"

_gauges: dict[tuple[str, str], int] = {}
_gauging = threading.Lock()


def set_gauge(namespace: str, name: str, value: int) -> None:
    """Says what a value is now."""
    Metrics.gauge(namespace, name).set(value)
    with _gauging:
        _gauges[namespace, name] = value


def gauges() -> dict[tuple[str, str], int]:
    """What the gauges of this process were last set to, by namespace and name."""
    with _gauging:
        return dict(_gauges)


def update_distribution(namespace: str, name: str, value: int) -> None:
    """Adds one value to a distribution."""
    Metrics.distribution(namespace, name).update(value)


def observe(name: str, milliseconds: npt.NDArray[np.int64]) -> None:
    """Adds latencies to the histogram `latency/NAME`; those below 0 count as 0.

    Args:
        name: `EVENT_TO_ARRIVAL` or `ARRIVAL_TO_RESULT`.
        milliseconds: at least one.
    """
    total, longest, shortest = len(milliseconds), int(milliseconds.max()), int(milliseconds.min())
    for bound in BOUNDS:
        if shortest > bound:
            continue
        below = total if longest <= bound else int(np.count_nonzero(milliseconds <= bound))
        count(f"{name}_le_{bound}", below, LATENCY)
    count(f"{name}_le_inf", total, LATENCY)
    added = milliseconds if shortest >= 0 else np.maximum(milliseconds, 0)
    count(f"{name}_sum", int(added.sum()), LATENCY)
    update_distribution(LATENCY, name, max(longest, 0))


def measure_arrivals(batch: pa.RecordBatch) -> None:
    """Observes how long after their event times readings have arrived.

    Args:
        batch: of schema `READINGS`; readings of files, which have no arrival, and deletions without
            an event time are not looked at.
    """
    arrived, happened = batch.column("arrived_at"), batch.column("event_time")
    if arrived.null_count == len(arrived):
        return
    micros = np.asarray(_numbers(arrived)) - np.asarray(_numbers(happened))
    if arrived.null_count or happened.null_count:
        known = arrived.is_valid().to_numpy(zero_copy_only=False)
        known &= happened.is_valid().to_numpy(zero_copy_only=False)
        micros = micros[known]
    if len(micros):
        observe(EVENT_TO_ARRIVAL, micros // 1000)


def _numbers(column: pa.Array) -> pa.Array:
    """Microseconds since the epoch; whatever stands there where there is none."""
    numbers = column.view(pa.int64())
    return numbers.fill_null(0) if numbers.null_count else numbers
