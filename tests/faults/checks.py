"""Whether a stream that had faults has come to what a run without any comes to."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.reconcile import main as reconcile_store
from tests.faults.messages import DUPLICATE, HOURS, POISON, TOO_LATE, Message, as_file, kinds
from tests.support.jobs import ask, rows_of, run_job

__all__ = [
    "Contents",
    "assert_same",
    "batch_of",
    "check_balance",
    "contents",
    "differences",
    "recent_means",
    "reconcile",
]

VIEWS = ("hourly_means", "sliding_means")
LATEST = (
    "SELECT DISTINCT format, id, quantity, event_time, longitude, latitude, value, region_code, "
    "version, version_kind, deleted FROM {}"
)
REJECTED = (
    "SELECT if(raw = '{}', '', reason), raw, raw_size, raw_sha256 FROM rejected_readings "
    "WHERE reason <> 'too_late'"
)
Contents = Mapping[str, Sequence[str]]


def contents(store: Path) -> Contents:
    """What the store says: its means, its readings and its rejected records, in their order."""
    found: dict[str, Sequence[str]] = dict(rows_of(store, *VIEWS))
    for table in ("latest_readings", "readings"):
        found[table] = sorted(map(repr, ask(store, LATEST.format(table))))
    found["rejected"] = sorted(map(repr, ask(store, REJECTED.format(POISON.decode()))))
    return found


def recent_means(store: Path) -> list[str]:
    """The means of the hours that are not too late, but for extremes.

    A stream does not know the smallest reading once that was taken away; reconciliation does.
    """
    now = datetime.datetime.now(datetime.UTC)
    found = []
    for view, start in (("hourly_means", "hour"), ("sliding_means", "window_start")):
        columns = f"region_code, quantity, epoch({start}), count, mean, stddev"
        since = (now - datetime.timedelta(hours=HOURS + 4)).isoformat()
        rows = ask(store, f"SELECT {columns} FROM {view} WHERE {start} > '{since}'")
        found += [f"{view} {row!r}" for row in rows]
    return sorted(found)


def batch_of(folder: Path, sent: Sequence[Message]) -> Contents:
    """What a batch run makes of the same messages in a file; its store is in the folder."""
    folder.mkdir()
    file, store = folder / "readings.jsonl", folder / "store"
    file.write_bytes(as_file(sent))
    done = run_job("--input", file, "--output", store)
    assert done.code == 0, done.err
    return contents(store)


def reconcile(store: Path) -> None:
    """Runs `pipelines.reconcile`."""
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        code = reconcile_store(["--output", str(store)])
    assert code == 0, err.getvalue()


def differences(found: Contents, wanted: Contents, most: int = 6) -> list[str]:
    """The rows of which only one of the two has one; the first few of them."""
    lines = []
    for name, rows in wanted.items():
        if found[name] != rows:
            only = [
                line
                for line in difflib.unified_diff(rows, found[name], "wanted", "found", n=0)
                if not line.startswith(("---", "+++", "@@"))
            ]
            lines += [f"{name}: {len(only)} rows differ", *only[:most]]
    return lines


def assert_same(found: Contents, wanted: Contents) -> None:
    """Fails where the two differ, and says in what."""
    wrong = differences(found, wanted)
    assert not wrong, "\n".join(wrong)


def check_balance(store: Path, sent: Sequence[Message]) -> None:
    """Closes the balance from the store: every message is archived, a duplicate or rejected."""
    count = kinds(sent)
    archived = ask(store, f"SELECT count(*) FROM ({LATEST.format('readings')})")[0][0]
    rejected = ask(store, "SELECT count(*) FROM rejected_readings WHERE reason <> 'too_late'")[0][0]
    late = ask(store, "SELECT count(*) FROM rejected_readings WHERE reason = 'too_late'")[0][0]
    assert archived + rejected + count[DUPLICATE] == len(sent), (archived, rejected, count)
    assert late == count[TOO_LATE], (late, count)
