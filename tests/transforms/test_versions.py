"""Which version counts: the rules of identity, version, deletion and ties."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.entries import ENTRIES
from schemas.reading import VersionKind
from transforms.versions import _region_number, joined, newest, same_rows, version_order

REGIONS = ["76", "11", None]


@st.composite
def entry_rows(draw):
    deleted = draw(st.booleans())
    region = None if deleted else draw(st.sampled_from(REGIONS))
    small = st.integers(0, 2)
    return {
        # Few hashes, and upper halves that are shared by different readings.
        "identity_high": draw(small),
        "identity_low": draw(small),
        "version_kind": draw(st.integers(0, 3)),
        "version": draw(small),
        "deleted": deleted,
        "event_time": 0 if deleted else draw(small),
        "longitude": 0.0 if deleted else float(draw(small)),
        "latitude": 0.0 if deleted else float(draw(small)),
        "value_micros": 0 if deleted else draw(st.integers(-2, 2)),
        "quantity": "temperature",
        "region_code": region,
        "region": region,
        "sensor_id": None if deleted else draw(st.sampled_from([None, "", "s", "t" * 300])),
    }


def entries(rows):
    columns = [
        pa.array([row[field.name] for row in rows], field.type.value_type).dictionary_encode()
        if pa.types.is_dictionary(field.type)
        else pa.array([row[field.name] for row in rows], field.type)
        for field in ENTRIES
    ]
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, ENTRIES, strict=True)],
        schema=ENTRIES,
    )


def identity(row):
    return row["identity_high"], row["identity_low"]


def rank(row):
    names = ("version_kind", "version", "deleted")
    content = ("event_time", "longitude", "latitude", "value_micros")
    code = row["region_code"]
    region = _region_number(code) if code else 0
    return *(row[name] for name in names + content), region, _sensor(row)


def _sensor(row):
    return row["sensor_id"] is not None, row["sensor_id"] or ""


def plainly(rows):
    """The newest row of each reading, one at a time."""
    best = {}
    for row in rows:
        if identity(row) not in best or rank(row) > rank(best[identity(row)]):
            best[identity(row)] = row
    return best


def seen(row):
    return identity(row) + rank(row)


def repeats(row, following):
    """Whether a row says nothing that the next newer one of its reading does not say."""
    one, other = rank(row), rank(following)
    only_arrived = row["version_kind"] == following["version_kind"] == VersionKind.ARRIVAL
    return one == other or (only_arrived and one[2:] == other[2:])


def plain_repeats(rows):
    """How many rows repeat the next newer one of their reading."""
    ordered = sorted(rows, key=seen)
    return sum(
        identity(row) == identity(following) and repeats(row, following)
        for row, following in itertools.pairwise(ordered)
    )


@settings(max_examples=300)
@given(st.lists(entry_rows(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_newest_is_that_of_one_at_a_time_in_any_order(rows, random):
    random.shuffle(rows)
    expected = plainly(rows)
    found = newest(entries(rows))
    kept = found.entries.to_pylist()
    assert [identity(row) for row in kept] == sorted(expected)
    for row in kept:
        row["event_time"] = round(row["event_time"].timestamp() * 1e6)
        assert seen(row) == seen(expected[identity(row)])
    assert found.duplicates == plain_repeats(rows)
    assert found.superseded == len(rows) - len(expected) - found.duplicates


@settings(max_examples=100)
@given(st.lists(st.lists(entry_rows(), min_size=1, max_size=10), min_size=1, max_size=4))
def test_the_newest_of_the_newest_is_the_newest_of_all(pieces):
    whole = newest(joined([entries(piece) for piece in pieces])).entries
    again = newest(joined([newest(entries(piece)).entries for piece in pieces])).entries
    assert same_rows(whole, again).all()
    assert whole.column("identity_low").equals(again.column("identity_low"))


@settings(max_examples=100)
@given(st.lists(entry_rows(), min_size=1, max_size=30))
def test_the_order_puts_the_versions_of_a_reading_together(rows):
    order, last, repeated = version_order(entries(rows))
    assert sorted(order.tolist()) == list(range(len(rows)))
    ordered = [rows[row] for row in order.tolist()]
    for place, row in enumerate(ordered):
        following = ordered[place + 1] if place + 1 < len(ordered) else None
        ends = following is None or identity(following) != identity(row)
        assert last[place] == ends
        assert repeated[place] == (not ends and repeats(row, following))
        if not ends:
            assert rank(following) >= rank(row)


def test_joining_keeps_texts_whose_dictionaries_differ():
    rows = [
        {**row, "region_code": code, "region": code}
        for code in ("76", "11", "94")
        for row in [
            dict.fromkeys(ENTRIES.names, 0)
            | {"quantity": "temperature", "deleted": False, "sensor_id": None}
        ]
    ]
    whole = joined([entries([row]) for row in rows])
    assert whole.column("region_code").to_pylist() == ["76", "11", "94"]
    assert np.asarray(whole.column("version")).tolist() == [0, 0, 0]
