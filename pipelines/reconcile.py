"""Recomputes means from the archive: `python -m pipelines.reconcile --output results`."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from typing import Any

from connectors.bigquery.client import open_client
from connectors.bigquery.reconcile import reconcile_dataset
from connectors.bigquery.uri import is_bigquery, parse
from connectors.local_store import LocalStore
from connectors.local_store.reconcile import Reconciled, reconcile
from connectors.output_error import OutputError
from pipelines.console import fail, write_out
from pipelines.rendering import UNSAFE
from pipelines.store_commands import add_options, moment, run_command
from schemas.groupings import GROUPINGS

__all__ = ["main"]

STATISTICS = ("count", "mean", "min", "max", "stddev")
EPILOG = """\
Readings that came too late are counted, and every window that differs from what the archive says
gets a corrected row. Windows that a running stream is about to change are left alone and named.

exit codes: 0 where nothing differed or all that differed is corrected, 1 where it failed
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 where nothing differed or all that differed is corrected, 1 where it failed, 2 for wrong
        usage.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.reconcile",
        description="Recompute means from the archive of readings, of a store or of BigQuery.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(
        parser, ("table", "json"), "folder or bigquery://PROJECT.DATASET that jobs write to"
    )
    parser.add_argument(
        "--from",
        dest="first",
        type=moment,
        metavar="TIME",
        help="windows that begin then or later, such as 2019-02-19T14:00:00Z (default: all)",
    )
    parser.add_argument(
        "--to",
        dest="last",
        type=moment,
        metavar="TIME",
        help="windows that begin before then (default: all)",
    )
    parser.add_argument(
        "--group_by",
        choices=GROUPINGS,
        help="how runs group; for BigQuery only (default: what the dataset remembers)",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    options = parser.parse_args(arguments)
    if options.first and options.last and options.first >= options.last:
        parser.error(
            f"--from {options.first.isoformat()} is not before --to {options.last.isoformat()}"
        )
    if is_bigquery(options.output):
        return _in_bigquery(options)
    if options.group_by:
        parser.error("--group_by is for BigQuery; a store knows how its runs group")
    return run_command(parser, arguments, _reconcile)


def _in_bigquery(options: argparse.Namespace) -> int:
    try:
        dataset = parse(options.output)
        client = open_client(dataset.project)
        done = reconcile_dataset(
            client,
            dataset,
            options.first,
            options.last,
            options.group_by,
            report=not options.quiet,
        )
    except OutputError as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted; run it again, it writes nothing twice", 130)
    return _tell(options, done)


def _reconcile(options: argparse.Namespace, store: LocalStore) -> int:
    return _tell(options, reconcile(store, _micros(options.first), _micros(options.last)))


def _tell(options: argparse.Namespace, done: Reconciled) -> int:
    if options.quiet:
        return 0
    text = as_json(done) if options.format == "json" else as_text(done)
    return write_out(lambda: print(text), "the means are reconciled, but that cannot be shown")


def _micros(time: datetime.datetime | None) -> int | None:
    if time is None:
        return None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (time - epoch) // datetime.timedelta(microseconds=1)


def as_json(done: Reconciled) -> str:
    """What was found as one JSON object."""
    rows = [
        {
            **{
                name: value
                for name, value in row.items()
                if not name.endswith(("_before", "_after"))
            },
            "window_start": _time(row["window_start"]),
            "before": {name: row[f"{name}_before"] for name in STATISTICS},
            "after": {name: row[f"{name}_after"] for name in STATISTICS},
        }
        for row in _rows(done)
    ]
    alone = [
        {
            "region_code": code,
            "region": region,
            "sensor_id": sensor,
            "quantity": quantity,
            "window_size": size,
            "window_period": period,
            "window_start": _time(start),
            "run_id": run_id,
        }
        for (code, region, sensor, quantity, size, period, start), run_id in done.left_alone
    ]
    return json.dumps(
        {
            "run_id": done.run_id,
            "windows": done.windows,
            "readings": done.readings,
            "differences": rows,
            "left_alone": alone,
            "seconds": round(done.seconds, 3),
        },
        ensure_ascii=False,
        indent=2,
    )


def as_text(done: Reconciled) -> str:
    """What was found as a person reads it."""
    lines = []
    rows = _rows(done)
    for row in rows:
        changes = [
            f"{name} {_number(row[f'{name}_before'])} → {_number(row[f'{name}_after'])}"
            for name in STATISTICS
            if row[f"{name}_before"] != row[f"{name}_after"]
        ]
        owner = _owner(row["region"], row["sensor_id"])
        key = (row[name] for name in ("quantity", "window_size", "window_period", "window_start"))
        lines.append(f"{_window(owner, *key)}: {', '.join(changes)}")
    for (_, region, sensor, quantity, size, period, start), run_id in done.left_alone:
        window = _window(_owner(region, sensor), quantity, size, period, start)
        lines.append(f"{window}: left alone, stream {run_id} is about to change it")
    if done.readings:
        lines.append(f"counted {done.readings:,} readings that no window held")
    checked = f"{done.windows:,} windows checked"
    if rows:
        lines.append(f"{checked}; {len(rows):,} differed and are corrected")
    else:
        lines.append(f"{checked}; nothing differed" if not done.left_alone else checked)
    if done.left_alone:
        lines.append(f"{len(done.left_alone):,} left alone: reconcile again when the stream rests")
    return "\n".join(lines)


def _rows(done: Reconciled) -> list[dict[str, Any]]:
    # Python's datetime ends before the last window does: hence whole numbers.
    place = done.differences.schema.get_field_index("window_start")
    starts = done.differences.column(place).cast("int64")
    rows: list[dict[str, Any]] = done.differences.set_column(
        place, "window_start", starts
    ).to_pylist()
    return rows


def _owner(region: str | None, sensor: str | None) -> str:
    return region or f"sensor {sensor}".translate(UNSAFE)


def _window(owner: str, quantity: str, size: int, period: int, start: int) -> str:
    kind = "hour" if size == period == 3600 else f"{size} s every {period} s"
    return f"{owner}, {quantity}, {kind} from {_time(start)}"


def _time(micros: int) -> str:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    try:
        time = epoch + datetime.timedelta(microseconds=micros)
    except OverflowError:
        return f"{micros} µs after 1970"
    return f"{time:%Y-%m-%dT%H:%M:%SZ}".zfill(20)


def _number(value: float | None) -> str:
    return "NULL" if value is None else f"{value:.6g}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())
