"""When the readings behind a row arrived, from the batch to the row."""

from __future__ import annotations

import time

import pyarrow as pa

from schemas.reading import VersionKind
from tests.support.streams import at, deletion, reading
from transforms.arrivals import UNKNOWN, Waits, oldest_arrival
from transforms.balance import Tallies
from transforms.batches import batch_rows
from transforms.latest_in_stream import with_weights
from transforms.measures import LATENCY
from transforms.versions import entries_of


def micros(minutes):
    return round(at(minutes).timestamp() * 1_000_000)


def test_placed_readings_say_it_themselves():
    rows = [reading("a", 1, 1, arrived=9), reading("b", 1, 1, arrived=7), reading("c", 1, 1)]
    assert oldest_arrival(batch_rows(rows)) == micros(1)
    assert oldest_arrival(batch_rows(rows[:2])) == micros(7)
    assert oldest_arrival(batch_rows([reading("a", 1, 1, arrived=None)])) == UNKNOWN


def entries(rows, taken=0):
    batch = batch_rows(rows)
    for name in ("region_code", "region"):
        empty = pa.array([None] * batch.num_rows, pa.dictionary(pa.int8(), pa.string()))
        batch = batch.append_column(name, empty)
    return with_weights(entries_of(batch), len(rows) - taken, taken)


def test_entries_say_it_where_their_version_is_their_arrival():
    arrived = {"version_kind": int(VersionKind.ARRIVAL)}
    rows = [
        reading("a", 1, 1, version=micros(5), **arrived),
        reading("b", 1, 1, version=3, version_kind=int(VersionKind.VERSION)),
        reading("c", 1, 1, version=micros(2), **arrived),
    ]
    assert oldest_arrival(entries(rows)) == micros(2)
    # What is taken away arrived long ago.
    assert oldest_arrival(entries(rows, taken=1)) == micros(5)
    assert oldest_arrival(entries([rows[1]])) == UNKNOWN


def test_other_batches_say_nothing():
    assert oldest_arrival(pa.RecordBatch.from_pydict({"value": [1]})) == UNKNOWN
    assert oldest_arrival(batch_rows([deletion("a", arrived=None)])) == UNKNOWN


def test_waits_are_observed_once_a_bundle():
    tallies, waits = Tallies(), Waits()
    waits.observe()
    assert tallies.names_in(LATENCY) == {}
    waits.add([UNKNOWN, time.time_ns() // 1000 - 90_000_000])
    waits.observe()
    waits.observe()
    found = tallies.names_in(LATENCY)
    assert found["arrival_to_result_le_inf"] == 1
    assert found["arrival_to_result_le_300000"] == 1
    assert "arrival_to_result_le_60000" not in found
    assert 90_000 <= found["arrival_to_result_sum"] < 300_000
