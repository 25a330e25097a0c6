"""A stream over plain readings that also archives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store_runs import Stream, _changed, pa_joined

from connectors.local_store import LocalStore
from tests.support.placed_rows import placed_rows
from tests.support.stores import archived
from transforms.versions import entries_of, newest
from transforms.windows import SlidingWindow


class RowsStream(Stream):
    """A stream that remembers all versions, and commits what it is told to."""

    def __init__(
        self,
        store: LocalStore,
        windows: Sequence[SlidingWindow],
        run_id: str = "stream",
        group_by: str = "region",
    ) -> None:
        super().__init__(store, run_id, windows)
        self.group_by = group_by

    def read(self, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """Takes readings; gives the file of their entries."""
        new = newest(entries_of(placed_rows(rows), self.group_by)).entries
        before = newest(pa_joined(self.known)).entries if self.known else None
        self.known.append(new)
        after = newest(pa_joined(self.known)).entries
        return self.store.write_entries([_changed(before, after)], self.run_id)

    def archive(self, rows: Sequence[dict[str, Any]]) -> list[Any]:
        """Gives files of the archive with the readings."""
        return archived(self.store.folder, rows, self.run_id)
