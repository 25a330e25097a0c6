"""A batch of readings: the element that flows through every transform.

A batch is an Arrow record batch. Rows are readings: one value of one quantity at one place and
event time; or deletions, which take the reading of that identity back.
"""

from __future__ import annotations

import enum

import pyarrow as pa

from schemas.series import ALL_MEANS
from schemas.tables import arrow_schema

__all__ = ["MEANS", "PLACED_READINGS", "READINGS", "REJECTED", "VersionKind"]


class VersionKind(enum.IntEnum):
    """What a reading's version is; of two versions of different kinds, the greater kind wins."""

    NONE = 0
    """There is none (a file whose messages say nothing): the version is 0."""
    ARRIVAL = 1
    """When the queue or the response brought it, in microseconds since the epoch."""
    UPDATED_AT = 2
    """When the message says that it was last changed, in microseconds since the epoch."""
    VERSION = 3
    """The message's own number."""


READINGS = pa.schema(
    [
        pa.field("id", pa.string(), metadata={"description": "The message's own identifier."}),
        pa.field(
            "sensor_id",
            pa.dictionary(pa.int32(), pa.string()),
            metadata={"description": "The sensor that measured it; NULL where none is named."},
        ),
        pa.field(
            "quantity",
            pa.dictionary(pa.int8(), pa.string()),
            nullable=False,
            metadata={"description": "What was measured, for example temperature."},
        ),
        pa.field(
            "event_time",
            pa.timestamp("us", tz="UTC"),
            metadata={"description": "When it was measured; NULL where deleted that have an id."},
        ),
        pa.field(
            "longitude",
            pa.float64(),
            metadata={"description": "WGS 84 degrees; NULL without a place, and where deleted."},
        ),
        pa.field(
            "latitude",
            pa.float64(),
            metadata={"description": "WGS 84 degrees; NULL without a place, and where deleted."},
        ),
        pa.field(
            "value_micros",
            pa.int64(),
            metadata={
                "description": "The value in whole millionths of the quantity's unit; NULL where "
                "deleted."
            },
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
        pa.field(
            "version",
            pa.int64(),
            nullable=False,
            metadata={"description": "Of several of one kind, the greatest counts; 0 for none."},
        ),
        pa.field(
            "version_kind",
            pa.int8(),
            nullable=False,
            metadata={"description": "What the version is: a number of `VersionKind`."},
        ),
        pa.field(
            "deleted",
            pa.bool_(),
            nullable=False,
            metadata={"description": "The row takes a reading back."},
        ),
        pa.field(
            "arrived_at",
            pa.timestamp("us", tz="UTC"),
            metadata={"description": "When the queue or the response brought it; NULL for files."},
        ),
        pa.field(
            "format",
            pa.dictionary(pa.int8(), pa.string()),
            nullable=False,
            metadata={"description": "The message format that it came in."},
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
    field for field in ALL_MEANS if field.name not in {"revision", "emitted_at", "run_id"}
)
"""Columns of a batch of results, those of regions and of sensors; revision and run are added where
they are stored."""

EMITTED_AT: pa.Field = ALL_MEANS.field("emitted_at")
"""A further column of results of a stream with partial statistics: of two rows of a window the
later one is the newer one, also where a clock was wrong for a while."""

REJECTED = pa.schema(field for field in arrow_schema("rejected_readings") if field.name != "run_id")
"""Columns of a batch of rejected records; the run is added where they are stored."""
