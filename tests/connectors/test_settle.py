"""The settlement of new entries, against its formula computed one reading at a time."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from store_runs import Reading, entries_of

from connectors.local_store.index import NOTHING, as_indexed
from connectors.local_store.run_entries import in_order
from connectors.local_store.settle import settle
from transforms.versions import joined

rows = st.builds(
    Reading,
    identity=st.integers(0, 3),
    version=st.integers(0, 2),
    minute=st.integers(0, 1),
    value=st.integers(0, 1),
    region=st.sampled_from(["76", "11", None]),
    deleted=st.sampled_from([False, False, True]),
    quantity=st.just("temperature"),
    kind=st.just(3),
    sensor=st.sampled_from([None, "a", "b"]),
)
owned = st.dictionaries(
    st.sampled_from(["run", "other", "third"]), st.lists(rows, min_size=1, max_size=4), max_size=3
)
CONTENT = ("deleted", "event_time", "value_micros", "region_code", "sensor_id")
KEPT = ("version", *CONTENT)


def identity(row):
    return row["identity_high"], row["identity_low"]


def content(row):
    """What windows hold of an entry; None where it is in none."""
    if row["region_code"] is None and row["sensor_id"] is None:
        return None
    return tuple(row[name] for name in CONTENT)


def signed(batch):
    found = Counter()
    for row in batch.to_pylist():
        if content(row) is not None:
            found[content(row)] += row["weight"]
    return Counter({key: weight for key, weight in found.items() if weight})


def greatest(found):
    """The newest of entries, as the order of versions has it."""
    if not found:
        return None
    batch = in_order(joined([as_indexed(one, "x") for one in found]))
    return batch.to_pylist()[0]


def same(one, other):
    return one is not None and other is not None and all(one[name] == other[name] for name in KEPT)


def settled(new, owner, found, *, ended):
    batch = as_indexed(in_order(entries_of(new)), owner)
    entries = [as_indexed(in_order(entries_of(some)), name) for name, some in found.items()]
    all_found = joined(entries) if entries else NOTHING
    places = {identity(row): place for place, row in enumerate(batch.to_pylist())}
    kept = [n for n, row in enumerate(all_found.to_pylist()) if identity(row) in places]
    all_found = all_found.take(pa.array(kept, pa.int64()))
    place = np.array([places[identity(row)] for row in all_found.to_pylist()], np.int64)
    return batch, settle(batch, owner, place, all_found, ended=ended)


@settings(max_examples=400, deadline=None)
@given(st.lists(rows, min_size=1, max_size=5), owned, st.booleans())
def test_the_settlement_is_that_of_the_formula(new, found, stream):
    if not stream:
        found.pop("run", None)
    batch, settlement = settled(new, "run", found, ended=not stream)
    expected, difference, moved = Counter(), Counter(), Counter()
    kept = []
    for row in batch.to_pylist():
        one = entries_of([n for n in new if entry(n) == identity(row)])
        known = [
            entries_of(mine)
            for some in found.values()
            if (mine := [n for n in some if entry(n) == identity(row)])
        ]
        mine = [n for n in found.get("run", []) if entry(n) == identity(row)]
        old, own = greatest(known), greatest([entries_of(mine)] if mine else [])
        newest = greatest([*known, one])
        counted = greatest([one, *([entries_of(mine)] if mine else [])])
        for weight, side in ((1, newest), (-1, old)):
            if side is not None and content(side) is not None:
                expected[content(side)] += weight
                difference[content(side)] += weight
        for weight, side in ((-1, counted), (1, own)):
            if side is not None and content(side) is not None:
                expected[content(side)] += weight
        active = not same(counted, own)
        arrived = active and not same(newest, old)
        if active and not arrived:
            moved["duplicate" if same(row, old) else "superseded"] += 1
            moved[class_of(row)] -= 1
        if arrived if not stream else active:
            kept.append(identity(row))
    total = signed(settlement.left)
    total.update(signed(settlement.displaced))
    total.update(signed(settlement.cancelled))
    assert {k: v for k, v in total.items() if v} == {k: v for k, v in expected.items() if v}
    assert signed(settlement.difference) == Counter({k: v for k, v in difference.items() if v})
    for signed_batch in (settlement.left, settlement.displaced):
        assert set(signed_batch.column("weight").to_pylist()) <= {-1}
    assert [identity(row) for row in settlement.kept.to_pylist()] == kept
    assert settlement.changes == Counter({k: v for k, v in moved.items() if v})


def entry(reading):
    return identity(entries_of([reading]).to_pylist()[0])


def class_of(row):
    if row["deleted"]:
        return "deleted"
    return "counted" if row["region_code"] else "outside"


def left_values(settlement):
    batches = settlement.left, settlement.displaced
    return sorted(itertools.chain(*(b.column("value_micros").to_pylist() for b in batches)))


def test_a_copy_takes_no_extreme_away():
    _, settlement = settled(
        [Reading(1, 1, value=4)], "run", {"a": [Reading(1, 1, value=4)]}, ended=True
    )
    assert left_values(settlement) == []
    assert settlement.cancelled.column("weight").to_pylist() == [-1]
    assert settlement.kept.num_rows == 0


def test_a_newer_version_of_the_same_content_takes_no_extreme_away():
    found = {"a": [Reading(1, 1, value=4)]}
    _, settlement = settled([Reading(1, 2, value=4)], "run", found, ended=True)
    assert left_values(settlement) == []
    assert settlement.cancelled.column("version").to_pylist() == [1]
    assert settlement.difference.num_rows == 0
    assert settlement.kept.column("version").to_pylist() == [2]


def test_what_a_newer_version_replaces_has_left():
    found = {"a": [Reading(1, 1, value=4)]}
    _, settlement = settled([Reading(1, 2, value=8)], "run", found, ended=True)
    assert left_values(settlement) == [1_000_000]


def test_an_older_version_has_left_though_it_never_counted():
    found = {"a": [Reading(1, 2, value=4)]}
    _, settlement = settled([Reading(1, 1, value=8)], "run", found, ended=True)
    assert left_values(settlement) == [2_000_000]
    assert settlement.changes == {"counted": -1, "superseded": 1}


def test_what_a_stream_has_replaced_itself_leaves_by_its_own_rows():
    found = {"run": [Reading(1, 1, value=4)]}
    _, settlement = settled([Reading(1, 2, value=8)], "run", found, ended=False)
    assert left_values(settlement) == []
    assert settlement.cancelled.num_rows == 0
    assert settlement.difference.column("weight").to_pylist() == [1, -1]


def test_a_move_to_another_class_is_taken_back_when_the_stream_has_a_newer_version():
    other = as_indexed(in_order(entries_of([Reading(1, 5)])), "other")
    first = as_indexed(in_order(entries_of([Reading(1, 3)])), "run")
    places = np.zeros(1, np.int64)
    before = settle(first, "run", places, other, ended=False)
    assert before.changes == {"counted": -1, "superseded": 1}
    assert before.kept.column("standing").to_pylist() == [2]
    second = as_indexed(in_order(entries_of([Reading(1, 4)])), "run")
    found = joined([other, before.kept])
    after = settle(second, "run", np.zeros(2, np.int64), found, ended=False)
    # The stream itself has counted its first version as superseded.
    assert after.changes == {}
    third = as_indexed(in_order(entries_of([Reading(1, 6)])), "run")
    found = joined([other, after.kept])
    last = settle(third, "run", np.zeros(2, np.int64), found, ended=False)
    assert last.changes == {"counted": 1, "superseded": -1}
