"""Writes placed readings to the archive of the local store."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from connectors.local_store import StoredFile
from connectors.local_store.archive import ArchiveWriter
from connectors.local_store.writers import announce_writer
from transforms.payload import Reached
from transforms.reached import farthest, reached_of

__all__ = ["WriteArchive"]


class WriteArchive(beam.DoFn):
    """Writes batches of placed readings to files of the table `readings`.

    Elements in are batches of schema `PLACED_READINGS` in the global window, with or without a
    column `too_late`; elements out are the files, which count once they are committed, and at the
    end of the bundle how far the sources had been read with what it has stored. Rows are held until
    the end of the bundle, or until there is enough for large files.

    Args:
        folder: the store's folder, which all workers must see.
        run_id: the run that reads them.

    Raises:
        StoreError: from the pipeline, when a file cannot be written.
    """

    def __init__(self, folder: str, run_id: str) -> None:
        self._folder, self._run_id = folder, run_id

    def setup(self) -> None:
        announce_writer(self._folder)

    def start_bundle(self) -> None:
        self._writer = ArchiveWriter(self._folder, self._run_id)
        self._reached: list[Reached] = []

    def process(self, element: pa.RecordBatch) -> Iterator[StoredFile]:
        reached = reached_of(element)
        if reached is not None:
            self._reached.append(reached)
        yield from self._writer.add(element)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        files = self._writer.flush()
        reached = (Reached(*each) for each in farthest(self._reached).items())
        for written in (*files, *reached):
            yield WindowedValue(written, GlobalWindow().max_timestamp(), (GlobalWindow(),))
