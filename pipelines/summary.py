"""What a run says when it is done: the balance, the newest hour, what was rejected, what next."""

from __future__ import annotations

import datetime
import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.bigquery.uri import is_bigquery
from connectors.local_store import LocalStore
from pipelines.sensor_summary import SensorWindow, aligned, newest_window

__all__ = ["Summary", "as_json", "as_text", "summarise"]

NEWEST_HOUR = """
WITH newest AS (
  SELECT max(hour) FILTER (WHERE hour + INTERVAL 1 HOUR <= now()) AS over, max(hour) AS any
  FROM hourly_means
)
SELECT region, count, mean, min, max, mean_3h_before, epoch(hour)::BIGINT AS hour
FROM hourly_means, newest
WHERE hour = coalesce(over, newest.any)
ORDER BY region_code, quantity
"""
SHOWN_REASONS = 5
BY_REGION = (
    "SELECT region, hour, mean, mean_3h_before FROM hourly_means "
    "ORDER BY hour DESC, region LIMIT 18"
)
BY_SENSOR = (
    "SELECT sensor_id, quantity, window_start, mean FROM sensor_means "
    "ORDER BY window_start DESC, sensor_id LIMIT 20"
)
COLUMNS = ("region", "count", "mean", "min", "max", "3 h before")


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    Attributes:
        run_id: the run.
        output: where the results are.
        balance: `read` and the classes of `transforms.balance.CLASSES`.
        rejected: records by reason, the most frequent first.
        damaged: a sentence for each file that could not be read to its end.
        hour: start of the newest hour that is over; None where no hourly means were computed.
        regions: the rows of that hour.
        seconds: how long the run took.
        bytes: how much text was read.
        sensors: the newest window of sensors; None where there is none.
        failed_rows: rows that BigQuery did not take; None where the output is another.
    """

    run_id: str
    output: str
    balance: Mapping[str, int]
    rejected: Mapping[str, int]
    damaged: tuple[str, ...]
    hour: datetime.datetime | None
    regions: tuple[Mapping[str, Any], ...]
    seconds: float
    bytes: int
    sensors: SensorWindow | None = None
    failed_rows: int | None = None


def summarise(
    output: str,
    run_id: str,
    balance: Mapping[str, int],
    rejected: Mapping[str, int],
    damaged: tuple[str, ...],
    seconds: float,
    size: int,
    failed_rows: int | None = None,
) -> Summary:
    """Looks up what the run left in the store, and puts it beside what it counted.

    Raises:
        OutputError: the dataset cannot be asked.
        StoreError: the store cannot be read.
    """
    rows, sensors = _newest(output)
    hour = None
    if rows:
        hour = datetime.datetime.fromtimestamp(rows[0]["hour"], datetime.UTC)
    for row in rows:
        del row["hour"]
    most = dict(sorted(rejected.items(), key=lambda item: (-item[1], item[0])))
    return Summary(
        run_id,
        output,
        balance,
        most,
        damaged,
        hour,
        tuple(rows),
        seconds,
        size,
        sensors,
        failed_rows,
    )


def _newest(output: str) -> tuple[list[dict[str, Any]], SensorWindow | None]:
    """The rows of the newest hour, and the newest window of sensors."""
    if is_bigquery(output):
        from pipelines.dataset_summary import newest_of_dataset  # noqa: PLC0415 - Google's clients

        return newest_of_dataset(output)
    with LocalStore(output).connect() as connection:
        found = connection.execute(NEWEST_HOUR)
        names = [column[0] for column in found.description]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return rows, newest_window(connection)


def as_json(summary: Summary) -> str:
    """The summary as one JSON object."""
    # `strftime` writes the year 1 with one digit.
    hour = f"{summary.hour:%Y-%m-%dT%H:%M:%SZ}".zfill(20) if summary.hour else None
    sensors = summary.sensors.document() if summary.sensors else None
    document = {**vars(summary), "hour": hour, "sensors": sensors}
    if summary.failed_rows is None:
        del document["failed_rows"]
    return json.dumps(document, ensure_ascii=False, indent=2)


def as_text(summary: Summary) -> str:
    """The summary as a person reads it."""
    balance = summary.balance
    classes = [f"{count:,} {_said(name)}" for name, count in balance.items() if name != "read"]
    present = [text for text in classes if not text.startswith("0 ")] or ["0 counted"]
    rate = balance["read"] / summary.seconds if summary.seconds else 0
    lines = [
        f"read {balance['read']:,} readings = {' + '.join(present)}",
        f"{summary.bytes / 1e6:,.1f} MB in {summary.seconds:.1f} s, {rate:,.0f} readings/s",
    ]
    lines += [f"warning: {sentence}; what was read of it counts" for sentence in summary.damaged]
    if summary.hour:
        lines += ["", *_table(summary)]
    if summary.sensors:
        lines += ["", *summary.sensors.lines()]
    if balance["rejected"]:
        share = 100 * balance["rejected"] / balance["read"]
        shown = list(summary.rejected.items())[:SHOWN_REASONS]
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in shown)
        lines += ["", f"rejected {share:.3g} % of the records: {reasons}"]
    if summary.failed_rows:
        lines += ["", f"{summary.failed_rows:,} rows do not fit: see the table failed_rows"]
    output = shlex.quote(summary.output)
    query = BY_SENSOR if summary.sensors and not summary.hour else BY_REGION
    lines += [
        "",
        f"results in {summary.output}; ask them in SQL:",
        f'  {_python()} -m pipelines.query --output {output} "{query}"',
    ]
    return "\n".join(lines)


def _python() -> str:
    """How to call the Python that runs this, from where it was called."""
    here = Path(sys.executable)
    if here.is_relative_to(Path.cwd()):
        return shlex.quote(str(here.relative_to(Path.cwd())))
    found = shutil.which("python")
    return "python" if found and Path(found) == here else shlex.quote(str(here))


def _said(name: str) -> str:
    return name.replace("_", " ")


def _table(summary: Summary) -> list[str]:
    hour = summary.hour
    if hour is None:
        return []
    over = hour <= datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    began = f"{hour:%Y-%m-%d %H:%M}".zfill(16)
    title = f"hour from {began} UTC{'' if over else ' (not over yet)'}, °C"
    rows = [
        (
            str(row["region"]),
            f"{row['count']:,}",
            *(_number(row[name]) for name in ("mean", "min", "max", "mean_3h_before")),
        )
        for row in summary.regions
    ]
    return [title, *aligned(COLUMNS, rows)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
