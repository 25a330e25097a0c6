"""The series of windows, and the columns of all means: of regions and of sensors.

A series of windows is of one quantity, and of one region or of one sensor. The rows of both have
the same columns until they are shown: as `regional_means_revisions` and `sensor_means_revisions`.
"""

from __future__ import annotations

import pyarrow as pa

from schemas.groupings import REGION, SENSOR
from schemas.tables import arrow_schema

__all__ = ["ALL_MEANS", "SERIES", "TABLE_OF"]

SERIES = ("region_code", "region", "sensor_id", "quantity")
"""The columns that tell one series of windows from another: that of a region has no `sensor_id`,
that of a sensor neither `region_code` nor `region`."""

TABLE_OF = {REGION: "regional_means_revisions", SENSOR: "sensor_means_revisions"}
"""The table that shows the rows of each kind of series."""


def _all_means() -> pa.Schema:
    regional = arrow_schema(TABLE_OF[REGION])
    sensor = arrow_schema(TABLE_OF[SENSOR]).field("sensor_id")
    fields = [
        field.with_nullable(True) if field.name in SERIES[:2] else field for field in regional
    ]
    return pa.schema([*fields[:2], sensor.with_nullable(True), *fields[2:]])


ALL_MEANS = _all_means()
"""The columns of both tables."""
