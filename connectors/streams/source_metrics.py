"""What is told of each part of a source at each poll: how much waits, and where event time is."""

from __future__ import annotations

import functools

from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from schemas.metrics import series_label
from transforms.measures import set_gauge, update_distribution

__all__ = ["measure_part"]

_label_of = functools.lru_cache(maxsize=4096)(series_label)


def measure_part(part: str, lag: int | None, watermark: Timestamp | None) -> None:
    """Sets the gauges of a part.

    Args:
        part: its name.
        lag: how many messages wait in it; None where that is not known.
        watermark: its watermark; None, or the beginning of time, where it has none yet.
    """
    if lag is not None:
        set_gauge("lag", _label_of(part), lag)
        update_distribution("source", "lag", lag)
    if watermark is not None and watermark > MIN_TIMESTAMP:
        set_gauge("watermark", _label_of(part), watermark.micros // 1_000_000)
