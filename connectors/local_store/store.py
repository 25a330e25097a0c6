"""The local store's one door: prepare it, write files, commit them, query them."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.local_store.commit import Committed, check_grouping, commit_run
from connectors.local_store.content_files import new_file
from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.index import as_indexed, is_in_order, write_indexed
from connectors.local_store.manifest import TEMPORARY_PREFIX, Manifest, read_document
from connectors.local_store.mapped import Mappings
from connectors.local_store.means_files import FILE_SCHEMA, MEANS, write_means
from connectors.local_store.means_memory import MeansMemory
from connectors.local_store.parquet import checked_batches, write_parquet
from connectors.local_store.records import IndexFile, RunRecord, StoredFile
from connectors.local_store.run_entries import in_order
from connectors.local_store.transaction import Transaction, transaction
from connectors.local_store.views import open_views
from connectors.local_store.writers import announce_writer
from schemas.groupings import BOTH
from schemas.tables import arrow_schema
from transforms.grouping import grouped
from transforms.versions import joined
from transforms.windows import SlidingWindow

if TYPE_CHECKING:
    import duckdb

__all__ = ["LocalStore"]

POSITIONS = "positions"
"""The key of the manifest."""

LOCK_SECONDS = 600.0
"""A commit that merges a large index takes minutes; one that is killed holds no lock."""


class LocalStore:
    """A folder of Parquet files and the manifest that says which of them count.

    Files are written first and count once `commit` has named them in the manifest: a crash before
    leaves the old state whole, and the files that it leaves behind are read by nobody.

    Args:
        folder: the store's folder; need not exist yet.
        lock_timeout: seconds that `commit` waits for another committer.
    """

    def __init__(self, folder: str | Path, lock_timeout: float = LOCK_SECONDS) -> None:
        self.folder = Path(folder)
        self.lock_timeout = lock_timeout
        self._mappings, self._memory = Mappings(), MeansMemory()

    def prepare(self) -> None:
        """Creates the folder if needed and makes sure that a run can end in it.

        Raises:
            StoreError: the folder cannot be created or written, or holds a store that this version
                cannot read.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
            try:
                # A full disk still takes empty files.
                probe.write_bytes(bytes(4096))
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error
        read_document(self.folder)

    def announce(self) -> None:
        """Says that this process writes files that it has yet to commit: nobody removes them.

        Raises:
            StoreError: the folder cannot be written.
        """
        try:
            announce_writer(self.folder)
        except OSError as error:
            raise self._failed(error) from error

    def manifest(self) -> Manifest:
        """What is committed; empty for a new folder.

        Raises:
            StoreError: the manifest is broken or has a newer format.
        """
        return Manifest.from_document(read_document(self.folder))

    def next_revision(self) -> int:
        """One more than the greatest revision in the store; 1 for a new folder.

        A commit that finds it taken writes the rows anew, with the next one.
        """
        return 1 + self.manifest().revision

    def families(self) -> tuple[SlidingWindow, ...]:
        """The kinds of windows that the store holds: every run should compute them all."""
        return tuple(SlidingWindow(*family) for family in sorted(self.manifest().families))

    def write(
        self, table: str, rows: pa.Table | pa.RecordBatch | Iterable[pa.RecordBatch]
    ) -> StoredFile:
        """Writes rows to a file that is named by its content; `commit` makes it count.

        The same rows give the same file, however they are cut into batches.

        Args:
            table: one of `schemas.tables.TABLES`.
            rows: a table, a batch or batches with the table's columns; for means those of
                `means_files.FILE_SCHEMA`, as `means_files.means_rows` gives them.

        Raises:
            StoreError: the rows do not fit the table or cannot be written.
            KeyError: there is no such table.
        """
        if table == MEANS:
            batches = checked_batches(table, FILE_SCHEMA, rows)
            return write_means(self.folder, pa.Table.from_batches(batches, FILE_SCHEMA))
        schema = arrow_schema(table)
        batches = checked_batches(table, schema, rows)
        return new_file(self.folder, table, lambda path: write_parquet(path, schema, batches))

    def check_grouping(self, group_by: str) -> None:
        """Makes sure that a run may group means so: as the store's first run did.

        Args:
            group_by: one of `schemas.groupings.GROUPINGS`.

        Raises:
            StoreError: it may not, or the manifest is broken or has a newer format.
        """
        check_grouping(self.folder, self.manifest(), group_by)

    def write_entries(
        self, entries: Sequence[pa.RecordBatch], run_id: str, group_by: str = BOTH
    ) -> list[IndexFile]:
        """Writes entries of a run to files of the index; `commit` makes them count.

        Args:
            entries: batches of schema `schemas.entries.ENTRIES`.
            run_id: the run that counts them.
            group_by: what the run groups means by; by default the entries are taken as they are.

        Raises:
            StoreError: they cannot be written.
        """
        filled = [grouped(batch, group_by) for batch in entries if batch.num_rows]
        if not filled:
            return []
        whole = joined(filled)
        if not is_in_order(whole):
            whole = in_order(whole)
        return write_indexed(self.folder, as_indexed(whole, run_id))

    def positions(self) -> dict[str, int]:
        """How far parts of sources have been read: where a new run goes on.

        Raises:
            StoreError: the manifest is broken or has a newer format.
        """
        positions: dict[str, int] = read_document(self.folder).get(POSITIONS, {})
        return positions

    def forget_positions(self, parts: Iterable[str]) -> None:
        """Forgets how far parts of sources have been read that will never be read again.

        Raises:
            StoreError: another committer held the lock for too long, or the store cannot be
                written.
        """
        gone = set(parts)
        if not gone:
            return
        with self.transaction() as change:
            known = change.document.get(POSITIONS, {})
            change.set({POSITIONS: {part: at for part, at in known.items() if part not in gone}})

    def commit(
        self,
        run: RunRecord,
        files: Iterable[StoredFile],
        reached: Mapping[str, int] = MappingProxyType({}),
    ) -> Committed:
        """Makes the files of a run count, all of them at once.

        The means become totals: the newest that the store has of each window, plus the run's
        share, plus the settlement with other runs that brought the same readings (see
        docs/decisions/0008-runs-that-share-readings.md).

        A batch is committed once: the same call again changes nothing. A stream is committed as
        often as it likes, with the files that are new; files that were committed before change
        nothing. Of several panes of a window the one with the greatest `emitted_at` is its share.

        Args:
            run: the run; its `run_id` must be its own.
            files: what `write` and `write_entries` returned.
            reached: how far parts of sources have been read, when all that they brought up to there
                is committed with this or has been before; a part never goes back.

        Returns:
            What the commit has changed.

        Raises:
            StoreError: a file is missing, the run was committed before with other files, its
                windows cannot be computed of all readings, or another committer held the lock for
                too long.
        """
        listed = list(files)
        with self.transaction() as change:
            done = commit_run(change, run, listed, self._mappings, self._memory)
            if reached:
                before = change.document.get(POSITIONS, {})
                farther = {part: max(at, before.get(part, 0)) for part, at in reached.items()}
                change.set({POSITIONS: {**before, **farther}})
            return done

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Holds the store's lock; the change that is prepared meanwhile becomes visible at the end.

        Raises:
            StoreError: another committer held the lock for too long, or the store cannot be
                written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with transaction(self.folder, self.lock_timeout) as change:
                yield change
        except OSError as error:
            raise self._failed(error) from error

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Opens the committed state in an in-memory DuckDB that can read nothing else.

        Returns:
            A connection in UTC with a view for every table of `schemas.tables.TABLES` and the views
            of `sql/views`. It keeps showing the state of this moment, whatever is committed later.

        Raises:
            StoreError: the manifest is broken or has a newer format, or a file that it names is
                missing or damaged.
        """
        return open_views(self.folder, read_document(self.folder))

    def verify(self) -> None:
        """Reads every committed file and compares it with what was written.

        Raises:
            StoreError: a file is missing or has other content.
        """
        manifest = self.manifest()
        for file in itertools.chain(
            *manifest.files.values(), manifest.index, manifest.owed.values()
        ):
            with checked_path(self.folder, file).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest != file.sha256:
                msg = (
                    f"{self.folder / file.path} of the store is damaged: its content is not "
                    f"what was written; {REMEDY}"
                )
                raise StoreError(msg)

    def _failed(self, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        return StoreError(
            f"cannot write to {self.folder} ({reason[:1].lower()}{reason[1:]}); "
            "name another output folder or make room and permission for it"
        )
