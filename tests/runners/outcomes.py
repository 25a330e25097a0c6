"""What a runner has made of the cases: made once, however many processes run tests."""

from __future__ import annotations

import ast
import fcntl
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain_means import Key

__all__ = ["common_folder", "means_in", "once", "plain_rows"]

HOUR = 3600
TRIES = 2
MICROS = 10**6


def common_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of the tests share."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return shared / "conformance"


def once(folder: Path, make: Callable[[Path], Any]) -> Any:
    """What was made for this folder; whoever comes first makes it, and the others wait.

    What failed is tried once more, as a test is: by whoever asks next.

    Args:
        folder: its own.
        make: gets a folder in it; what it gives can be written as JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "outcome.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tried = sorted(folder.glob("try-*"))
        if not done.exists() and len(tried) < TRIES:
            attempt = folder / f"try-{len(tried)}"
            attempt.mkdir()
            done.write_text(json.dumps({"made": make(attempt)}))
    if not done.exists():
        pytest.fail(f"it was tried {TRIES} times, and failed: see the tests before")
    return json.loads(done.read_text())["made"]


def plain_rows(rows: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as `rows_of` writes them."""
    return [ast.literal_eval(row) for row in rows]


def means_in(tables: Mapping[str, Sequence[str]]) -> dict[Key, dict[str, Any]]:
    """The rows of the views of means, by region code or sensor, quantity and window."""
    found: dict[Key, dict[str, Any]] = {}
    for row in plain_rows(tables["hourly_means"]):
        key = (row["region_code"], row["quantity"], row["hour"] // MICROS, HOUR, HOUR)
        found[key] = row
    for name, owner in (("sliding_means", "region_code"), ("sensor_means", "sensor_id")):
        for row in plain_rows(tables[name]):
            start = row["window_start"] // MICROS
            key = (row[owner], row["quantity"], start, row["window_size"], row["window_period"])
            found[key] = row
    return found
