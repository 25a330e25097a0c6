"""What the cases must come to, without any pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.groupings import REGION, SENSOR
from tests.runners.cases import ACTS, CASES, Act, Case, Raw, Reading, at
from tests.support.plain_means import Key, plain_means
from transforms.windows import HOURLY, SLIDING

__all__ = [
    "BATCH_ONLY",
    "LARGE",
    "batch_lines",
    "final_means",
    "messages_of",
    "reasons",
    "sensors_of",
]

WINDOWS = tuple((window.size, window.period) for window in (HOURLY, SLIDING))
NOT_IN_BATCH = "from_the_future"
"""Files have no arrival: what a stream rejects for it would count in them."""

BATCH_ONLY = ("too_large",)
LARGE = (64 << 20) + 1
"""Bytes of the record that is too large: no queue takes it."""


def messages_of(act: Act) -> list[bytes]:
    """The messages of an act; the one that moves the watermark comes last."""
    cases = [*CASES[1:], CASES[0]]
    return [each.text(case) for case in cases for each in case.sent.get(act.name, ())]


def batch_lines() -> list[bytes]:
    """The messages of all acts that a run over files counts as a stream does."""
    return [
        each.text(case)
        for act in ACTS
        for case in CASES
        for each in case.sent.get(act.name, ())
        if each.rejected != NOT_IN_BATCH
    ]


def reasons(*, stream: bool) -> Counter[str]:
    """How often each reason of rejection occurs."""
    found = Counter(
        each.rejected
        for case in CASES
        for messages in case.sent.values()
        for each in messages
        if each.rejected is not None and (stream or isinstance(each, Raw))
    )
    return found if stream else found + Counter(BATCH_ONLY)


def sensors_of(case: Case) -> set[str]:
    """The sensors that a case's messages name."""
    return {f"{case.name}-{each.sensor}" for each in case.readings if each.sensor is not None}


def final_means(
    group_by: str, cases: Iterable[Case] = CASES
) -> tuple[dict[Key, dict[str, Any]], dict[Key, dict[str, Any]]]:
    """The rows of the regions and those of the sensors, once all is reconciled."""
    kept = [(case, each) for case in cases for each in case.readings if each.counts]
    regions = [(code, *numbers) for case, each in kept for code, numbers in _by_region(case, each)]
    sensors = [
        (f"{case.name}-{each.sensor}", *_numbers(each))
        for case, each in kept
        if each.sensor is not None and (group_by != REGION or not each.somewhere)
    ]
    return plain_means([] if group_by == SENSOR else regions, WINDOWS), plain_means(
        sensors, WINDOWS
    )


def _by_region(case: Case, reading: Reading) -> Iterator[tuple[str, tuple[str, int, int]]]:
    region = (reading.place or case.place).region
    if reading.somewhere and region is not None:
        yield region, _numbers(reading)


def _numbers(reading: Reading) -> tuple[str, int, int]:
    micros = round(at(reading.minutes).timestamp() * 10**6)
    return reading.quantity, micros, round(reading.value * 10**6)
