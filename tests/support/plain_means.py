"""Windowed statistics in plain Python, with fractions: what the means must equal."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str, str, int, int, int]
"""Region code, quantity, start of the window in seconds since the epoch, size, period."""


def window_starts(event_micros: int, size: int, period: int) -> list[int]:
    """Starts, in seconds, of the windows that hold an event time."""
    seconds = event_micros // 10**6
    newest = seconds // period * period
    return [start for start in range(newest, newest - size, -period) if start > seconds - size]


def plain_means(
    readings: Iterable[tuple[str, str, int, int]], windows: Iterable[tuple[int, int]]
) -> dict[Key, dict[str, Any]]:
    """The rows of all windows.

    Args:
        readings: region code, quantity, event time in µs, value in millionths.
        windows: size and period of each, in seconds.
    """
    held: dict[Key, list[int]] = defaultdict(list)
    for code, quantity, micros, value in readings:
        for size, period in windows:
            for start in window_starts(micros, size, period):
                held[code, quantity, start, size, period].append(value)
    return {key: statistics_of(values) for key, values in held.items()}


def statistics_of(values: list[int]) -> dict[str, Any]:
    """Count, mean, min, max and standard deviation of millionths."""
    count, total = len(values), sum(values)
    stddev = None
    if count > 1:
        squares = sum(value * value for value in values)
        variance = Fraction(count * squares - total * total, count * (count - 1))
        stddev = math.sqrt(variance) / 10**6
    return {
        "count": count,
        "mean": float(Fraction(total, count * 10**6)),
        "min": min(values) / 10**6,
        "max": max(values) / 10**6,
        "stddev": stddev,
    }


def assert_same_means(
    found: dict[Key, dict[str, Any]], expected: dict[Key, dict[str, Any]]
) -> None:
    """All statistics are the same; stddev to the last bits, where rounding twice may differ."""
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        for name, value in wanted.items():
            got = found[key][name]
            if name == "stddev" and value is not None:
                assert math.isclose(got, value, rel_tol=1e-15, abs_tol=1e-15), (key, got, value)
            else:
                assert got == value, (key, name, got, value)
