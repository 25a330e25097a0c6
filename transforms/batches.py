"""Batches as elements: their coder, and the converters from and to plain rows."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.reading import READINGS, VersionKind
from transforms.measurements import MAX_LATITUDE, MAX_LONGITUDE, MAX_VALUE
from transforms.numbers import MICROS, float_to_micros

__all__ = ["BatchCoder", "BatchReadings", "ToRows", "batch_rows", "rows_of", "stamped"]

Row = Mapping[str, Any]
MOMENT = READINGS.field("event_time").type
SENSOR = READINGS.field("sensor_id").type
INT64 = range(-(2**63), 2**63)
NO_READING: Row = {
    "event_time": datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    "longitude": None,
    "latitude": None,
    "value": 0.0,
}
"""What stands in place of a deletion while its batch is made."""


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

    def estimate_size(self, value: pa.RecordBatch) -> int:
        """Bytes of the batch, about: runners ask often, and encoding it copies all of it."""
        return int(value.nbytes)

    def is_deterministic(self) -> bool:
        """False: equal rows may be laid out in different ways."""
        return False


beam.coders.registry.register_coder(pa.RecordBatch, BatchCoder)


def batch_rows(rows: Iterable[Row]) -> pa.RecordBatch:
    """Rows as a batch of readings.

    Args:
        rows: mappings with `event_time` (an aware `datetime`, or a naive one in UTC),
            `longitude` and `latitude` (degrees, or None), `value` (in the quantity's unit) and,
            if there are any, `id`, `sensor_id`, `quantity` (default temperature), `in_france`,
            `source`, `format` (default rows), `arrived_at` (a `datetime`), and a version: `version`
            (an integer) or else `updated_at` (a `datetime`); where `version_kind` is given, it says
            what `version` is. With `deleted` True only what tells the reading from others (`id`,
            else `sensor_id` and `event_time`; `quantity`, `format`) and the version are looked
            at.

    Returns:
        A batch of schema `READINGS`.

    Raises:
        ValueError: a row lacks a field or holds something that cannot be a reading.
    """
    listed = list(rows)
    try:
        deleted = [_is_deletion(row) for row in listed]
        versions = [_version(row) for row in listed]
        arrivals = [_micros_or_none(row.get("arrived_at")) for row in listed]
        # What a deletion lacks is filled in, and NULL in the end.
        filled = [NO_READING if gone else row for row, gone in zip(listed, deleted, strict=True)]
        unknown = [
            gone and row.get("id") is not None for row, gone in zip(listed, deleted, strict=True)
        ]
        values = np.array([float(row["value"]) for row in filled], np.float64)
        times = np.array(
            [
                0 if none else _micros(row["event_time"])
                for row, none in zip(listed, unknown, strict=True)
            ],
            np.int64,
        )
        longitudes = [_degrees(row["longitude"], MAX_LONGITUDE) for row in filled]
        latitudes = [_degrees(row["latitude"], MAX_LATITUDE) for row in filled]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        msg = f"a row is not a reading: {error!r}; it needs event_time, longitude, latitude, value"
        raise ValueError(msg) from error
    if not np.isfinite(values).all():
        msg = "a row is not a reading: its value is not finite"
        raise ValueError(msg)
    if (np.abs(values) > MAX_VALUE).any():
        msg = f"a row is not a reading: its value is beyond ±{MAX_VALUE:.0e}"
        raise ValueError(msg)
    gone = np.array(deleted, bool)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([_text(row.get("id")) for row in listed], pa.string()),
            pa.array([_text(row.get("sensor_id")) for row in listed], SENSOR),
            _dictionary([str(row.get("quantity", "temperature")) for row in listed]),
            pa.array(times, mask=np.array(unknown, bool)).view(MOMENT),
            pa.array(longitudes, pa.float64()),
            pa.array(latitudes, pa.float64()),
            pa.array(float_to_micros(values), mask=gone),
            pa.array([bool(row.get("in_france", False)) for row in filled], pa.bool_()),
            _dictionary([str(row.get("source", "rows")) for row in listed]),
            pa.array([version for version, _ in versions], pa.int64()),
            pa.array([kind for _, kind in versions], pa.int8()),
            pa.array(deleted, pa.bool_()),
            pa.array(arrivals, pa.int64()).view(MOMENT),
            _dictionary([str(row.get("format", "rows")) for row in listed]),
        ],
        schema=READINGS,
    )


def rows_of(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """A batch's rows as dictionaries; `value_micros` becomes `value`, in the quantity's unit.

    Args:
        batch: of any schema.

    Yields:
        One dictionary a row. Timestamps are aware `datetime`s in UTC; NULL is None. Rows of a
        batch of readings can be given back to `batch_rows`.
    """
    for row in batch.to_pylist():
        if "value_micros" in row:
            micros = row.pop("value_micros")
            row["value"] = None if micros is None else micros / MICROS
        yield row


def stamped(batch: pa.RecordBatch) -> TimestampedValue:
    """The batch with its oldest event time as its timestamp: no reading in it is then late.

    A deletion has no event time. A batch of deletions only gets its oldest arrival, or without one
    the epoch.
    """
    oldest = pc.min(batch.column("event_time").view(pa.int64())).as_py()
    if oldest is None:
        oldest = pc.min(batch.column("arrived_at").view(pa.int64())).as_py() or 0
    return TimestampedValue(batch, Timestamp(micros=oldest))


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


def _is_deletion(row: Row) -> bool:
    deleted = row.get("deleted", False)
    if deleted not in {True, False, None}:
        msg = f"deleted is {deleted!r}, neither True nor False"
        raise ValueError(msg)
    if deleted and row.get("id") is None and row.get("sensor_id") is None:
        msg = "a deletion has neither an id nor a sensor_id"
        raise ValueError(msg)
    return bool(deleted)


def _version(row: Row) -> tuple[int, VersionKind]:
    """A row's version, and what it is."""
    version = row.get("version")
    if "version_kind" in row:
        kind = VersionKind(row["version_kind"])
    elif version is not None:
        kind = VersionKind.VERSION
    elif row.get("updated_at") is not None:
        version, kind = _micros(row["updated_at"]), VersionKind.UPDATED_AT
    elif row.get("arrived_at") is not None:
        version, kind = _micros(row["arrived_at"]), VersionKind.ARRIVAL
    else:
        version, kind = 0, VersionKind.NONE
    if not isinstance(version, int) or isinstance(version, bool) or version not in INT64:
        msg = f"the version {version!r} is not an integer of 64 bits"
        raise ValueError(msg)
    return version, kind


def _micros_or_none(moment: datetime.datetime | None) -> int | None:
    return None if moment is None else _micros(moment)


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
