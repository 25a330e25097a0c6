"""Placed readings of every kind: versions, deletions, without an id, without a place."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from schemas.reading import PLACED_READINGS

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NOON = 1_550_577_600_000_000
"""2019-02-19T12:00:00Z in µs since the epoch."""

DAY = 86_400_000_000
REGIONS = {"11": "Île-de-France", "76": "Occitanie", None: None}
ALL_COLUMNS = pa.schema([*PLACED_READINGS, pa.field("too_late", pa.bool_())])


def reading(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A row of `PLACED_READINGS`; `region_code` also sets `region`."""
    row = {
        "id": f"reading-{number}",
        "sensor_id": None,
        "quantity": "temperature",
        "event_time": NOON + number,
        "longitude": 2.35,
        "latitude": 48.86,
        "value_micros": 1_500_000 * number,
        "in_france": False,
        "source": "/data/a.jsonl#byte=0",
        "version": 0,
        "version_kind": 0,
        "deleted": False,
        "arrived_at": None,
        "format": "regional",
        "region_code": "11",
        "too_late": False,
    } | changes
    if row["deleted"]:
        gone = ["longitude", "latitude", "value_micros", "region_code"]
        if row["id"] is not None or row["sensor_id"] is None:
            gone.append("event_time")
        row |= dict.fromkeys(gone)
    return row | {"region": REGIONS[row["region_code"]]}


def placed_rows(rows: Sequence[dict[str, Any]], *, too_late: bool = False) -> pa.RecordBatch:
    """Rows as a batch of schema `PLACED_READINGS`, with a column `too_late` if wished."""
    schema = ALL_COLUMNS if too_late else PLACED_READINGS
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        kind = field.type
        if pa.types.is_dictionary(kind):
            columns.append(pa.array(values, kind.value_type).dictionary_encode().cast(kind))
        elif pa.types.is_timestamp(kind):
            columns.append(pa.array(values, pa.int64()).view(kind))
        else:
            columns.append(pa.array(values, kind))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@st.composite
def readings(draw: st.DrawFn) -> dict[str, Any]:
    """Few identities, versions and contents, so that all of them meet."""
    small = st.integers(0, 2)
    kind = draw(st.integers(0, 3))
    row = reading(
        id=draw(st.sampled_from(["a", "b", "", None])),
        sensor_id=draw(st.sampled_from([None, "s1", "s2"])),
        quantity=draw(st.sampled_from(["temperature", "humidity"])),
        event_time=draw(st.sampled_from([0, NOON, NOON + 1, NOON + DAY])),
        longitude=draw(st.sampled_from([0.0, -0.0, 2.5, -61.5])),
        latitude=draw(st.sampled_from([0.0, 48.5])),
        value_micros=draw(st.sampled_from([-1, 0, 1, 10**15])),
        in_france=draw(st.booleans()),
        source=draw(st.sampled_from(["one", "two"])),
        version=draw(small) if kind else 0,
        version_kind=kind,
        region_code=draw(st.sampled_from(list(REGIONS))),
        format=draw(st.sampled_from(["regional", "sensor"])),
        arrived_at=draw(st.sampled_from([None, NOON])),
        deleted=draw(st.integers(0, 4)) == 0,
        too_late=draw(st.booleans()),
    )
    if draw(st.integers(0, 5)) == 0:
        row |= {"longitude": None, "latitude": None, "region_code": None, "region": None}
    return row
