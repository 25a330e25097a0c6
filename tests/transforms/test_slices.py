"""Partial statistics by slice: the same rows however the readings were batched."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.readings import CODES, NAMES, placed_batch
from transforms import slices
from transforms.slices import KEY, SliceAccumulator, group_sorted, merge_partials, partial_schema
from transforms.statistics import STATISTICS

ALL = [make() for make in STATISTICS.values()]
readings = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 1, 2]),
        st.sampled_from(["temperature", "humidity"]),
        st.one_of(
            st.integers(-4 * 10**9, 4 * 10**9), st.integers(-62_000 * 10**12, 250_000 * 10**12)
        ),
        st.integers(-(10**15), 10**15),
    ),
    max_size=40,
)


def partial_rows(accumulated):
    """Rows of partials by key and slice, with the shard each is in."""
    rows = {}
    for shard, batch in accumulated:
        assert batch.schema == partial_schema(ALL)
        for row in batch.to_pylist():
            key = tuple(row.pop(name) for name in (*KEY, "slice"))
            assert key not in rows
            rows[key] = (shard, row)
    return rows


def accumulated(batches, shards=4, seconds=300):
    accumulator = SliceAccumulator(seconds, ALL)
    for batch in batches:
        accumulator.add(placed_batch(batch))
    rows = partial_rows(accumulator.flush(shards))
    assert accumulator.flush(shards) == []
    return rows


def test_a_reading_without_weight_leaves_its_slice_and_nothing_in_it():
    """Merged with others it changes nothing."""
    batch = placed_batch([(0, "temperature", 0, 5), (1, "temperature", 0, 7)])
    weighted = batch.append_column("weight", pa.array([0, 1], pa.int8()))
    touching = batch.append_column("weight", pa.array([0, 0], pa.int8()))
    one, both = SliceAccumulator(300, ALL), SliceAccumulator(300, ALL)
    one.add(weighted.slice(1))
    both.add(weighted)
    both.add(touching)
    ((_, alone),), ((_, found),) = one.flush(1), both.flush(1)
    assert sorted(found.column("count").to_pylist()) == [0, 1]
    held = found.filter(pc.not_equal(found.column("count"), 0))
    assert partial_rows([(0, held)]) == partial_rows([(0, alone)])


@settings(max_examples=60)
@given(readings, st.data())
def test_partials_do_not_depend_on_order_or_batches(found, data):
    whole = accumulated([found])
    shuffled = data.draw(st.permutations(found))
    cut = data.draw(st.integers(0, len(found)))
    parts = accumulated([shuffled[:cut], shuffled[cut:]])
    assert whole == parts
    expected = {
        (CODES[number], NAMES[number], None, quantity, micros // 300_000_000)
        for number, quantity, micros, _ in found
        if number is not None
    }
    assert whole.keys() == expected


@settings(max_examples=40)
@given(readings)
def test_memory_is_bounded_by_merging_now_and_then(found):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "COMPACT_FROM", 3)
        often = accumulated([[reading] for reading in found])
    once = accumulated([found])
    assert often == once


def test_partials_that_are_held_do_not_grow_with_the_readings():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "COMPACT_FROM", 100)
        accumulator = SliceAccumulator(300, ALL)
        batch = placed_batch([(1, "temperature", micros * 10**6, 5) for micros in range(3000)])
        held = []
        for _ in range(200):
            accumulator.add(batch)
            held.append(sum(len(piece["key"]) for piece in accumulator._pieces))
    assert max(held) <= 100 + 2 * 10


def test_a_key_has_one_shard_in_every_bundle():
    found = [(number, "temperature", 0, 1) for number in range(3)]
    first = accumulated([found], shards=7)
    second = accumulated([found[2:], found[:2]], shards=7)
    for key, (shard, _) in first.items():
        assert (
            second[key][0]
            == shard
            == zlib.crc32("\0".join(part or "" for part in key[:4]).encode()) % 7
        )


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.one_of(st.integers(-5, 5), st.integers(-(2**40), 2**40)),
            st.integers(-9, 9),
        ),
        min_size=1,
        max_size=50,
    )
)
def test_groups_come_in_the_order_of_key_and_slice_whatever_the_span(found):
    keys, numbers, values = (np.array(column, np.int64) for column in zip(*found, strict=True))
    piece = group_sorted(keys, numbers, values, ALL)
    pairs = list(zip(piece["key"].tolist(), piece["slice"].tolist(), strict=True))
    assert pairs == sorted({(key, number) for key, number, _ in found})
    again = merge_partials(piece, ALL)
    assert {name: column.tolist() for name, column in again.items()} == {
        name: column.tolist() for name, column in piece.items()
    }
