"""Merges small files of means, so that a stream's many commits leave few of them.

Rows that newer ones have replaced go to files of their own: history, which queries may ask for and
commits need not read. So a commit costs what it touches, however often a window was given out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from connectors.local_store.means_files import OWN, newest_order, read_file, write_means
from connectors.local_store.records import StoredFile
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.spans import Bools

__all__ = ["merge_files", "merge_small_files"]

MOST = 8
"""Files that a tier may have; also how much larger the next tier's files are."""

SMALLEST = 1024
"""Rows up to which a file is in the lowest tier."""

LARGEST = 1 << 18
"""Rows from which a file is left as it is."""


def merge_small_files(
    folder: Path, files: Sequence[StoredFile], running: Collection[str], *, hurry: bool = False
) -> tuple[list[StoredFile], list[StoredFile]]:
    """Merges files of like size; no row is left out.

    Args:
        folder: the store's folder.
        files: the files of the table.
        running: runs that may bring more panes.
        hurry: leave it to a later call, unless there are twice as many files as there may be.

    Returns:
        New files; and those in whose place they are, and that were made on the way.

    Raises:
        StoreError: a file cannot be read or written.
    """
    current = list(files)
    added: list[StoredFile] = []
    replaced: list[StoredFile] = []
    most = 2 * MOST if hurry else MOST
    while crowded := _crowded(current, most):
        merged = merge_files(folder, crowded, running)
        current = [file for file in current if file not in crowded] + merged
        replaced += crowded
        added = [file for file in added if file not in crowded] + merged
    return added, replaced


def merge_files(
    folder: Path, files: Sequence[StoredFile], running: Collection[str]
) -> list[StoredFile]:
    """Writes what files of the table hold to one file, or two: current rows and history.

    Args:
        folder: the store's folder.
        files: the files, all history or none.
        running: runs that may bring more panes.

    Raises:
        StoreError: a file cannot be read or written.
    """
    rows = pa.concat_tables([read_file(folder, file) for file in files])
    if all(file.history for file in files):
        return [write_means(folder, rows, history=True)]
    current = _current(rows, running)
    parts = [(rows.filter(pa.array(current)), False), (rows.filter(pa.array(~current)), True)]
    return [write_means(folder, part, history=history) for part, history in parts if part.num_rows]


def _crowded(files: Sequence[StoredFile], most: int) -> list[StoredFile]:
    """The files of the lowest tier with too many."""
    tiers: dict[tuple[int, bool], list[StoredFile]] = {}
    for file in files:
        if file.rows < LARGEST:
            tier = 0
            while file.rows > SMALLEST * MOST**tier:
                tier += 1
            tiers.setdefault((tier, file.history), []).append(file)
    return next((tiers[tier] for tier in sorted(tiers) if len(tiers[tier]) > most), [])


def _current(rows: pa.Table, running: Collection[str]) -> Bools:
    """Which rows a commit may need: the newest of each window, and a stream's newest share."""
    numbering = Numbering()
    series = numbering.series(rows)
    starts = rows.column("window_start").cast(pa.int64()).to_numpy()
    windows = Windows.of([(series, starts)])
    places, order = windows.places(series, starts), newest_order(rows)
    current = np.zeros(rows.num_rows, bool)
    newest = np.empty(len(windows), np.int64)
    # Of several written to one place the last stays.
    newest[places[order]] = order
    current[newest] = True
    run_ids = rows.column("run_id").combine_chunks().dictionary_encode()
    shares = rows.column(OWN + "emitted_at").is_valid().to_numpy()
    for number, run_id in enumerate(run_ids.dictionary.to_pylist()):
        if run_id in running:
            own = order[shares[order] & (np.asarray(run_ids.indices)[order] == number)]
            newest = np.full(len(windows), -1)
            newest[places[own]] = own
            current[newest[newest >= 0]] = True
    return current
