"""The local store's one door: prepare it, write files, commit them, query them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pyarrow as pa

import sql
from connectors.local_store.errors import StoreError
from connectors.local_store.manifest import (
    MANIFEST,
    TEMPORARY_PREFIX,
    Manifest,
    RunRecord,
    StoredFile,
    exclusive_lock,
    read_document,
    sync_folder,
    write_document,
)
from connectors.local_store.parquet import checked_batches, write_parquet
from schemas.tables import ONCE_A_PLACE, TABLES, arrow_schema

if TYPE_CHECKING:
    import duckdb

__all__ = ["LocalStore"]

LOCK_SECONDS = 60.0
REMEDY = "put a copy back, or run the job again into a new folder"
DUCKDB_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMPTZ",
}


COMPUTED = {
    "rejected_readings": "* REPLACE (coalesce(raw_sha256, sha256(raw)) AS raw_sha256)",
}
"""Columns that are computed when they are asked for: the hash of a record that is held whole."""


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

    def manifest(self) -> Manifest:
        """What is committed; empty for a new folder.

        Raises:
            StoreError: the manifest is broken or has a newer format.
        """
        return Manifest.from_document(read_document(self.folder))

    def next_revision(self) -> int:
        """One more than the greatest revision of the committed runs; 1 for a new folder."""
        return 1 + max((run.revision for run in self.manifest().runs), default=0)

    def write(
        self, table: str, rows: pa.Table | pa.RecordBatch | Iterable[pa.RecordBatch]
    ) -> StoredFile:
        """Writes rows to a file that is named by its content; `commit` makes it count.

        The same rows give the same file, however they are cut into batches.

        Args:
            table: one of `schemas.tables.TABLES`.
            rows: a table, a batch or batches with the table's columns.

        Raises:
            StoreError: the rows do not fit the table or cannot be written.
            KeyError: there is no such table.
        """
        schema = arrow_schema(table)
        folder = self.folder / table
        temporary = folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}.parquet"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            count = write_parquet(temporary, schema, checked_batches(table, schema, rows))
            with temporary.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = temporary.stat().st_size
            temporary.replace(folder / f"{digest}.parquet")
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._failed(error) from error
        return StoredFile(table, f"{table}/{digest}.parquet", count, size, digest)

    def commit(self, run: RunRecord, files: Iterable[StoredFile]) -> Manifest:
        """Makes the files of a run count, all of them at once.

        A run is committed once: the same call again changes nothing.

        Args:
            run: the run; its `run_id` must be its own.
            files: what `write` returned.

        Returns:
            The manifest after the commit.

        Raises:
            StoreError: a file is missing, the run was committed before with other files, or another
                committer held the lock for too long.
        """
        files = list(dict.fromkeys(files))
        try:
            for name in sorted({file.table for file in files}):
                sync_folder(self.folder / name)
            for file in files:
                self._check_file(file)
            self.folder.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(self.folder, self.lock_timeout):
                document = read_document(self.folder)
                known = {file["path"] for named in document["tables"].values() for file in named}
                new = [file for file in files if file.path not in known]
                if any(past["run_id"] == run.run_id for past in document["runs"]):
                    if new:
                        msg = (
                            f"run {run.run_id} is committed to {self.folder} already, with other "
                            "files; give each run an identifier of its own"
                        )
                        raise StoreError(msg)
                else:
                    for file in new:
                        entry = dataclasses.asdict(file)
                        del entry["table"]
                        entry["run_id"] = run.run_id
                        document["tables"].setdefault(file.table, []).append(entry)
                    document["runs"].append(dataclasses.asdict(run))
                    write_document(self.folder, document)
        except OSError as error:
            raise self._failed(error) from error
        return Manifest.from_document(document)

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Opens the committed state in an in-memory DuckDB that can read nothing else.

        Returns:
            A connection in UTC with a view for every table of `schemas.tables.TABLES` and the views
            of `sql/views`. It keeps showing the state of this moment, whatever is committed later.

        Raises:
            StoreError: the manifest is broken or has a newer format, or a file that it names is
                missing or damaged.
        """
        import duckdb  # noqa: PLC0415  (a run that only writes has no need of it)

        from connectors.bigquery_sql import install_functions  # noqa: PLC0415

        manifest = self.manifest()
        paths = [str(self._check_file(file)) for files in manifest.files.values() for file in files]
        readable = dict.fromkeys([*paths, *map(_pattern, paths)])
        connection = duckdb.connect()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            install_functions(connection)
            for table in TABLES:
                files = manifest.files.get(table, ())
                connection.execute(self._view(table, files, repeated=len(manifest.runs) > 1))
            for name in sql.VIEWS:
                connection.execute(f"CREATE VIEW {name} AS {_view_query(name)}")
            # Settings take no parameters. DuckDB asks for the pattern first, then for the file.
            connection.execute(f"SET allowed_paths = {_texts(readable)}")
            connection.execute("SET enable_external_access = false")
        except duckdb.Error as error:
            connection.close()
            reason = str(error).partition("\n")[0]
            msg = f"cannot read the store in {self.folder}, a file may be damaged: {reason}"
            raise StoreError(msg) from error
        return connection

    def verify(self) -> None:
        """Reads every committed file and compares it with what was written.

        Raises:
            StoreError: a file is missing or has other content.
        """
        for files in self.manifest().files.values():
            for file in files:
                with self._check_file(file).open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                if digest != file.sha256:
                    msg = (
                        f"{self.folder / file.path} of the store is damaged: its content is not "
                        f"what was written; {REMEDY}"
                    )
                    raise StoreError(msg)

    def _view(self, table: str, files: Iterable[StoredFile], *, repeated: bool) -> str:
        """The view of a table: its columns and types, whether it has files or not."""
        columns = ", ".join(
            f'CAST(NULL AS {DUCKDB_TYPES[field.type]}) AS "{field.name}"'
            for field in arrow_schema(table)
        )
        view = f"CREATE VIEW {table} AS SELECT {columns} WHERE false"
        paths = [_pattern(str(self.folder / file.path)) for file in files if file.rows]
        if paths:
            files_read = f"read_parquet({_texts(paths)}, hive_partitioning = false)"
            columns = COMPUTED.get(table, "*")
            view += f" UNION ALL BY NAME SELECT {columns} FROM {files_read}"  # noqa: S608
            if repeated and table in ONCE_A_PLACE:
                place = ", ".join(ONCE_A_PLACE[table])
                view += f" QUALIFY rank() OVER (PARTITION BY {place} ORDER BY run_id) = 1"
        return view

    def _check_file(self, file: StoredFile) -> Path:
        relative = PurePosixPath(file.path)
        if relative.is_absolute() or ".." in relative.parts:
            msg = f"{self.folder / MANIFEST} names {file.path}, which is outside the store"
            raise StoreError(msg)
        path = self.folder / relative
        try:
            size = os.stat(path).st_size  # noqa: PTH116  (thousands of files; twice as fast)
        except OSError as error:
            msg = f"{path} of the store is gone or unreadable ({error.strerror}); {REMEDY}"
            raise StoreError(msg) from error
        if size != file.bytes:
            change = f"it has {size:,} bytes and had {file.bytes:,}"
            msg = f"{path} of the store is damaged: {change}; {REMEDY}"
            raise StoreError(msg)
        return path

    def _failed(self, error: OSError) -> StoreError:
        reason = error.strerror or str(error)
        return StoreError(
            f"cannot write to {self.folder} ({reason[:1].lower()}{reason[1:]}); "
            "name another output folder or make room and permission for it"
        )


@functools.cache
def _view_query(name: str) -> str:
    """A view's query for DuckDB."""
    from connectors.bigquery_sql import translate  # noqa: PLC0415

    return translate(sql.view(name), TABLES).sql


def _pattern(path: str) -> str:
    """The path as a pattern that only it matches: DuckDB takes every path for a pattern."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _texts(texts: Iterable[str]) -> str:
    """A DuckDB list of string literals."""
    return "[" + ", ".join("'" + text.replace("'", "''") + "'" for text in texts) + "]"
