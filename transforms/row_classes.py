"""Which class of the balance each row of placed readings is in: no Beam in it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.entries import NO_PLACE
from transforms.spans import Bools

__all__ = ["nowhere", "row_classes"]


def row_classes(batch: pa.RecordBatch) -> dict[str, int]:
    """How many readings of a batch are counted, outside, without a place, and deleted.

    Args:
        batch: placed readings or entries; of the columns `region_code`, `deleted`, `longitude`,
            `latitude` and `weight` those that are missing are not looked at. A reading of weight
            -1 is taken away from its class.
    """
    weights = np.asarray(batch.column("weight")) if "weight" in batch.schema.names else None
    regions = batch.column("region_code")
    deleted = batch.column("deleted") if "deleted" in batch.schema.names else None
    if not regions.null_count and (deleted is None or not deleted.true_count):
        return {"counted": _sum(np.ones(batch.num_rows, bool), weights)}
    gone = (
        np.zeros(batch.num_rows, bool)
        if deleted is None
        else deleted.to_numpy(zero_copy_only=False)
    )
    placed = regions.is_valid().to_numpy(zero_copy_only=False) & ~gone
    lost = nowhere(batch) & ~gone & ~placed
    classes = {
        "counted": placed,
        "outside": ~placed & ~gone & ~lost,
        "no_place": lost,
        "deleted": gone,
    }
    return {name: _sum(rows, weights) for name, rows in classes.items()}


def nowhere(batch: pa.RecordBatch) -> Bools:
    """Which rows of placed readings or entries lack a longitude or a latitude."""
    rows = np.zeros(batch.num_rows, bool)
    for name in ("longitude", "latitude"):
        if name in batch.schema.names:
            column = batch.column(name)
            missing = pc.fill_null(pc.equal(column, NO_PLACE), True)
            rows |= missing.to_numpy(zero_copy_only=False)
    return rows


def _sum(rows: Bools, weights: np.ndarray | None) -> int:
    return int(rows.sum()) if weights is None else int(weights[rows].sum(dtype=np.int64))
