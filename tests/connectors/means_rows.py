"""Rows of `regional_means_revisions` for tests."""

from __future__ import annotations

import datetime

import pyarrow as pa

from schemas.tables import arrow_schema
from tests.support.summed_rows import summed_rows

TABLE = "regional_means_revisions"
START = datetime.datetime(2019, 2, 19, tzinfo=datetime.UTC)


def means_row(
    hour=0, *, region="76", count=2, mean=12.5, revision=1, run_id="run-1", emitted=0, **changes
):
    """An hourly row; `hour` counts from the start of 2019-02-19, `emitted` in seconds from it."""
    start = START + datetime.timedelta(hours=hour)
    size = changes.pop("size", 3600)
    value = mean if count else None
    return {
        "region_code": region,
        "region": {"76": "Occitanie", "11": "Île-de-France"}[region],
        "quantity": "temperature",
        "window_start": start,
        "window_end": start + datetime.timedelta(seconds=size),
        "window_size": size,
        "window_period": changes.pop("period", size),
        "count": count,
        "mean": value,
        "min": value,
        "max": value,
        "stddev": None,
        "revision": revision,
        "pane": "on_time",
        "emitted_at": START + datetime.timedelta(days=1, seconds=emitted),
        "run_id": run_id,
    } | changes


def means_table(*rows):
    return summed_rows(list(rows))


def rejected_table(*rows):
    """Rows of `rejected_readings` from (reason, raw, run_id)."""
    return pa.Table.from_pylist(
        [
            {
                "reason": reason,
                "detail": f"the record is {reason}",
                "raw": raw,
                "raw_size": len(raw),
                "raw_sha256": f"{abs(hash(raw)):064x}",
                "source": f"/data/a.jsonl#byte={number}",
                "rejected_at": START,
                "run_id": run_id,
            }
            for number, (reason, raw, run_id) in enumerate(rows)
        ],
        schema=arrow_schema("rejected_readings"),
    )
