"""Many entries, put together by reading: in memory while they are few, else on disk by shards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from connectors.local_store.manifest import TEMPORARY_PREFIX
from schemas.entries import ENTRIES
from transforms.versions import joined

__all__ = ["NOTHING", "EntryShards", "Shard"]

MOST_ROWS = 1 << 21
"""Entries that are held in memory: 300 MB while they are sorted."""

BITS = 6
"""Upper bits of the hash that number a shard."""


NOTHING = pa.RecordBatch.from_pylist([], schema=ENTRIES)


class Shard(NamedTuple):
    """Entries of a range of hashes.

    Attributes:
        low, high: the least and the greatest `identity_high` of the range.
        entries: of schema `ENTRIES`.
    """

    low: int
    high: int
    entries: pa.RecordBatch


class EntryShards:
    """Entries in any order, given back so that all those of a reading are together.

    Used in a `with`, for it may write files.

    Args:
        folder: where these files may lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._spilled: Path | None = None
        self._files: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def __enter__(self) -> EntryShards:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()
        if self._spilled is not None:
            shutil.rmtree(self._spilled, ignore_errors=True)

    def add(self, entries: pa.RecordBatch) -> None:
        """Takes a batch of schema `ENTRIES`.

        Raises:
            OSError: it cannot be written.
        """
        if entries.num_rows:
            self._held.append(entries)
            self._rows += entries.num_rows
            if self._rows >= MOST_ROWS:
                self._spill()

    def __iter__(self) -> Iterator[Shard]:
        """Gives all entries in the order of their hashes, and forgets them.

        Together the shards hold all hashes, though some may have no entries.
        """
        if self._spilled is None:
            held, self._held, self._rows = self._held, [], 0
            yield Shard(0, (1 << 64) - 1, joined(held) if held else NOTHING)
            return
        folder = self._spill()
        for share in range(1 << BITS):
            low, high = share << (64 - BITS), ((share + 1) << (64 - BITS)) - 1
            if share not in self._files:
                yield Shard(low, high, NOTHING)
                continue
            self._files.pop(share).close()
            path = folder / f"{share:02}.arrow"
            with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
                yield Shard(low, high, joined(list(stream)))
            path.unlink()

    def _spill(self) -> Path:
        """Writes what is held to files, and gives their folder."""
        held, self._held, self._rows = self._held, [], 0
        if self._spilled is None:
            self._spilled = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=self._folder))
        for batch in held:
            for share, part in _dealt_out(batch):
                if share not in self._files:
                    path = str(self._spilled / f"{share:02}.arrow")
                    self._files[share] = pa.ipc.new_stream(path, batch.schema)
                self._files[share].write_batch(part)
        return self._spilled


def _dealt_out(entries: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    shares = (np.asarray(entries.column("identity_high")) >> np.uint64(64 - BITS)).astype(np.uint8)
    order = np.argsort(shares, kind="stable")
    ordered = entries.take(pa.array(order))
    begin = 0
    for share, count in enumerate(np.bincount(shares, minlength=1 << BITS).tolist()):
        if count:
            yield share, ordered.slice(begin, count)
        begin += count
