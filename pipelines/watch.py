"""Shows the newest means of a local store as they change: `python -m pipelines.watch`."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sql as sql_files
from connectors.bigquery_sql import QueryError, answer
from connectors.local_store import LocalStore, StoreError
from pipelines.console import fail
from schemas.tables import TABLES

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Watch", "main", "show"]

NEWEST = """
SELECT region, region_code, quantity, hour, count, mean, min, max, emitted_at
FROM hourly_means
QUALIFY RANK() OVER (ORDER BY hour DESC) <= {hours}
ORDER BY hour DESC, region_code, quantity
"""
NAMES = (*sql_files.VIEWS, *TABLES)
UP, DOWN, SAME = "▲", "▼", " "


@dataclass
class Watch:
    """Looks at a store again and again, and tells what has changed since it looked last.

    Attributes:
        store: the store.
        hours: how many of the newest hours to show.
    """

    store: LocalStore
    hours: int = 1
    _means: dict[tuple[Any, ...], float] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """The newest means, each with `change`: ▲, ▼ or a blank.

        Raises:
            StoreError: the store cannot be read.
        """
        with self.store.connect() as connection:
            newest = NEWEST.format(hours=self.hours)
            found: list[dict[str, Any]] = answer(connection, newest, NAMES).to_pylist()
        for row in found:
            key = row["region_code"], row["quantity"], row["hour"]
            before = self._means.get(key, row["mean"])
            row["change"] = UP if row["mean"] > before else DOWN if row["mean"] < before else SAME
            self._means[key] = row["mean"]
        return found


def table(rows: Sequence[Mapping[str, Any]], now: datetime.datetime) -> Table:
    """The rows as a table for a terminal, narrow enough for 80 columns."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only for a terminal
    from rich.table import Table  # noqa: PLC0415

    hours = {row["hour"] for row in rows}
    of = f" of the hour from {min(hours):%Y-%m-%d %H:%M}," if len(hours) == 1 else ""
    title = f"means{of} at {now:%H:%M:%S} UTC"
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    several = len({row["quantity"] for row in rows}) > 1
    first = ["hour, UTC"] if len(hours) > 1 else []
    for name in (*first, "region", *(["quantity"] if several else [])):
        shown.add_column(name, no_wrap=True)
    for name in ("readings", "mean", "", "min", "max", "s ago"):
        shown.add_column(name, justify="right", no_wrap=True)
    hour = None
    for row in rows:
        began = "" if row["hour"] == hour else f"{row['hour']:%m-%d %H:%M}"
        shown.add_row(
            *([began] if first else []),
            row["region"],
            *([row["quantity"]] if several else []),
            f"{row['count']:,}",
            f"{row['mean']:.2f}",
            row["change"],
            *(_number(row[name]) for name in ("min", "max")),
            f"{(now - row['emitted_at']).total_seconds():,.0f}",
        )
        hour = row["hour"]
    return shown


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 when it is interrupted or has shown all that was asked for, 1 for an unreadable store.
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.watch",
        description="Show the newest hourly means of a local store as they change.",
    )
    parser.add_argument("--output", default="results", metavar="DIR", help="the store's folder")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from look to look")
    parser.add_argument("--hours", type=int, default=1, help="how many of the newest hours")
    parser.add_argument("--times", type=int, help="look so often, then end")
    options = parser.parse_args(arguments)
    if options.every <= 0 or options.hours < 1 or (options.times is not None and options.times < 1):
        parser.error("--every, --hours and --times must be more than 0")
    watch = Watch(LocalStore(options.output), options.hours)
    try:
        for looks, _ in enumerate(show(watch, options.every), 1):
            if looks == options.times:
                break
    except KeyboardInterrupt:
        return 0
    except (StoreError, QueryError) as error:
        return fail(str(error))
    return 0


def show(watch: Watch, every: float) -> Iterator[list[dict[str, Any]]]:
    """Shows the means again and again.

    Args:
        watch: looks at the store.
        every: seconds from look to look.

    Yields:
        The rows that are shown, after each look.

    Raises:
        StoreError: the store cannot be read.
    """
    from rich.console import Console  # noqa: PLC0415 - slow
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            now = datetime.datetime.now(datetime.UTC)
            rows = watch.rows()
            live.update(table(rows, now) if rows else "no means yet", refresh=True)
            yield rows
            time.sleep(every)


if __name__ == "__main__":
    sys.exit(main())
