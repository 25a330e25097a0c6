"""Makes a store quicker to read: `python -m pipelines.compact --output results`.

Small files become large ones, repeats go from the archive, and so do files that crashed runs have
left behind. Queries and runs may go on meanwhile.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
from collections.abc import Sequence

from connectors.local_store import LocalStore
from connectors.local_store.compaction import Compacted, compact
from pipelines.console import write_out
from pipelines.store_commands import add_options, length, run_command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 where it is done, 1 where the store cannot be read or written, 2 for wrong usage.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.compact",
        description="Merge small files of a local store and remove what is needed no more.",
    )
    add_options(parser, ("table", "json"))
    parser.add_argument(
        "--keep",
        type=length,
        metavar="TIME",
        help="drop readings, windows and rejected records that are older, such as 48h, 90d or 12w",
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return run_command(parser, arguments, _compact)


def _compact(options: argparse.Namespace, store: LocalStore) -> int:
    done = compact(store.folder, store.lock_timeout, options.keep)
    if options.quiet:
        return 0
    text = as_json(done) if options.format == "json" else as_text(done)
    return write_out(lambda: print(text), "the store is compacted, but that cannot be shown")


def as_json(done: Compacted) -> str:
    """What was done as one JSON object."""
    document = dataclasses.asdict(done)
    if done.kept_from is not None:
        document["kept_from"] = _day(done.kept_from)
    return json.dumps(document, indent=2)


def as_text(done: Compacted) -> str:
    """What was done as a person reads it."""
    lines = []
    if done.kept_from is not None:
        lines.append(f"dropped what is older than {_day(done.kept_from)}")
    for name, change in sorted(done.tables.items()):
        if change.replaced:
            line = (
                f"{name}: {change.replaced:,} files became {change.files:,}, "
                f"{_size(change.bytes_before)} became {_size(change.bytes_after)}"
            )
            if change.removed:
                line += f", {change.removed:,} rows removed"
            lines.append(line)
        if change.busy:
            lines.append(f"{name}: {change.busy:,} files left alone, a run has replaced them")
    if done.leftovers.files:
        size = _size(done.leftovers.bytes)
        lines.append(f"removed {done.leftovers.files:,} files of runs that crashed, {size}")
    if not done.tables and not done.leftovers.files:
        lines.append("nothing to do")
    return "\n".join(lines)


def _day(micros: int) -> str:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return f"{epoch + datetime.timedelta(microseconds=micros):%Y-%m-%d}".zfill(10)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


if __name__ == "__main__":
    sys.exit(main())
