"""Batches as elements: their coder, and the converters from and to plain rows."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.reading import READINGS
from transforms.interpret import MAX_LATITUDE, MAX_LONGITUDE, MAX_VALUE
from transforms.numbers import MICROS, float_to_micros

__all__ = ["BatchCoder", "BatchReadings", "ToRows", "batch_rows", "rows_of", "stamped"]

Row = Mapping[str, Any]


class BatchCoder(beam.coders.Coder):
    """Arrow record batches on the wire, in Arrow's own streaming format."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """The batch as an Arrow stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema) as writer:
            writer.write_batch(value)
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """The batch of an Arrow stream."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        """False: equal rows may be laid out in different ways."""
        return False


beam.coders.registry.register_coder(pa.RecordBatch, BatchCoder)


def batch_rows(rows: Iterable[Row]) -> pa.RecordBatch:
    """Rows as a batch of readings.

    Args:
        rows: mappings with `event_time` (an aware `datetime`, or a naive one in UTC),
            `longitude` and `latitude` (degrees, or None), `value` (in the quantity's unit) and,
            if there are any, `id`, `quantity` (default temperature), `in_france` and `source`.

    Returns:
        A batch of schema `READINGS`.

    Raises:
        ValueError: a row lacks a field or holds something that cannot be a reading.
    """
    listed = list(rows)
    try:
        values = np.array([float(row["value"]) for row in listed], np.float64)
        times = [_micros(row["event_time"]) for row in listed]
        longitudes = [_degrees(row["longitude"], MAX_LONGITUDE) for row in listed]
        latitudes = [_degrees(row["latitude"], MAX_LATITUDE) for row in listed]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"a row is not a reading: {error!r}; it needs event_time, longitude, latitude, value"
        raise ValueError(msg) from error
    if not np.isfinite(values).all():
        msg = "a row is not a reading: its value is not finite"
        raise ValueError(msg)
    if (np.abs(values) > MAX_VALUE).any():
        msg = f"a row is not a reading: its value is beyond ±{MAX_VALUE:.0e}"
        raise ValueError(msg)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([_text(row.get("id")) for row in listed], pa.string()),
            _dictionary([str(row.get("quantity", "temperature")) for row in listed]),
            pa.array(times, pa.int64()).view(READINGS.field("event_time").type),
            pa.array(longitudes, pa.float64()),
            pa.array(latitudes, pa.float64()),
            pa.array(float_to_micros(values)),
            pa.array([bool(row.get("in_france", False)) for row in listed]),
            _dictionary([str(row.get("source", "rows")) for row in listed]),
        ],
        schema=READINGS,
    )


def rows_of(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """A batch's rows as dictionaries; `value_micros` becomes `value`, in the quantity's unit.

    Args:
        batch: of any schema.

    Yields:
        One dictionary a row. Timestamps are aware `datetime`s in UTC.
    """
    for row in batch.to_pylist():
        if "value_micros" in row:
            row["value"] = row.pop("value_micros") / MICROS
        yield row


def stamped(batch: pa.RecordBatch) -> TimestampedValue:
    """The batch with its oldest event time as its timestamp: no reading in it is then late."""
    times = np.asarray(batch.column("event_time").view(pa.int64()))
    return TimestampedValue(batch, Timestamp(micros=int(times.min())))


class BatchReadings(beam.PTransform[beam.PCollection[Row], beam.PCollection[pa.RecordBatch]]):
    """Gathers row elements into batches of readings, bundle by bundle.

    Elements in are mappings as `batch_rows` takes them; elements out are batches of schema
    `READINGS`, each with its oldest event time as its timestamp, in the rows' window.

    Args:
        size: the most rows in a batch.

    Raises:
        ValueError: from the pipeline, for a row that is not a reading.
    """

    def __init__(self, size: int = 20_000) -> None:
        super().__init__()
        self._size = size

    def expand(self, pcoll: beam.PCollection[Row]) -> beam.PCollection[pa.RecordBatch]:
        return pcoll | "Gather" >> beam.ParDo(_Gather(self._size)).with_output_types(pa.RecordBatch)


class ToRows(beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[dict[str, Any]]]):
    """Turns batches (readings, placed readings, means, rejected records) into dictionaries."""

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[dict[str, Any]]:
        return pcoll | "Rows" >> beam.FlatMap(rows_of).with_output_types(dict[str, Any])


class _Gather(beam.DoFn):
    def __init__(self, size: int) -> None:
        self._size = size
        self._rows: dict[Any, list[Row]] = {}

    def start_bundle(self) -> None:
        self._rows = {}

    def process(
        self, element: Row, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[TimestampedValue]:
        rows = self._rows.setdefault(window, [])
        rows.append(element)
        if len(rows) >= self._size:
            yield stamped(batch_rows(self._rows.pop(window)))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for window, rows in self._rows.items():
            value = stamped(batch_rows(rows))
            yield WindowedValue(value.value, value.timestamp, (window or GlobalWindow(),))
        self._rows = {}


def _micros(moment: datetime.datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (aware - epoch) // datetime.timedelta(microseconds=1)


def _degrees(value: Any, most: float) -> float | None:
    if value is None or math.isnan(value):
        return None
    if abs(value) > most:
        msg = f"{value!r} degrees are beyond ±{most:.0f}"
        raise ValueError(msg)
    return float(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _dictionary(texts: list[str]) -> pa.DictionaryArray:
    encoded = pa.array(texts, pa.string()).dictionary_encode()
    return encoded.cast(pa.dictionary(pa.int8(), pa.string()))
