"""Runs of plain readings into a store, without Beam: what its workers would write."""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from connectors.local_store import (
    LocalStore,
    RunRecord,
    index,
    index_merge,
    means_merge,
    run_entries,
)
from connectors.local_store.means_files import ALL_STATISTICS, MEANS, means_rows, read_file
from connectors.local_store.records import FINISHED, RUNNING, STREAM
from connectors.local_store.window_numbers import WINDOW
from schemas.entries import ENTRIES, NO_PLACE
from schemas.series import ALL_MEANS
from transforms.slices import SliceAccumulator
from transforms.versions import newest
from transforms.window_means import window_rows
from transforms.windows import HOURLY, SlidingWindow, slice_seconds

NAMES = {"11": "Île-de-France", "76": "Occitanie", "94": "Corse"}
WINDOWS = (HOURLY, SlidingWindow(5400, 1800))
NOON = datetime.datetime(2019, 2, 19, 12, tzinfo=datetime.UTC)
SPREAD = 0x9E3779B97F4A7C15
HIDDEN = {"revision", "pane", "emitted_at"}
_moments = itertools.count()


class Reading(NamedTuple):
    """A version of a reading; `region` None is outside, `minute` counts from noon.

    `sensor` is the one in whose windows it counts.
    """

    identity: int
    version: int
    minute: int = 0
    value: int = 0
    region: str | None = "76"
    deleted: bool = False
    kind: int = 3
    quantity: str = "temperature"
    sensor: str | None = None


def entries_of(readings: Iterable[Reading]) -> pa.RecordBatch:
    """A batch of schema `ENTRIES`, row by row."""
    listed = list(readings)
    noon = int(NOON.timestamp()) * 10**6
    gone = [reading.deleted for reading in listed]
    columns: dict[str, Any] = {
        # Upper halves that spread over all hashes, and that some readings share.
        "identity_high": [
            (reading.identity // 2) * 0x1D2C3B4A59687787 % 2**64 for reading in listed
        ],
        "identity_low": [reading.identity % 2 for reading in listed],
        "version_kind": [reading.kind for reading in listed],
        "version": [reading.version for reading in listed],
        "deleted": gone,
        "event_time": [0 if r.deleted else noon + r.minute * 60_000_000 for r in listed],
        "longitude": [NO_PLACE if r.deleted else 1.0 for r in listed],
        "latitude": [NO_PLACE if r.deleted else 2.0 for r in listed],
        "value_micros": [0 if r.deleted else r.value * 250_000 for r in listed],
        "quantity": [reading.quantity for reading in listed],
        "region_code": [None if r.deleted else r.region for r in listed],
        "region": [None if r.deleted or not r.region else NAMES[r.region] for r in listed],
        "sensor_id": [None if r.deleted else r.sensor for r in listed],
    }
    arrays = [
        pa.array(columns[field.name], field.type.value_type).dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else pa.array(columns[field.name], field.type)
        for field in ENTRIES
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=ENTRIES)


def share_of(
    entries: pa.RecordBatch, windows: Sequence[SlidingWindow] = WINDOWS, pane: str = "on_time"
) -> pa.RecordBatch | None:
    """The rows of all windows over entries; None where there is none."""
    seconds = slice_seconds(windows)
    slices = SliceAccumulator(seconds, ALL_STATISTICS)
    slices.add(entries)
    batches = [batch for _, batch in slices.flush(1)]
    if not batches:
        return None
    return window_rows(batches, windows, seconds, ALL_STATISTICS, pane, partials=True)


def record(run_id: str, **changes: Any) -> RunRecord:
    """A run."""
    return RunRecord(
        **(
            {"run_id": run_id, "revision": 1, "started_at": "", "finished_at": ""}
            | {"group_by": "both"}
            | changes
        )
    )


def moment() -> datetime.datetime:
    """A time that is later than all that it gave before."""
    return NOON + datetime.timedelta(seconds=next(_moments))


class Prepared(NamedTuple):
    """A batch that has written its files and not committed them."""

    run: RunRecord
    files: list[Any]


def prepared(
    store: LocalStore,
    run_id: str,
    readings: Iterable[Reading],
    windows: Sequence[SlidingWindow] = WINDOWS,
    files: int = 1,
) -> Prepared:
    """Writes what the workers of a batch would write."""
    entries = newest(entries_of(readings)).entries
    revision = store.next_revision()
    written: list[Any] = []
    cuts = np.linspace(0, entries.num_rows, files + 1).astype(int).tolist()
    for begin, end in itertools.pairwise(cuts):
        written += store.write_entries([entries.slice(begin, end - begin)], run_id)
    share = share_of(entries, windows)
    if share is not None:
        written.append(store.write(MEANS, means_rows(share, revision, run_id, moment())))
    return Prepared(record(run_id, revision=revision), written)


def batch(
    store: LocalStore, run_id: str, readings: Iterable[Reading], *arguments: Any, **options: Any
) -> dict[str, int]:
    """Runs a batch; gives the change of its balance."""
    run, files = prepared(store, run_id, readings, *arguments, **options)
    return store.commit(run, files).changes


class Stream:
    """A stream that remembers all versions, and commits what it is told to.

    Args:
        store: where it writes.
        run_id: its name.
    """

    def __init__(
        self, store: LocalStore, run_id: str, windows: Sequence[SlidingWindow] = WINDOWS
    ) -> None:
        self.store, self.run_id, self.windows = store, run_id, windows
        self.known: list[pa.RecordBatch] = []
        self.told: pa.RecordBatch | None = None
        self.left: list[Reading] = []
        self.group_by = "both"

    def read(self, readings: Iterable[Reading]) -> list[Any]:
        """Takes readings; gives the file of their entries."""
        new = newest(entries_of(readings)).entries
        before = newest(pa_joined(self.known)).entries if self.known else None
        self.known.append(new)
        after = newest(pa_joined(self.known)).entries
        return self.store.write_entries([_changed(before, after)], self.run_id)

    def pane(self, pane: str = "early") -> list[Any]:
        """Gives the file of a pane of all windows over all that was read."""
        if not self.known:
            return []
        share = self._accumulated(pane)
        if share is None:
            return []
        rows = means_rows(share, 0, self.run_id, moment())
        return [self.store.write(MEANS, rows)]

    def commit(
        self, files: Sequence[Any], *, finished: bool = False, at: datetime.datetime | None = None
    ) -> dict[str, int]:
        """Commits files; at a given time, or else just now."""
        return self.store.commit(self.record(finished=finished, at=at), files).changes

    def record(self, *, finished: bool = False, at: datetime.datetime | None = None) -> RunRecord:
        """The run as the manifest has it."""
        return record(
            self.run_id,
            kind=STREAM,
            status=FINISHED if finished else RUNNING,
            windows=[[window.size, window.period] for window in self.windows],
            finished_at=(at or datetime.datetime.now(datetime.UTC)).isoformat(),
            group_by=self.group_by,
        )

    def _accumulated(self, pane: str) -> pa.RecordBatch | None:
        """The running totals: what came and what left, as a pipeline keeps them."""
        seconds = slice_seconds(self.windows)
        slices = SliceAccumulator(seconds, ALL_STATISTICS)
        held: pa.RecordBatch | None = None
        for piece in self.known:
            now = newest(pa_joined([piece] if held is None else [held, piece])).entries
            slices.add(_weighted(_changed(held, now), 1))
            if held is not None:
                slices.add(_weighted(_changed(now, held), -1))
            held = now
        batches = [batch for _, batch in slices.flush(1)]
        if not batches:
            return None
        return window_rows(batches, self.windows, seconds, ALL_STATISTICS, pane, partials=True)


def pa_joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All batches as one."""
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    return (table.to_batches() or [pa.RecordBatch.from_pylist([], schema=ENTRIES)])[0]


def _changed(before: pa.RecordBatch | None, after: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of `after` that are not in `before`."""
    if before is None:
        return after
    known = {tuple(row.values()) for row in before.to_pylist()}
    kept = [tuple(row.values()) not in known for row in after.to_pylist()]
    return after.filter(pa.array(kept, pa.bool_()))


def _weighted(entries: pa.RecordBatch, weight: int) -> pa.RecordBatch:
    weights = pa.array(np.full(entries.num_rows, weight, np.int8))
    return entries.append_column("weight", weights)


@contextlib.contextmanager
def few_rows() -> Iterator[None]:
    """A program that merges and cuts files after few rows, and does not wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(index, "FILE_ROWS", 4)
        patch.setattr(index, "RANGE_ROWS", 3)
        patch.setattr(run_entries, "FILE_ROWS", 4)
        for module in (index_merge, means_merge):
            patch.setattr(module, "MOST", 2)
            patch.setattr(module, "SMALLEST", 2)
        yield


def views(store: LocalStore) -> dict[str, list[dict[str, Any]]]:
    """The rows of the views, without what says which run wrote them."""
    found = {}
    with store.connect() as connection:
        for view in ("hourly_means", "sliding_means"):
            rows = connection.table(view).to_arrow_table().to_pylist()
            kept = [{k: v for k, v in row.items() if k not in HIDDEN} for row in rows]
            found[view] = sorted(kept, key=str)
    return found


def shown(store: LocalStore) -> list[dict[str, Any]]:
    """The rows that the views show, read without SQL: the newest of each window."""
    newest_rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for file in store.manifest().files.get(MEANS, ()):
        for row in read_file(store.folder, file, ALL_MEANS.names).to_pylist():
            key = tuple(row[name] for name in WINDOW)
            known = newest_rows.get(key)
            if known is None or _order(row) > _order(known):
                newest_rows[key] = row
    kept = [
        {name: value for name, value in row.items() if name not in HIDDEN | {"run_id"}}
        for row in newest_rows.values()
        if row["count"] > 0
    ]
    return sorted(kept, key=lambda row: [str(row[name]) for name in WINDOW])


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["revision"], row["emitted_at"], row["run_id"]
