"""KeepLatestVersion: of each reading the newest version counts, however often it came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

import transforms.batches  # noqa: F401 - registers the coder of batches
from schemas.groupings import BOTH
from transforms.balance import count
from transforms.grouping import checked_grouping
from transforms.latest_in_stream import latest_in_stream
from transforms.spill import Spilled, read_spilled, spill
from transforms.versions import entries_of, joined, newest

__all__ = ["DUPLICATES", "KeepLatestVersion", "LatestReadings"]

DUPLICATES = ("latest", "keep")
SHARDS, STREAM_SHARDS = 16, 64
MANY_SHARDS = 128
"""Shares from which on batches are put together before they are dealt out."""
FLUSH_FROM = 1 << 20
"""Entries that a bundle holds before it passes them on: bounds its memory."""


@dataclass(frozen=True)
class LatestReadings:
    """The outputs of `KeepLatestVersion`.

    Attributes:
        readings: batches that `RegionalMeans` takes. In a stream they have a column `weight`: -1
            takes a reading away that an earlier batch held.
        entries: batches of schema `schemas.entries.ENTRIES` with the newest versions, for a store
            that settles what several runs share; None where duplicates are kept.
    """

    readings: beam.PCollection[pa.RecordBatch]
    entries: beam.PCollection[pa.RecordBatch] | None

    def __or__(self, transform: beam.PTransform) -> Any:
        """The readings go on; `latest | RegionalMeans()` is `latest.readings | …`."""
        return self.readings | transform


class KeepLatestVersion(beam.PTransform[beam.PCollection[pa.RecordBatch], LatestReadings]):
    """Keeps the newest version of each reading.

    Elements in are batches of schema `PLACED_READINGS`. Readings are told apart by message format,
    `id` and quantity; without an `id` by sensor, quantity and event time; without a sensor either
    by format, place, quantity and event time. The greater
    `version_kind` wins, then the greater `version`, then a deletion, then the greatest event time,
    longitude, latitude and value: the order in which they come never decides. The counters
    `duplicate` and `superseded` of the namespace `balance` count what is left out.

    On an unbounded input the newest version of each reading is remembered for a time after its
    arrival (`arrived_at`, else its event time), and a newer one that comes replaces it: the old
    one goes out with weight -1, the new one with 1; neither, where nothing has changed that a mean
    depends on. After that time the same reading again is counted again, and a message whose own
    `version` is above 1 is not counted, if it may have had a predecessor: the counter `too_late`
    has it. Both wait for reconciliation.

    Args:
        duplicates: `latest`, or `keep` to let every reading through.
        shards: how many shares the readings are dealt into by the hash of their identity; by
            default 16, on an unbounded input 64. One share must fit into a worker's memory, at
            some 100 bytes a reading.
        spill_folder: a folder that all workers see, for a runner that is slow to shuffle large
            elements: entries are written there and only their places are shuffled. The caller
            removes it after the run.
        remember_versions: for how many seconds of event time after its arrival a version is
            remembered on an unbounded input.
        max_future: by how many seconds an event time may be ahead of its arrival, as
            `ParseReadings` was told: what a reading of some age may have been preceded by depends
            on it.
        retell: on an unbounded input, also give out with weight 0 what changes nothing and is no
            repeat: older versions, and newer ones that mean the same. `RegionalMeans(retell=True)`
            tells their windows again: see there.
        durable: on an unbounded input, keep what is remembered in the runner's state, too, from
            which another worker, or another attempt, goes on. False is for a runner that keeps
            nothing beyond the process, and has one worker process: it costs half as much memory.
        group_by: what means will be grouped by, as `RegionalMeans` takes it: what they do not need
            is left out. By default nothing is.

    Raises:
        ValueError: another word for `duplicates` or `group_by`, no shards, or no time to remember.
    """

    def __init__(
        self,
        duplicates: str = "latest",
        shards: int | None = None,
        spill_folder: str | None = None,
        remember_versions: int = 3600,
        max_future: int = 300,
        group_by: str = BOTH,
        *,
        retell: bool = False,
        durable: bool = True,
    ) -> None:
        super().__init__()
        self._retell, self._durable = retell, durable
        if duplicates not in DUPLICATES:
            msg = f"duplicates can be {' or '.join(DUPLICATES)}, not {duplicates!r}"
            raise ValueError(msg)
        if shards is not None and not 1 <= shards <= 1 << 16:
            msg = f"there can be 1 to {1 << 16} shards, not {shards}"
            raise ValueError(msg)
        if remember_versions < 1:
            msg = f"versions must be remembered for a second at least, not {remember_versions}"
            raise ValueError(msg)
        self._duplicates, self._shards, self._spill_folder = duplicates, shards, spill_folder
        self._remember_versions, self._max_future = remember_versions, max_future
        self._group_by = checked_grouping(group_by)

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> LatestReadings:
        if self._duplicates == "keep":
            # Prism refuses a transform with nothing in it.
            as_it_is = beam.Map(lambda batch: batch).with_output_types(pa.RecordBatch)
            return LatestReadings(pcoll | "Keep" >> as_it_is, None)
        if not pcoll.is_bounded:
            shards = self._shards or STREAM_SHARDS
            return LatestReadings(
                *latest_in_stream(
                    pcoll,
                    shards,
                    self._remember_versions,
                    self._max_future,
                    self._group_by,
                    retell=self._retell,
                    durable=self._durable,
                )
            )
        by_identity = beam.ParDo(
            _ByIdentity(self._shards or SHARDS, self._spill_folder, self._group_by)
        )
        piece: Any = pa.RecordBatch if self._spill_folder is None else Spilled
        entries = (
            pcoll
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "ByIdentity" >> by_identity.with_output_types(tuple[int, piece])
            | "Versions" >> beam.GroupByKey()
            | "Newest" >> beam.ParDo(_Newest()).with_output_types(pa.RecordBatch)
        )
        return LatestReadings(entries, entries)


class _ByIdentity(beam.DoFn):
    """Deals out the entries batch by batch, and passes them on in few, large pieces."""

    def __init__(self, shards: int, spill_folder: str | None, group_by: str) -> None:
        self._shards, self._spill_folder, self._group_by = shards, spill_folder, group_by

    def start_bundle(self) -> None:
        self._shares: dict[int, list[pa.RecordBatch]] = {}
        self._whole: list[pa.RecordBatch] = []
        self._rows = 0

    def process(self, element: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch | Spilled]]:
        entries = entries_of(element, self._group_by)
        named = entries.column("sensor_id").null_count < entries.num_rows
        if named or self._shards > MANY_SHARDS:
            # Shares of one batch would be tiny, or each would carry the names of all its sensors.
            self._whole.append(entries)
        else:
            self._deal_out(entries)
        self._rows += element.num_rows
        if self._rows >= FLUSH_FROM:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for piece in self._flush():
            yield WindowedValue(piece, GlobalWindow().max_timestamp(), (GlobalWindow(),))

    def _deal_out(self, entries: pa.RecordBatch) -> None:
        for share, part in deal_out(entries, self._shards):
            self._shares.setdefault(share, []).append(with_few_names(part))

    def _flush(self) -> Iterator[tuple[int, pa.RecordBatch | Spilled]]:
        if self._whole:
            whole, self._whole = joined(self._whole), []
            self._deal_out(whole)
        shares = {share: joined(batches) for share, batches in self._shares.items()}
        self._shares, self._rows = {}, 0
        if shares and self._spill_folder is not None:
            yield from zip(shares, spill(shares.values(), self._spill_folder), strict=True)
        else:
            yield from shares.items()


def deal_out(entries: pa.RecordBatch, shards: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Shares of the entries by the upper bits of the hash: share 0 has the smallest hashes."""
    high = np.asarray(entries.column("identity_high"))
    shares = (((high >> np.uint64(32)) * np.uint64(shards)) >> np.uint64(32)).astype(np.uint16)
    order = np.argsort(shares, kind="stable")
    ends = np.cumsum(np.bincount(shares, minlength=shards))
    ordered = entries.take(pa.array(order))
    for share, end in enumerate(ends.tolist()):
        begin = int(ends[share - 1]) if share else 0
        if end > begin:
            yield share, ordered.slice(begin, end - begin)


def with_few_names(entries: pa.RecordBatch) -> pa.RecordBatch:
    """The entries without the names of sensors that none of them has, where these are many."""
    sensors = entries.column("sensor_id")
    if len(sensors.dictionary) <= entries.num_rows:
        return entries
    place = entries.schema.get_field_index("sensor_id")
    fewer = sensors.dictionary_decode().dictionary_encode()
    return entries.set_column(place, entries.schema.field(place), fewer)


class _Newest(beam.DoFn):
    def process(
        self, element: tuple[int, Iterable[pa.RecordBatch | Spilled]]
    ) -> Iterator[pa.RecordBatch]:
        _, pieces = element
        batches = [read_spilled(each) if isinstance(each, Spilled) else each for each in pieces]
        found = newest(joined(batches))
        count("duplicate", found.duplicates)
        count("superseded", found.superseded)
        yield found.entries
