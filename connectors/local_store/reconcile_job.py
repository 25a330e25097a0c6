"""What a reconciliation is asked to do, what it may do, and what it has found."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

from connectors.local_store.archive_entries import Arrived
from connectors.local_store.archive_files import TABLE
from connectors.local_store.archive_state import ArchiveState
from connectors.local_store.dates import DAY, DELETIONS, day_of
from connectors.local_store.differences import Differences, Key
from connectors.local_store.errors import StoreError
from connectors.local_store.manifest import Manifest
from connectors.local_store.means_files import MEANS
from connectors.local_store.records import RECONCILE, RUNNING, STREAM, RunRecord
from connectors.local_store.store import LocalStore
from connectors.local_store.writers import others_write
from transforms.windows import SlidingWindow

__all__ = ["EARLIEST", "LATEST", "LIVE_SECONDS", "Job", "check_archive", "spans"]

LIVE_SECONDS = 600
"""A running stream that has committed in this time is live, if another process may write."""

PART_ROWS = 1 << 22
"""Readings of a part of the span: some seconds of work, for which the store is locked."""

EARLIEST, LATEST = -(2**62), 2**62
"""Before and after all times, in microseconds; window lengths may be added."""


@dataclasses.dataclass
class Job:
    """A reconciliation.

    Attributes:
        store: the store.
        families: the kinds of windows that it holds.
        span: starts of the windows to be computed anew, in microseconds; the second not included.
        everything: the span was not restricted.
        group_by: what the store's means are grouped by.
        arrived: which rows of the archive count.
        started: when it began.
        run_id: its name among the runs.
        differences: what it has corrected.
        left_alone: windows that a live stream is about to change, with the stream.
        windows: how many windows it has computed.
        readings: how many readings it has counted that no window held.
        wrote: it has written something.
    """

    store: LocalStore
    families: Sequence[SlidingWindow]
    span: tuple[int, int]
    everything: bool
    group_by: str
    arrived: Arrived
    started: datetime.datetime
    run_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    differences: Differences = dataclasses.field(default_factory=Differences)
    left_alone: list[tuple[Key, str]] = dataclasses.field(default_factory=list)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    windows: int = 0
    readings: int = 0
    wrote: bool = False

    @classmethod
    def of(
        cls,
        store: LocalStore,
        manifest: Manifest,
        horizon: int,
        first: int | None,
        last: int | None,
    ) -> Job:
        """The job of recomputing the windows that begin in a span.

        Args:
            store: the store.
            manifest: what it holds.
            horizon: windows that begin earlier were dropped.
            first: start of the span; None for the earliest.
            last: its end; None for the latest.
        """
        started = datetime.datetime.now(datetime.UTC)
        since = int(started.timestamp() - LIVE_SECONDS) * 1_000_000
        # Of a stream that was killed nothing is on its way any more.
        writing = others_write(store.folder)
        live = frozenset(run.run_id for run in manifest.runs if writing and _is_live(run, since))
        pairs = set(manifest.families)
        if not pairs:
            # A stream of which all came too late so far has no rows, but says what it computes.
            pairs = {(size, period) for run in manifest.runs for size, period in run.windows}
        families = [SlidingWindow(*family) for family in sorted(pairs)]
        begin = max(EARLIEST if first is None else first, horizon)
        span = begin, LATEST if last is None else last
        everything = first is None and last is None
        arrived = Arrived(live, since)
        return cls(store, families, span, everything, manifest.group_by, arrived, started)

    @property
    def longest(self) -> int:
        """The length of the longest window, in microseconds."""
        return max(family.size for family in self.families) * 1_000_000

    def record(self, revision: int) -> RunRecord:
        """The run as the manifest is to remember it, with the revision of its last rows."""
        return RunRecord(
            run_id=self.run_id,
            revision=revision,
            started_at=self.started.isoformat(),
            finished_at=datetime.datetime.now(datetime.UTC).isoformat(),
            counts=dict(self.counts),
            kind=RECONCILE,
            windows=[[family.size, family.period] for family in self.families],
            group_by=self.group_by,
        )


def _is_live(run: RunRecord, since: int) -> bool:
    if run.kind != STREAM or run.status != RUNNING:
        return False
    try:
        committed = datetime.datetime.fromisoformat(run.finished_at)
    except ValueError:
        return True
    return committed.timestamp() * 1_000_000 >= since


def check_archive(store: LocalStore, manifest: Manifest, state: ArchiveState) -> None:
    """Makes sure that the archive holds all readings that the windows hold.

    Raises:
        StoreError: it does not.
    """
    if state.without:
        msg = (
            f"run {min(state.without)} wrote no archive of its readings (--archive none), so the "
            f"means in {store.folder} cannot be recomputed; run the jobs again into a new folder"
        )
        raise StoreError(msg)
    if manifest.files.get(MEANS) and not manifest.files.get(TABLE):
        msg = (
            f"the store in {store.folder} has no archive of readings to recompute its means from; "
            "run the jobs again into a new folder, without --archive none"
        )
        raise StoreError(msg)
    if manifest.unsettled:
        msg = (
            f"the store in {store.folder} counts duplicates (--duplicates keep), and its archive "
            "does not say how often; run the jobs again into a new folder to reconcile them"
        )
        raise StoreError(msg)


def spans(job: Job, manifest: Manifest) -> Iterator[tuple[int, int]]:
    """The job's span in parts that can each be held and locked; none where there is nothing."""
    archive = [file for file in manifest.files.get(TABLE, ()) if day_of(file.path) != DELETIONS]
    means = manifest.files.get(MEANS, ())
    firsts = [_or(file.first, EARLIEST) - job.longest for file in archive]
    firsts += [_or(file.first, EARLIEST) for file in means]
    lasts = [_or(file.last, LATEST) for file in (*archive, *means)]
    if not firsts:
        return
    first = max(job.span[0], min(firsts))
    last = min(job.span[1], max(lasts) + 1)
    rows, begin = 0, first
    for file in sorted(archive, key=lambda file: _or(file.first, EARLIEST)):
        edge = _or(file.first, EARLIEST) // DAY * DAY
        # Each part looks at the readings of the windows that reach beyond its end once more.
        if rows >= PART_ROWS and first < edge < last and edge - begin >= job.longest:
            yield begin, edge
            rows, begin = 0, edge
        rows += file.rows
    if begin < last:
        yield begin, last


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
