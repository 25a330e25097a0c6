"""A batch of readings: the element that flows through every transform.

A batch is an Arrow record batch. Rows are readings: one value of one quantity at one place and
event time.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.tables import arrow_schema

__all__ = ["MEANS", "PLACED_READINGS", "READINGS", "REJECTED"]

READINGS = pa.schema(
    [
        pa.field("id", pa.string(), metadata={"description": "The message's own identifier."}),
        pa.field(
            "quantity",
            pa.dictionary(pa.int8(), pa.string()),
            nullable=False,
            metadata={"description": "What was measured, for example temperature."},
        ),
        pa.field(
            "event_time",
            pa.timestamp("us", tz="UTC"),
            nullable=False,
            metadata={"description": "When it was measured."},
        ),
        pa.field("longitude", pa.float64(), metadata={"description": "WGS 84 degrees."}),
        pa.field("latitude", pa.float64(), metadata={"description": "WGS 84 degrees."}),
        pa.field(
            "value_micros",
            pa.int64(),
            nullable=False,
            metadata={"description": "The value in whole millionths of the quantity's unit."},
        ),
        pa.field(
            "in_france",
            pa.bool_(),
            nullable=False,
            metadata={"description": "The message itself says that its country is France."},
        ),
        pa.field(
            "source",
            pa.dictionary(pa.int8(), pa.string()),
            nullable=False,
            metadata={"description": "The file and offset of the block that held it."},
        ),
    ]
)
"""Columns of a batch as ParseReadings gives it."""

PLACED_READINGS = READINGS.append(
    pa.field(
        "region_code",
        pa.dictionary(pa.int8(), pa.string()),
        metadata={"description": "INSEE code of the region; NULL where in none."},
    )
).append(
    pa.field(
        "region",
        pa.dictionary(pa.int8(), pa.string()),
        metadata={"description": "Name of the region; NULL where in none."},
    )
)
"""Columns of a batch after AssignRegions."""

MEANS = pa.schema(
    field
    for field in arrow_schema("regional_means_revisions")
    if field.name not in {"revision", "emitted_at", "run_id"}
)
"""Columns of a batch of results; revision and run are added where they are stored."""

REJECTED = pa.schema(field for field in arrow_schema("rejected_readings") if field.name != "run_id")
"""Columns of a batch of rejected records; the run is added where they are stored."""
