"""The newest window of sensors, as a run shows it when it is done."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.rendering import MAX_CELL, UNSAFE

if TYPE_CHECKING:
    import duckdb

__all__ = ["SensorWindow", "aligned", "newest_window", "window_of"]

SHOWN = 20
NEWEST_WINDOW = f"""
WITH kind AS (
  SELECT window_size, window_period FROM sensor_means ORDER BY ALL LIMIT 1
),
newest AS (
  SELECT max(window_start) FILTER (WHERE window_end <= now()) AS over, max(window_start) AS any
  FROM sensor_means SEMI JOIN kind USING (window_size, window_period)
)
SELECT
  sensor_id, quantity, count, mean, min, max, stddev, epoch(window_start)::BIGINT AS start,
  window_size, count(*) OVER () AS total
FROM sensor_means SEMI JOIN kind USING (window_size, window_period), newest
WHERE window_start = coalesce(over, newest.any)
ORDER BY sensor_id, quantity
LIMIT {SHOWN}
"""  # noqa: S608 - no text of anybody else is in it
COLUMNS = ("sensor", "quantity", "count", "mean", "min", "max")


@dataclass(frozen=True)
class SensorWindow:
    """The newest window that is over, of the shortest kind.

    Attributes:
        start: when it begins.
        size: its length in seconds.
        rows: the means of the first sensors.
        total: of how many series of sensors there are means.
    """

    start: datetime.datetime
    size: int
    rows: tuple[Mapping[str, Any], ...]
    total: int

    def document(self) -> dict[str, Any]:
        """The window as JSON values."""
        return {**vars(self), "start": f"{self.start:%Y-%m-%dT%H:%M:%SZ}".zfill(20)}

    def lines(self) -> list[str]:
        """The window as a person reads it."""
        end = self.start + datetime.timedelta(seconds=self.size)
        over = "" if end <= datetime.datetime.now(datetime.UTC) else " (not over yet)"
        began = f"{self.start:%Y-%m-%d %H:%M:%S}".zfill(19)
        rows = [
            (
                str(row["sensor_id"])[:MAX_CELL].translate(UNSAFE),
                str(row["quantity"])[:MAX_CELL].translate(UNSAFE),
                f"{row['count']:,}",
                *("–" if row[name] is None else f"{row[name]:.2f}" for name in COLUMNS[3:]),
            )
            for row in self.rows
        ]
        more = self.total - len(self.rows)
        return [
            f"{self.size:,} s from {began} UTC{over}",
            *aligned(COLUMNS, rows, texts=2),
            *([f"and {more:,} more"] if more else []),
        ]


def newest_window(connection: duckdb.DuckDBPyConnection) -> SensorWindow | None:
    """The newest window of the sensors of a store; None where it has none.

    Args:
        connection: to the store.
    """
    found = connection.execute(NEWEST_WINDOW)
    names = [column[0] for column in found.description]
    return window_of([dict(zip(names, row, strict=True)) for row in found.fetchall()])


def window_of(rows: Sequence[dict[str, Any]]) -> SensorWindow | None:
    """The window whose rows these are, with `start`, `window_size` and `total` in each of them."""
    if not rows:
        return None
    start, size, total = (rows[0][name] for name in ("start", "window_size", "total"))
    for row in rows:
        for name in ("start", "window_size", "total"):
            del row[name]
    moment = datetime.datetime.fromtimestamp(start, datetime.UTC)
    return SensorWindow(moment, size, tuple(rows), total)


def aligned(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], texts: int = 1) -> list[str]:
    """A table in lines, its columns in line.

    Args:
        columns: what they are called.
        rows: the cells.
        texts: how many of the columns, from the left, are aligned to the left.
    """
    widths = [max(len(row[column]) for row in [columns, *rows]) for column in range(len(columns))]

    def line(cells: tuple[str, ...]) -> str:
        placed = [
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(placed).rstrip()

    return [line(columns), *(line(row) for row in rows)]
