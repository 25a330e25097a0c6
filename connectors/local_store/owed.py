"""What a stream's entries have settled and the windows do not show yet.

A stream's entries are committed at once, its panes come up to half a minute later. If a window lost
a reading that the stream repeats before it gains it by the stream's pane, a stream that reads a day
again would empty its windows meanwhile. So the settlement waits: it is added to a window together
with the stream's next pane of it, or after `HOLD_SECONDS`, or when the stream ends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.local_store.content_files import new_file
from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.means_files import FILE_SCHEMA, hidden_columns, read_hidden
from connectors.local_store.partials import equal_rows, merged, neutral, taken
from connectors.local_store.records import OWED, StoredFile
from connectors.local_store.totals import WindowPartials
from connectors.local_store.transaction import Transaction
from connectors.local_store.window_numbers import WINDOW, Numbering, Windows
from transforms.spans import Bools, Ints
from transforms.window_means import PARTIAL

__all__ = ["HOLD_SECONDS", "Owed", "drop_owed", "owed_file", "read_owed", "write_owed"]

HOLD_SECONDS = 120.0
"""How long a settlement waits for its pane: a few times as long as panes take."""

SCHEMA = pa.schema(
    [
        *(FILE_SCHEMA.field(name) for name in (*WINDOW, "region", "window_end")),
        pa.field("since", pa.int64(), nullable=False),
        *(field for field in FILE_SCHEMA if field.name.startswith(PARTIAL)),
    ]
)


@dataclass(frozen=True)
class Owed(WindowPartials):
    """Partials that windows are to gain, one row a window.

    Attributes:
        since: when the oldest part was settled, in microseconds since the epoch.
    """

    since: Ints

    @classmethod
    def together(cls, pieces: Sequence[Owed]) -> Owed:
        """All pieces, window by window; those that cancel are left out."""
        windows = Windows.of([(piece.series, piece.starts) for piece in pieces])
        since = np.full(len(windows), np.iinfo(np.int64).max)
        rows = []
        for piece in pieces:
            places = windows.places(piece.series, piece.starts)
            np.minimum.at(since, places, piece.since)
            rows.append((places, piece.partials))
        partials = merged(len(windows), rows)
        whole = cls(windows.series, windows.starts, partials, since)
        return whole.only(~equal_rows(partials, neutral(len(windows))))

    def only(self, rows: Bools) -> Owed:
        """Some of the rows."""
        return Owed(
            self.series[rows], self.starts[rows], taken(self.partials, rows), self.since[rows]
        )


def owed_file(document: Mapping[str, Any], run_id: str) -> StoredFile | None:
    """The file of what a stream owes, by the manifest's document."""
    entry = document.get(OWED, {}).get(run_id)
    return None if entry is None else StoredFile(OWED, **entry)


def read_owed(folder: Path, file: StoredFile | None, numbering: Numbering) -> Owed:
    """Reads what a stream owes.

    Args:
        folder: the store's folder.
        file: the file; None for nothing.
        numbering: numbers of series.

    Raises:
        StoreError: the file is missing or damaged.
    """
    rows = SCHEMA.empty_table()
    if file is not None:
        path = checked_path(folder, file)
        try:
            rows = pq.read_table(path, partitioning=None).cast(SCHEMA)
        except (pa.ArrowException, OSError, ValueError) as error:
            msg = f"{path} of the store is damaged: {error}; {REMEDY}"
            raise StoreError(msg) from error
    return Owed(
        numbering.series(rows),
        rows.column("window_start").cast(pa.int64()).to_numpy(),
        read_hidden(rows, PARTIAL),
        rows.column("since").to_numpy(),
    )


def write_owed(folder: Path, owed: Owed, numbering: Numbering) -> StoredFile | None:
    """Writes what a stream owes; gives the file, None for nothing.

    Raises:
        StoreError: the file cannot be written.
    """
    if len(owed.series) == 0:
        return None
    columns = numbering.columns(owed.series, owed.starts)
    columns |= {"since": pa.array(owed.since)} | hidden_columns(PARTIAL, owed.partials)
    rows = pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    def write(path: Path) -> int:
        with path.open("wb") as file:
            pq.write_table(rows, file, compression="zstd", store_schema=False)
            file.flush()
            os.fsync(file.fileno())
        return rows.num_rows

    return new_file(folder, OWED, write)


def drop_owed(change: Transaction, windows: Windows, numbering: Numbering) -> None:
    """Has nobody owe anything to some windows any more: their totals were computed anew.

    Args:
        change: the transaction in which they get their rows.
        windows: the windows.
        numbering: numbers of series.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    for run_id in list(change.document.get(OWED, {})):
        owed = read_owed(change.folder, owed_file(change.document, run_id), numbering)
        left = windows.places(owed.series, owed.starts) < 0
        if not left.all():
            change.owe(run_id, write_owed(change.folder, owed.only(left), numbering))
