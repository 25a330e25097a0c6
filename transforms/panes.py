"""From the totals of windows to the rows of their panes: no Beam in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.reading import MEANS
from transforms.changes import series_name
from transforms.partial_rows import Matrix, PartialRows
from transforms.slices import KEY
from transforms.statistics import Statistic
from transforms.totals_state import WindowKey
from transforms.window_means import means_schema, partial_columns

__all__ = ["pane_rows"]


def pane_rows(
    windows: Sequence[WindowKey],
    timings: Sequence[str],
    totals: Matrix,
    statistics: Sequence[Statistic],
    *,
    partials: bool = False,
) -> pa.RecordBatch:
    """Panes as rows.

    Args:
        windows: the window of each.
        timings: its timing.
        totals: its total, as rows of `PartialRows(statistics)`.
        statistics: what to compute; each becomes a column.
        partials: as for `transforms.window_means.window_rows`.

    Returns:
        A batch of schema `means_schema`, in the order of the panes. The row of a window that has
        lost all its readings has count 0 and NULLs.
    """
    keys, starts, sizes, periods = zip(*windows, strict=True)
    columns = PartialRows(statistics).columns(totals)
    names = [series_name(key) for key in keys]
    found: dict[str, pa.Array] = {
        name: pa.array([series[part] for series in names], pa.string())
        for part, name in enumerate(KEY)
    }
    moment = MEANS.field("window_start").type
    begin, length = np.array(starts, np.int64), np.array(sizes, np.int64)
    found["window_start"] = pa.array(begin * 1_000_000).view(moment)
    found["window_end"] = pa.array((begin + length) * 1_000_000).view(moment)
    found["window_size"] = pa.array(length)
    found["window_period"] = pa.array(periods, pa.int64())
    found["pane"] = pa.array(timings, pa.string())
    empty = pa.array(columns["count"] == 0) if "count" in columns else None
    for statistic in statistics:
        result = statistic.extract(columns)
        if empty is not None and statistic.name != "count":
            result = pc.if_else(empty, pa.scalar(None, result.type), result)
        found[statistic.name] = result
    schema = means_schema(statistics, partials=partials)
    if partials:
        found |= partial_columns(columns, statistics)
    return pa.RecordBatch.from_arrays([found[name] for name in schema.names], schema=schema)
