"""Minima and maxima that the totals have lost, looked up in the index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.local_store.from_index import Wanted, windows_of_index
from connectors.local_store.index import Index
from connectors.local_store.partials import EXTREMES
from connectors.local_store.totals import Totals, WindowPartials, unknown_extremes
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.spans import Ints
from transforms.windows import SlidingWindow

__all__ = ["Found", "find_extremes", "with_extremes"]


@dataclass(frozen=True)
class Found:
    """Extremes that were looked up.

    Attributes:
        rows: the rows of the totals.
        partials: by extreme, its partial: the value, and that nothing left.
    """

    rows: Ints
    partials: Mapping[str, npt.NDArray[np.int64]]


def find_extremes(index: Index, windows: Windows, rows: Totals, numbering: Numbering) -> Found:
    """Looks up the minima and maxima that the totals do not know.

    Args:
        index: the index, with the commit's own entries.
        windows: the windows that the totals are of.
        rows: the totals.
        numbering: numbers of series.
    """
    lost = np.flatnonzero(unknown_extremes(rows.partials) & rows.last)
    if len(lost) == 0 or index.rows == 0:
        return Found(np.empty(0, np.int64), {})
    places = rows.places[lost]
    shown = numbering.columns(windows.series[places], windows.starts[places])
    families = {
        SlidingWindow(size, period)
        for size, period in zip(
            shown["window_size"].to_pylist(), shown["window_period"].to_pylist(), strict=True
        )
    }
    wanted = Wanted(
        np.asarray(shown["window_start"].view(pa.int64())),
        np.asarray(shown["window_end"].view(pa.int64())),
        *(frozenset(shown[name].to_pylist()) - {None} for name in ("region_code", "sensor_id")),
    )
    batch = windows_of_index(index, sorted(families), wanted)
    if batch is None:
        return Found(np.empty(0, np.int64), {})
    found = WindowPartials.of(batch, numbering)
    asked = Windows(windows.series[places], windows.starts[places])
    place = asked.places(found.series, found.starts)
    kept = place >= 0
    return Found(lost[place[kept]], {name: found.partials[name][kept] for name in EXTREMES})


def with_extremes(rows: Totals, found: Found) -> Totals:
    """Totals that have forgotten what left, where an extreme was looked up."""
    partials = dict(rows.partials)
    for name, column in found.partials.items():
        partials[name] = partials[name].copy()
        partials[name][found.rows] = column
    return replace(rows, partials=partials)
