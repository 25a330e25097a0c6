"""Runs over given readings, committed to a store without any pipeline."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.local_store import LocalStore, RunRecord, StoredFile
from connectors.local_store.archive import ArchiveWriter
from connectors.local_store.means_files import ALL_STATISTICS, means_rows, write_means
from schemas.tables import arrow_schema
from tests.support.placed_rows import placed_rows, reading
from transforms.slices import SliceAccumulator
from transforms.versions import entries_of, newest
from transforms.window_means import window_rows
from transforms.windows import HOURLY, SlidingWindow, slice_seconds

Row = dict[str, Any]
START = datetime.datetime(2019, 2, 19, tzinfo=datetime.UTC)
VIEWS = (
    "hourly_means",
    "sliding_means",
    "sensor_means",
    "readings",
    "latest_readings",
    "rejected_readings",
)


def archived(folder: Path, rows: Sequence[Row], run_id: str) -> list[StoredFile]:
    """Files of the archive with these readings."""
    writer = ArchiveWriter(folder, run_id)
    return [*writer.add(placed_rows(rows, too_late=True)), *writer.flush()]


def rejected(
    folder: Path, raw: str, run_id: str, rejected_at: datetime.datetime = START
) -> StoredFile:
    """A file with one rejected record."""
    row = {
        "reason": "not_json",
        "detail": "the record is no JSON",
        "raw": raw,
        "raw_size": len(raw),
        "raw_sha256": None,
        "source": f"/data/{run_id}.jsonl#byte=0",
        "rejected_at": rejected_at,
        "run_id": run_id,
    }
    schema = arrow_schema("rejected_readings")
    return LocalStore(folder).write("rejected_readings", pa.Table.from_pylist([row], schema=schema))


def commit(folder: Path, run_id: str, files: Sequence[StoredFile], **record: Any) -> None:
    """Commits the files of a run."""
    store = LocalStore(folder)
    store.commit(RunRecord(run_id, store.next_revision(), "", "", **record), files)


def run(
    folder: Path,
    run_id: str,
    rows: Sequence[Row],
    windows: Sequence[SlidingWindow] = (HOURLY,),
    more: Sequence[StoredFile] = (),
    group_by: str = "region",
    **record: Any,
) -> None:
    """A batch run over these readings."""
    store = LocalStore(folder)
    entries = newest(entries_of(placed_rows(rows), group_by)).entries
    slices = SliceAccumulator(slice_seconds(windows), ALL_STATISTICS)
    slices.add(entries)
    files = [*archived(folder, rows, run_id), *more]
    for _, batch in slices.flush(1):
        means = window_rows([batch], windows, slice_seconds(windows), ALL_STATISTICS, partials=True)
        shown = means_rows(
            means, store.next_revision(), run_id, datetime.datetime.now(datetime.UTC)
        )
        files.append(write_means(folder, pa.Table.from_batches([shown])))
    files += store.write_entries([entries], run_id)
    pairs = [[window.size, window.period] for window in windows]
    commit(folder, run_id, files, windows=pairs, group_by=group_by, **record)


def archive_only(
    folder: Path,
    run_id: str,
    rows: Sequence[Row],
    windows: Sequence[SlidingWindow] = (HOURLY,),
    group_by: str = "region",
) -> None:
    """What a stream leaves of readings that come too late, or whose former version it forgot."""
    pairs = [[window.size, window.period] for window in windows]
    files = archived(folder, rows, run_id)
    commit(folder, run_id, files, kind="stream", windows=pairs, group_by=group_by)


def small_store(folder: Path, runs: int = 5) -> LocalStore:
    """A store of runs that wrote a row of each table, and that brought a reading in common."""
    for number in range(runs):
        rows = [reading(0), reading(number + 1), reading(100 + number, deleted=True)]
        run_id = f"run-{number}"
        run(folder, run_id, rows, more=[rejected(folder, f"broken {number}", run_id)])
    return LocalStore(folder)


def all_rows(store: LocalStore) -> dict[str, list[str]]:
    """What the tables and views show."""
    found = {}
    with store.connect() as connection:
        for name in (*VIEWS, "regional_means_revisions"):
            rows = connection.table(name).to_arrow_table().to_pylist()
            found[name] = sorted(map(repr, rows))
    return found
