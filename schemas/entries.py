"""An entry: what a run counts for one reading, in few columns, found by the reading's identity."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["ENTRIES", "NO_PLACE"]

NO_PLACE = -999.0
"""Longitude and latitude of an entry without a place: lower than any, so that one with wins."""


def _named(name: str, kind: pa.DataType, description: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


ENTRIES = pa.schema(
    [
        _named("identity_high", pa.uint64(), "Upper half of the hash of the identity."),
        _named("identity_low", pa.uint64(), "Lower half of the hash of the identity."),
        _named("version_kind", pa.int8(), "Where the version comes from; the greater kind wins."),
        _named("version", pa.int64(), "The greater version of a kind wins."),
        _named("deleted", pa.bool_(), "The version takes the reading away."),
        _named("event_time", pa.timestamp("us", tz="UTC"), "The epoch where deleted."),
        _named("longitude", pa.float64(), "NO_PLACE where there is none or it is deleted."),
        _named("latitude", pa.float64(), "NO_PLACE where there is none or it is deleted."),
        _named("value_micros", pa.int64(), "0 where deleted."),
        _named("quantity", pa.dictionary(pa.int8(), pa.string()), "What was measured."),
        _named(
            "region_code",
            pa.dictionary(pa.int8(), pa.string()),
            "Where it lies; NULL: in no region.",
            nullable=True,
        ),
        _named(
            "region",
            pa.dictionary(pa.int8(), pa.string()),
            "The region in whose windows it counts; NULL: in none.",
            nullable=True,
        ),
        _named(
            "sensor_id",
            pa.dictionary(pa.int32(), pa.string()),
            "The sensor in whose windows it counts; NULL: in none.",
            nullable=True,
        ),
    ]
)
"""Columns of a batch of entries. It can be added to windows like a batch of placed readings.

`region_code` says in which class of the balance an entry is; `region` and `sensor_id` say in which
series of windows it counts, as `transforms.grouping` has decided: in none, one or two.
"""
