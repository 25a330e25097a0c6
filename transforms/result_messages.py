"""ToMessages: results as JSON messages for a queue."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import orjson
import pyarrow as pa

import transforms.batches  # noqa: F401 - registers the coder of batches
from schemas.reading import EMITTED_AT
from transforms.balance import count
from transforms.message_values import (
    Message,
    as_messages,
    attributes_of,
    column_values,
    documents,
    each_once,
    take_moments,
    texts_of_moments,
    texts_of_seconds,
)
from transforms.window_means import PARTIAL

__all__ = [
    "REPORT_FORMATS",
    "ToMessages",
    "check_report_format",
    "report_messages",
    "sensor_results",
]

REPORT, SENSOR_RESULT = "report", "sensor_result"
REPORT_FORMATS = (REPORT, SENSOR_RESULT)
"""How results are written; `schemas/messages` has the JSON Schema of each."""

BY_REGION = "region"
COUNTERS = "messages"
AT_ONCE = 4096
"""Rows that become messages at a time: of more objects Python would collect garbage in vain."""

SERIES = ("region_code", "region", "sensor_id", "quantity")
KEY = ("region_code", "sensor_id", "quantity")
ATTRIBUTES = (*KEY, "pane")
WINDOW = ("window_start", "window_end", "window_size", "window_period")
NO_SENSORS = (
    "sensor_result says one sensor's mean a message: it needs --group_by sensor or both, "
    "not means by region"
)


def check_report_format(report_format: str, group_by: str = BY_REGION) -> str:
    """The same format.

    Args:
        report_format: one of `REPORT_FORMATS`.
        group_by: what the means are grouped by: region, sensor or both.

    Raises:
        ValueError: there is no such format, or it cannot say these means.
    """
    if report_format not in REPORT_FORMATS:
        msg = f"results can be written as {' or '.join(REPORT_FORMATS)}, not as {report_format!r}"
        raise ValueError(msg)
    if report_format == SENSOR_RESULT and group_by == BY_REGION:
        raise ValueError(NO_SENSORS)
    return report_format


def report_messages(
    batch: pa.RecordBatch, emitted_at: int, run_id: str | None = None
) -> list[Message]:
    """Rows of means as messages of the format `report`.

    Args:
        batch: of schema `MEANS`; without `sensor_id`, and with other statistics if you like.
            Columns of partial statistics are left out.
        emitted_at: of the first row, in microseconds since the epoch; each row's is one more than
            that of the one before. A column `emitted_at` goes before it.
        run_id: the run that computed them.

    Returns:
        One message a row, in the order of the rows.
    """
    known = {*SERIES, *WINDOW, "pane", EMITTED_AT.name}
    names = [name for name in batch.schema.names if name not in known]
    statistics = [name for name in names if not name.startswith(PARTIAL)]
    series = [column_values(batch, name) for name in SERIES]
    windows = each_once(
        lambda window: dict(zip(("start", "end", "size", "period"), window, strict=True)),
        zip(*_windows(batch), strict=True),
    )
    moments = np.arange(emitted_at, emitted_at + batch.num_rows)
    if EMITTED_AT.name in batch.schema.names:
        moments = np.asarray(batch.column(EMITTED_AT.name).cast(pa.int64()))
    fields = (*SERIES, "window", *statistics, "pane", "emitted_at", "run_id")
    rows = zip(
        *series,
        windows,
        *(column_values(batch, name) for name in statistics),
        column_values(batch, "pane"),
        texts_of_moments(moments),
        [run_id] * batch.num_rows,
        strict=True,
    )
    return as_messages(
        _keys(batch), documents(fields, rows), attributes_of(batch, REPORT, ATTRIBUTES)
    )


def sensor_results(batch: pa.RecordBatch) -> list[Message]:
    """Rows of means by sensor as messages of the format `sensor_result`.

    Args:
        batch: of schema `MEANS`. Rows of regions are left out: the format cannot say them.

    Returns:
        One message a row of a sensor, in the order of the rows.

    Raises:
        ValueError: the means are not by sensor, or there is no mean.
    """
    if "sensor_id" not in batch.schema.names:
        raise ValueError(NO_SENSORS)
    if "mean" not in batch.schema.names:
        msg = "sensor_result needs the statistic mean"
        raise ValueError(msg)
    batch = batch.filter(batch.column("sensor_id").is_valid())
    windows = each_once(
        lambda window: dict(zip(("start", "end"), window, strict=True)),
        zip(*_windows(batch)[:2], strict=True),
    )
    fields = ("sensor_id", "pollution_type", "pollution_level", "window")
    rows = zip(
        column_values(batch, "sensor_id"),
        column_values(batch, "quantity"),
        column_values(batch, "mean"),
        windows,
        strict=True,
    )
    attributes = attributes_of(batch, SENSOR_RESULT, ("sensor_id", "quantity", "pane"))
    return as_messages(_keys(batch), documents(fields, rows), attributes)


class ToMessages(beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[Message]]):
    """Results as JSON messages: one a pane of a window, also where it has lost all readings.

    Elements in are batches of schema `MEANS`, as `RegionalMeans` gives them; elements out are
    tuples of key, value and attributes, in the order of the rows. The key names series and window:
    the newest message of a key is what counts. docs/results-as-messages.md shows both formats.

    The counter `messages/without_sensor` counts rows of regions that `sensor_result` left out.

    Args:
        report_format: one of `REPORT_FORMATS`.
        group_by: what the means are grouped by, as for `RegionalMeans`.
        run_id: stands in each message of the format `report`.

    Raises:
        ValueError: there is no such format, or it cannot say these means.
    """

    def __init__(
        self, report_format: str = REPORT, group_by: str = BY_REGION, run_id: str | None = None
    ) -> None:
        super().__init__()
        self._format = check_report_format(report_format, group_by)
        self._run_id = run_id

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[Message]:
        render = _Render(self._format, self._run_id)
        return pcoll | "Render" >> beam.ParDo(render).with_output_types(Message)


class _Render(beam.DoFn):
    def __init__(self, report_format: str, run_id: str | None) -> None:
        self._format, self._run_id = report_format, run_id

    def process(self, element: pa.RecordBatch) -> Iterator[Message]:
        for begin in range(0, element.num_rows, AT_ONCE):
            rows = element.slice(begin, AT_ONCE)
            if self._format == REPORT:
                yield from report_messages(rows, take_moments(rows.num_rows), self._run_id)
            else:
                messages = sensor_results(rows)
                count("without_sensor", rows.num_rows - len(messages), COUNTERS)
                yield from messages


def _keys(batch: pa.RecordBatch) -> list[bytes]:
    """Series and window as a JSON array: no two have the same, whatever their names hold."""
    starts, _, sizes, periods = _windows(batch)
    series = [column_values(batch, name) for name in KEY]
    return [orjson.dumps(key) for key in zip(*series, sizes, periods, starts, strict=True)]


def _windows(batch: pa.RecordBatch) -> tuple[list[str], list[str], list[int], list[int]]:
    """Start and end as texts, size and period in seconds."""
    start, end = (texts_of_seconds(batch.column(name)) for name in WINDOW[:2])
    return start, end, column_values(batch, "window_size"), column_values(batch, "window_period")
