"""Each row of placed readings or of entries is in one class of the balance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from geo import RegionIndex
from tests.support.streams import AT_SEA, deletion, reading
from transforms.assign_regions import assign_regions
from transforms.batches import batch_rows
from transforms.row_classes import row_classes
from transforms.versions import entries_of

ROWS = [
    reading("a", 1, 10),
    reading("b", 1, 10),
    reading("c", 1, 10, place=AT_SEA),
    reading("d", 1, 10, place=(None, None)),
    reading("e", 1, 10, place=(None, 45.0)),
    reading("f", 1, 10, place=(3.0, None)),
    deletion("g"),
]


def placed(rows):
    return assign_regions(batch_rows(rows), RegionIndex.default())


@pytest.mark.parametrize("make", [placed, lambda rows: entries_of(placed(rows))])
def test_rows_are_counted_by_class(make):
    expected = {"counted": 2, "outside": 1, "no_place": 3, "deleted": 1}
    assert row_classes(make(ROWS)) == expected
    assert row_classes(make(ROWS[:2])) == {"counted": 2}
    assert row_classes(make(ROWS[:0])) == {"counted": 0}
    assert row_classes(make([ROWS[0], ROWS[6]]))["deleted"] == 1


def test_a_negative_weight_takes_a_row_out_of_its_class():
    batch = entries_of(placed([*ROWS, *ROWS[1:]]))
    weights = np.array([1] * 7 + [-1] * 6, np.int8)
    weighted = batch.append_column("weight", pa.array(weights))
    assert row_classes(weighted) == {"counted": 1, "outside": 0, "no_place": 0, "deleted": 0}
    assert row_classes(weighted.slice(8)) == {
        "counted": 0, "outside": -1, "no_place": -3, "deleted": -1,
    }  # fmt: skip
    assert row_classes(weighted.slice(7, 1)) == {"counted": -1}


def test_columns_that_are_missing_are_not_looked_at():
    batch = placed(ROWS[:3]).select(["region_code"])
    assert row_classes(batch) == {"counted": 2, "outside": 1, "no_place": 0, "deleted": 0}
