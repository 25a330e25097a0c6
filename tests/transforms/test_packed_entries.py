"""Entries as bytes and back, with series of many batches under one numbering."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo import RegionIndex
from schemas.entries import ENTRIES
from tests.support.streams import AT_SEA, TOULOUSE, at, deletion, reading
from transforms.assign_regions import assign_regions
from transforms.batches import batch_rows
from transforms.packed_entries import arrow_entries, packed_entries
from transforms.packed_rows import ROW, Packed, compact, header, pack, unpack
from transforms.packed_series import Series, joined_packed
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.versions import entries_of, joined

NOW = 1_700_000_000.25


def placed(*rows):
    return assign_regions(batch_rows(rows), RegionIndex.default())


ROWS = [
    reading("a", 1, 10, 1),
    reading("b", 2, -20.25, 2, place=TOULOUSE),
    reading("c", 3, 1e9, 3, place=AT_SEA, quantity="humidity"),
    reading("d", 4, 0, place=(None, 45.0)),
    reading("e", 5, 0, 5, arrived=None),
    deletion("f", 6),
    deletion("g", arrived=None),
]


def values(batch):
    """Rows of a batch, whatever its dictionaries are like."""
    batch.validate(full=True)
    assert batch.schema == ENTRIES
    return batch.to_pylist()


def test_packed_entries_are_the_entries():
    batch = placed(*ROWS)
    through = unpack(pack(packed_entries(batch, NOW)))
    assert values(arrow_entries(through)) == values(entries_of(batch))


@settings(max_examples=100)
@given(st.lists(st.lists(st.sampled_from(ROWS), min_size=1, max_size=5), min_size=1, max_size=5))
def test_pieces_with_other_names_are_joined(pieces):
    batches = [placed(*rows) for rows in pieces]
    whole = joined_packed([compact(packed_entries(batch, NOW)) for batch in batches])
    expected = [row for batch in batches for row in values(entries_of(batch))]
    assert values(arrow_entries(whole)) == expected
    assert values(arrow_entries(compact(whole))) == expected


def test_only_names_that_rows_have_are_packed():
    packed = packed_entries(placed(*ROWS), NOW)
    assert set(packed.names) == {
        ("temperature", "11", "Île-de-France", None),
        ("temperature", "76", "Occitanie", None),
        ("temperature", None, None, None),
        ("humidity", None, None, None),
    }
    one = compact(Packed(packed.rows[1:2], packed.names))
    assert one.names == (("temperature", "76", "Occitanie", None),)
    assert compact(one) is one


def test_the_arrival_is_else_the_event_time_else_now():
    arrivals = packed_entries(placed(*ROWS), NOW).rows["arrival"]
    start = int(at(0).timestamp())
    assert arrivals.tolist() == [
        start + 60, start + 120, start + 180, start + 240, start + 300, start, int(NOW) + 1,
    ]  # fmt: skip


@pytest.mark.parametrize(("year", "expected"), [(1, 0), (2300, 2**32 - 1)])
def test_arrivals_beyond_what_can_be_held_are_the_nearest(year, expected):
    moment = at(0).replace(year=year)
    row = {**reading("a", 1, 10, arrived=None), "event_time": moment}
    (arrival,) = packed_entries(placed(row), NOW).rows["arrival"].tolist()
    assert arrival == expected


def test_they_can_be_added_to_windows():
    """The dictionaries of region codes and regions are filled in step, without NULLs."""
    slices = SliceAccumulator(3600, [STATISTICS["count"]()])
    slices.add(arrow_entries(packed_entries(placed(*ROWS), NOW)))
    ((_, partials),) = slices.flush(1)
    found = zip(
        partials.column("region").to_pylist(), partials.column("count").to_pylist(), strict=True
    )
    assert sorted(found) == [("Occitanie", 1), ("Île-de-France", 2)]


def test_no_rows_are_no_rows():
    empty = packed_entries(placed(), NOW)
    assert len(unpack(pack(empty)).rows) == 0
    assert arrow_entries(empty).num_rows == 0
    nothing = Packed(np.zeros(0, ROW), ())
    assert arrow_entries(joined_packed([nothing, nothing])).num_rows == 0


def test_what_another_release_packed_is_refused():
    with pytest.raises(ValueError, match=r"^packed entries of format b'\\x01' cannot be read"):
        unpack(b"\x01" + header(())[1:])


def test_more_series_than_can_be_told_apart_are_refused():
    series = Series()
    assert len(series.numbers(tuple(("q", str(place), "", None) for place in range(128)))) == 128
    with pytest.raises(ValueError, match=r"^at most 128 quantities and 127 regions"):
        series.numbers((("q", "another", "", None),))


def test_many_shapes_of_names_do_not_pile_up():
    series = Series()
    for number in range(1100):
        series.numbers((("q", str(number % 100), "", None), ("q", str(number // 100), "", None)))
    assert len(series.names) == 100
    assert len(series._known) <= 1001


def test_a_row_is_a_line_of_the_cache():
    assert ROW.itemsize == 64
    assert isinstance(packed_entries(placed(ROWS[0]), NOW), Packed)
    assert pa.types.is_dictionary(ENTRIES.field("quantity").type)


def test_entries_whose_place_counts_in_no_window_can_be_joined():
    batch = placed(
        reading("a", 1, 10, sensor_id="s1"), reading("b", 2, 20, place=AT_SEA, sensor_id="s2")
    )
    entries = arrow_entries(packed_entries(batch, NOW, "sensor"))
    assert entries.column("region").null_count == 2
    both = joined([entries, entries])
    assert both.column("region_code").to_pylist() == ["11", None, "11", None]
    assert both.column("region").to_pylist() == [None] * 4
