"""Writes docs/tables.md from the schemas: `python -m schemas.document > docs/tables.md`."""

from __future__ import annotations

from schemas.tables import BIGQUERY_ONLY, TABLES, bigquery_schema

__all__ = ["tables_page"]

VIEWS = """\
# Tables

This page is made from `schemas/bigquery/*.json` by `python -m schemas.document`.

## `hourly_means`

A view: the newest row of every region, quantity and hour that holds readings, with `window_start`
as `hour`, and `mean_3h_before`: the mean of the hour that began three hours earlier, NULL where it
has none.

Columns: `region_code, region, quantity, hour, count, mean, min, max, stddev, mean_3h_before,
revision, pane, emitted_at`.

## `sliding_means`

A view: the newest row of every region, quantity and window of all kinds but the hourly one.
`window_size` and `window_period` are in seconds.

Columns: `region_code, region, quantity, window_size, window_period, window_start, window_end,
count, mean, min, max, stddev, revision, pane, emitted_at`.

## `sensor_means`

A view: the newest row of every sensor, quantity and window that holds readings, for windows of all
kinds. A run writes them with `--group_by sensor` or `both`; by region, only for readings without a
place.

Columns: `sensor_id, quantity, window_size, window_period, window_start, window_end, count, mean,
min, max, stddev, revision, pane, emitted_at`.

## `latest_readings`

A view: the current version of every reading in the archive, by the rules of
[corrections.md](corrections.md). Readings that were deleted are left out; those that came too late
are there.

Columns: those of `readings`.

## `outside_readings`

A view: the readings of `latest_readings` that lie in no region, or have no place; without those
that came too late.

Columns: `id, quantity, event_time, longitude, latitude, value, source, run_id`.

## `open_rejections`

A view: the rows of `rejected_readings` that no replay has brought in since, each place once. Rows
with the reason `too_late` need no replay: the reading is in the archive.

Columns: those of `rejected_readings`.
"""

NOTES = {
    "readings": """\
The archive: every accepted version of every reading. The local store shows each once, that of the
earliest `ingested_at`, however many runs read it. In BigQuery this is the table as it was written,
and `latest_readings` picks one of several.
""",
    "regional_means_revisions": """\
Every row of a region that any run wrote. The views show the newest of each window.
""",
    "sensor_means_revisions": """\
Every row of a sensor that any run wrote. `sensor_means` shows the newest of each window. In the
local store the rows of both tables lie in the same files.
""",
    "rejected_readings": """\
Each record that is not a reading, or came too late. The local store shows each once.
""",
    "failed_rows": """\
BigQuery only. Rows that BigQuery refused for good, so that nothing is lost.
""",
    "regions": """\
BigQuery only. The boundaries that readings are placed by, for queries about places
([bigquery.md](bigquery.md)).
""",
    "replayed_records": """\
Rejected records that `python -m pipelines.replay` has sent again after the parser took them. Rows
of `rejected_readings` stay as they are; `open_rejections` leaves those out that are here.
""",
}
"""What is to be said of a table before its columns."""


def tables_page() -> str:
    """The page, in Markdown."""
    parts = [VIEWS]
    for table in (*TABLES, *BIGQUERY_ONLY):
        parts.append(f"\n## `{table}`\n\n{NOTES[table]}\n")
        parts.append("| column | type | meaning |\n| --- | --- | --- |\n")
        for column in bigquery_schema(table):
            null = "" if column["mode"] == "REQUIRED" else ", may be NULL"
            name, kind = column["name"], column["type"]
            parts.append(f"| `{name}` | {kind}{null} | {column['description']} |\n")
    return "".join(parts)


if __name__ == "__main__":
    print(tables_page(), end="")
