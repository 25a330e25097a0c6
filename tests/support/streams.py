"""A stream of batches, event by event, and what a pipeline gives for it, pane by pane.

The BundleBasedDirectRunner is the one that fires panes exactly as written. It has two habits that
are respected here: it judges by the clock whether a pane that fires by the clock is early, so the
clock keeps step with the watermark; and its metrics have only the first bundle of each step, so
counters are watched where they are counted.
"""

from __future__ import annotations

import datetime
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import FastPrimitivesCoder
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue

from transforms import balance
from transforms.batches import BatchCoder, batch_rows, rows_of, stamped

START = datetime.datetime(2024, 1, 1, 10, tzinfo=datetime.UTC)
PARIS, TOULOUSE, AT_SEA = (2.3522, 48.8566), (1.444, 43.6045), (-30.0, 45.0)

_outputs: dict[str, list[Any]] = defaultdict(list)
"""By label: the runner pickles DoFns, so what they collect has to be found by name."""


def at(minutes: float) -> datetime.datetime:
    """A moment by its distance from the start of the tests' first hour."""
    return START + datetime.timedelta(minutes=minutes)


def reading(
    name: str | None,
    minutes: float,
    value: float,
    version: int | None = None,
    place: tuple[float | None, float | None] = PARIS,
    **more: Any,
) -> dict[str, Any]:
    """A row as `batch_rows` takes it, which arrives when it is measured unless `more` says else."""
    arrived = more.pop("arrived", minutes)
    row = {
        "id": name,
        "event_time": at(minutes),
        "value": value,
        "longitude": place[0],
        "latitude": place[1],
        "arrived_at": None if arrived is None else at(arrived),
        **more,
    }
    return row if version is None else {**row, "version": version}


def deletion(name: str, version: int | None = None, arrived: float | None = 0) -> dict[str, Any]:
    """A row that takes a reading back."""
    row = {
        "id": name,
        "deleted": True,
        "arrived_at": None if arrived is None else at(arrived),
    }
    return row if version is None else {**row, "version": version}


@dataclass
class Stream:
    """What happens, in order. The watermark and the clock begin at `START`."""

    events: TestStream = field(
        default_factory=lambda: TestStream(coder=BatchCoder()).with_output_types(pa.RecordBatch)
    )
    _clock: float = 0

    def __post_init__(self) -> None:
        self._wait_until(START.timestamp())
        self.events.advance_watermark_to(START.timestamp())

    def rows(self, *rows: dict[str, Any]) -> Stream:
        """One batch arrives."""
        return self.batch(batch_rows(rows))

    def batch(self, batch: pa.RecordBatch) -> Stream:
        """A ready batch arrives, stamped with its oldest event time."""
        self.events.add_elements([stamped(batch)])
        return self

    def elements(self, *elements: Any, minutes: float = 0) -> Stream:
        """Elements of any other kind arrive, stamped with a moment."""
        stamp = at(minutes).timestamp()
        self.events.add_elements([TimestampedValue(element, stamp) for element in elements])
        return self

    def wait(self, seconds: float = 31) -> Stream:
        """The clock goes on: panes that fire by the clock are due after 30 seconds."""
        self._clock += seconds
        self.events.advance_processing_time(seconds)
        return self

    def watermark(self, minutes: float) -> Stream:
        """The watermark goes on, and the clock with it."""
        moment = at(minutes).timestamp()
        self.events.advance_watermark_to(moment)
        self._wait_until(moment)
        return self

    def end(self) -> TestStream:
        """All that is due is given out; then the stream ends."""
        self.wait(3600)
        return self.events.advance_watermark_to_infinity()

    def _wait_until(self, moment: float) -> None:
        if moment > self._clock:
            self.wait(moment - self._clock)


def stream_of_anything() -> Stream:
    """A stream whose elements are not batches."""
    return Stream(TestStream(coder=FastPrimitivesCoder()))


@dataclass(frozen=True)
class Seen:
    """What a pipeline gave.

    Attributes:
        rows: by output, the rows of its batches in the order in which they came.
        balance: by class, how often it was counted.
    """

    rows: dict[str, list[dict[str, Any]]]
    balance: dict[str, int]


def run_stream(
    stream: Stream,
    build: Callable[[beam.PCollection], dict[str, beam.PCollection | None]],
) -> Seen:
    """Runs a pipeline over a stream.

    Args:
        stream: what happens.
        build: applies transforms; gives the outputs that are wanted, by name.
    """
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(runner=BundleBasedDirectRunner(), options=options)
    outputs = build(pipeline | "Stream" >> stream.end())
    run = uuid.uuid4().hex
    for name, output in outputs.items():
        if output is not None:
            output | f"See_{name}" >> beam.ParDo(_See(f"{run}/{name}"))
    with counted() as found:
        pipeline.run().wait_until_finish()
    rows = {
        name: [row for batch in _outputs.pop(f"{run}/{name}", []) for row in rows_of(batch)]
        for name in outputs
    }
    return Seen(rows, {name: found[name] for name in ("read", *balance.CLASSES)})


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """What is counted for the balance meanwhile."""
    found: Counter[str] = Counter()

    def watcher(namespace: str, name: str, amount: int) -> None:
        if namespace == balance.NAMESPACE:
            found[name] += amount

    balance.watch(watcher)
    try:
        yield found
    finally:
        balance._watchers.remove(watcher)


class _See(beam.DoFn):
    def __init__(self, label: str) -> None:
        self._label = label

    def process(self, element: pa.RecordBatch) -> None:
        _outputs[self._label].append(element)
