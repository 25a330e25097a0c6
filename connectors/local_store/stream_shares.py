"""What a stream counts for itself beside what it has said of its windows so far.

A stream's entries and its panes reach the store by different ways. While it runs, a window may
hold a reading that the stream has claimed and not yet counted in a pane, or the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.local_store.partials import equal_rows, neutral, taken, without_extremes
from connectors.local_store.records import RunRecord
from connectors.local_store.totals import NEVER, Former, Totals, WindowPartials, former
from connectors.local_store.window_check import Check
from connectors.local_store.window_numbers import Numbering
from transforms.spans import Bools, Ints
from transforms.statistics import Partials

__all__ = ["StreamShare", "share_of_stream"]


@dataclass(frozen=True)
class StreamShare:
    """A stream beside windows.

    Attributes:
        run: the stream.
        claims: by window, what its entries make.
        own: its newest share, and when that was computed.
        differs: by window, whether the two differ.
    """

    run: RunRecord
    claims: Partials
    own: Former
    differs: Bools

    def rows(self, right: Totals, chosen: Ints) -> Totals:
        """Rows in the stream's name that say that its share is what it has claimed.

        When the stream comes back, its next pane changes the total by what it has beyond that.

        Args:
            right: the right totals of windows.
            chosen: some of them, by their rows.
        """
        places = right.places[chosen]
        return Totals(
            places,
            taken(right.partials, chosen),
            taken(self.claims, places),
            np.maximum(self.own.own_emitted[places], 0),
            right.panes[chosen],
            # Older than the rows that count.
            right.emitted[chosen] - 1,
        )


def share_of_stream(
    run: RunRecord,
    found: Check,
    claimed: pa.RecordBatch | None,
    stored: pa.Table,
    numbering: Numbering,
) -> StreamShare:
    """Compares what a stream claims with its share of windows.

    Args:
        run: the stream.
        found: the windows.
        claimed: windows over its entries; None for none.
        stored: all rows that the store has of the windows, with the columns `own_…`.
        numbering: numbers of series.
    """
    windows = found.windows
    own = former(windows, stored, numbering, run.run_id)
    claims = neutral(len(windows))
    if claimed is not None:
        theirs = WindowPartials.of(claimed, numbering)
        places = windows.places(theirs.series, theirs.starts)
        known = places >= 0
        for name, column in theirs.partials.items():
            claims[name][places[known]] = column[known]
    differs = ~equal_rows(without_extremes(own.own), without_extremes(claims))
    columns = numbering.columns(windows.series, windows.starts)
    sizes, periods = columns["window_size"].to_numpy(), columns["window_period"].to_numpy()
    computed = np.zeros(len(windows), bool)
    for size, period in run.windows:
        computed |= (sizes == size) & (periods == period)
    return StreamShare(run, claims, own, differs & computed)


assert NEVER < 0  # noqa: S101 - the time of a share that was never computed becomes the epoch
