"""The identity of readings: equal where they are the same reading, and only there."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transforms.batches import batch_rows
from transforms.identity import LONG, identities

MOMENT = datetime.datetime(2024, 12, 1, 6, tzinfo=datetime.UTC)
texts = st.one_of(
    st.text(max_size=40),
    st.text("ab\0", max_size=20),
    st.integers(0, 3 * LONG).map(lambda length: "x" * length),
)


def row(**fields):
    return {"event_time": MOMENT, "longitude": 1.5, "latitude": 43.6, "value": 12.0, **fields}


def pairs(rows):
    high, low = identities(batch_rows(rows))
    return list(zip(high.tolist(), low.tolist(), strict=True))


@settings(max_examples=200)
@given(st.lists(texts, min_size=1, max_size=30, unique=True))
@example(["", "\0", "\0\0", "a", "a\0", "a" * 8, "a" * 8 + "\0", "a" * 16, "a" * 17])
def test_ids_are_told_apart_by_their_text_and_by_it_alone(ids):
    together = pairs([row(id=text) for text in ids])
    assert len(set(together)) == len(ids)
    alone = [pairs([row(id=text, value=3.0, longitude=-4.0)])[0] for text in ids]
    assert together == alone


def test_a_text_is_hashed_alike_wherever_its_array_begins():
    batch = batch_rows([row(id=f"station-{number}") for number in range(10)])
    whole = identities(batch)
    part = identities(batch.slice(3, 4))
    assert part[0].tolist() == whole[0][3:7].tolist()
    assert part[1].tolist() == whole[1][3:7].tolist()


def test_quantity_is_part_of_the_identity():
    first, second = pairs([row(id="a", quantity="temperature"), row(id="a", quantity="pressure")])
    assert first != second


def test_without_an_id_place_and_time_are_the_identity():
    rows = [
        row(),
        row(value=99.0),
        row(longitude=1.6),
        row(latitude=43.7),
        row(event_time=MOMENT + datetime.timedelta(seconds=1)),
        row(id=""),
        row(longitude=None),
        row(longitude=0.0),
        row(longitude=-0.0),
    ]
    found = pairs(rows)
    assert found[0] == found[1]
    assert found[7] == found[8]
    assert len(set(found)) == len(rows) - 2


def test_hashes_are_spread_over_all_bits():
    batch = batch_rows([row(id=str(number)) for number in range(20_000)])
    for half in identities(batch):
        bits = np.unpackbits(half.view(np.uint8)).reshape(-1, 64).mean(axis=0)
        assert (np.abs(bits - 0.5) < 0.02).all()


def test_hashes_are_the_same_for_ever():
    """They stand in the index of stores: another hash needs another version of its format."""
    rows = [row(id="7149"), row(id="x" * LONG), row(id="station-0001-0000000042"), row()]
    assert pairs(rows) == [
        (295101718011092191, 9043005243429586323),
        (15258633756638604157, 13383366300842231593),
        (15741217346569786648, 16829851506581350099),
        (11899711537746053868, 11705133576144732731),
    ]


def test_ids_may_have_any_arrow_layout():
    batch = batch_rows([row(id="a"), row(id=None), row(id="b")])
    null_first = pa.RecordBatch.from_arrays(
        [column.take(pa.array([1, 0, 2])) for column in batch.columns], schema=batch.schema
    )
    high, _ = identities(batch)
    assert identities(null_first)[0].tolist() == high[[1, 0, 2]].tolist()
