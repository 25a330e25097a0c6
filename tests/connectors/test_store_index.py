"""The index of entries: look-ups and merges against a plain reading of what they promise."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_runs import Reading, entries_of, few_rows

from connectors.local_store import LocalStore, StoreError, index
from connectors.local_store.index import INDEXED, Index, as_indexed, hash_ranges, write_indexed
from connectors.local_store.index_merge import merge_into_one, merge_segments, useful
from connectors.local_store.mapped import Mapped, Mappings
from connectors.local_store.run_entries import in_order
from transforms.versions import joined

OWNERS = ("a", "b", "running")
_folders = itertools.count()

rows = st.builds(
    Reading,
    identity=st.integers(0, 9),
    version=st.integers(0, 2),
    value=st.integers(0, 1),
    region=st.sampled_from(["76", None]),
    quantity=st.just("temperature"),
    minute=st.just(0),
    deleted=st.just(False),
    kind=st.just(3),
)
segments = st.lists(
    st.tuples(st.sampled_from(OWNERS), st.lists(rows, min_size=1, max_size=8)), max_size=7
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("indexes")


def written(folder, found):
    """The files of segments, and all their rows."""
    files, plain = [], []
    for number, (owner, readings) in enumerate(found):
        batch = as_indexed(in_order(entries_of(readings)), owner)
        files += write_indexed(folder, batch, number)
        plain += batch.to_pylist()
    return files, plain


def identity(row):
    return row["identity_high"], row["identity_low"]


def version(row):
    return row["version"], row["value_micros"], row["region_code"] is not None


def texts(found):
    return sorted(str(row) for row in found)


@settings(max_examples=150, deadline=None)
@given(segments, st.sets(st.integers(0, 12), max_size=8))
@few_rows()
def test_all_entries_of_the_identities_are_found_and_no_others(folder, found, asked):
    folder = folder / str(next(_folders))
    files, plain = written(folder, found)
    wanted = in_order(entries_of([Reading(number, 1) for number in asked]))
    high, low = (np.asarray(wanted.column(name)) for name in INDEXED.names[:2])
    places, entries = Index(folder, files).find(high, low)
    assert entries.schema == INDEXED
    asked_for = {identity(row): place for place, row in enumerate(wanted.to_pylist())}
    got = entries.to_pylist()
    assert [asked_for[identity(row)] for row in got] == places.tolist()
    assert texts(got) == texts(row for row in plain if identity(row) in asked_for)


@settings(max_examples=100, deadline=None)
@given(segments)
@few_rows()
def test_a_merge_keeps_what_can_still_decide_something(folder, found):
    folder = folder / str(next(_folders))
    files, plain = written(folder, found)
    merged, gone = merge_segments(folder, files, {"running"})
    kept = list(itertools.chain(*(Mapped(folder, file).rows.to_pylist() for file in merged)))
    named, left = {file.path for file in merged}, {file.path for file in gone}
    assert {file.path for file in files} - named <= left
    assert not named & left
    best = {}
    for row in plain:
        best[identity(row)] = max(best.get(identity(row), (-1,)), version(row))
        if row["owner"] == "running":
            key = identity(row), "running"
            best[key] = max(best.get(key, (-1,)), version(row))
    still = {}
    for row in kept:
        still[identity(row)] = max(still.get(identity(row), (-1,)), version(row))
        if row["owner"] == "running":
            key = identity(row), "running"
            still[key] = max(still.get(key, (-1,)), version(row))
    assert still == best
    assert set(texts(kept)) <= set(texts(plain))
    tiers = [file.segment for file in merged]
    assert len(set(tiers)) <= 2 * (1 + len(plain).bit_length())


@settings(max_examples=60, deadline=None)
@given(segments.filter(bool))
@few_rows()
def test_one_segment_has_each_reading_once_unless_a_run_may_bring_more(folder, found):
    folder = folder / str(next(_folders))
    files, plain = written(folder, found)
    merged = merge_into_one(folder, files, 5, set())
    whole = joined([Mapped(folder, file).rows for file in merged])
    keys = [identity(row) for row in whole.to_pylist()]
    assert keys == sorted({identity(row) for row in plain})
    assert {file.segment for file in merged} == {5}
    assert all(file.rows <= 4 for file in merged)
    assert [(file.low, file.high) for file in merged] == [
        (keys[0][0], keys[-1][0])
        for batch in (Mapped(folder, file).rows for file in merged)
        for keys in [[identity(row) for row in batch.to_pylist()]]
    ]


def test_of_a_running_run_only_the_newest_entry_is_kept():
    batches = [
        as_indexed(entries_of([Reading(1, version)]), owner)
        for owner, version in (("r", 1), ("r", 2), ("s", 1), ("ended", 3), ("ended", 2))
    ]
    kept = useful(joined(batches), {"r", "s"}).to_pylist()
    assert sorted((row["owner"], row["version"]) for row in kept) == [
        ("ended", 3),
        ("r", 2),
        ("s", 1),
    ]


def test_ranges_of_hashes_cover_all_of_them_once():
    for count in (0, 1, 10**6, 10**8):
        ranges = list(hash_ranges(count))
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 2**64 - 1
        assert all(one[1] + 1 == other[0] for one, other in itertools.pairwise(ranges))
        assert len(ranges) >= count / index.RANGE_ROWS


def test_a_file_says_which_hashes_and_times_it_holds(tmp_path):
    store = LocalStore(tmp_path)
    readings = [Reading(2, 1, minute=5), Reading(4, 1, minute=-5), Reading(6, 1, deleted=True)]
    (file,) = store.write_entries([entries_of([row]) for row in readings], "run")
    rows = Mapped(tmp_path, file).rows
    highs = sorted(entries_of(readings).column("identity_high").to_pylist())
    assert (file.low, file.high, file.rows) == (highs[0], highs[-1], 3)
    assert (file.last - file.first) == 10 * 60 * 10**6
    assert rows.column("owner").to_pylist() == ["run"] * 3
    assert rows.column("standing").to_pylist() == [0] * 3
    (gone,) = store.write_entries([entries_of([readings[2]])], "run")
    assert (gone.first, gone.last) == (None, None)


def test_entries_are_put_in_order_and_each_reading_is_kept_once(tmp_path):
    store = LocalStore(tmp_path)
    readings = [Reading(number % 5, number) for number in range(9)]
    (file,) = store.write_entries([entries_of(readings[:4]), entries_of(readings[4:])], "run")
    rows = Mapped(tmp_path, file).rows
    keys = [identity(row) for row in rows.to_pylist()]
    assert keys == sorted(keys)
    assert sorted(rows.column("version").to_pylist()) == [4, 5, 6, 7, 8]
    assert store.write_entries([], "run") == []
    assert store.write_entries([entries_of([])], "run") == []


def test_a_damaged_file_is_named(tmp_path):
    store = LocalStore(tmp_path)
    (file,) = store.write_entries([entries_of([Reading(1, 1)])], "run")
    path = tmp_path / file.path
    path.write_bytes(bytes(file.bytes))
    with pytest.raises(StoreError, match=rf"{file.sha256}\.arrow of the store is damaged"):
        Mapped(tmp_path, file)
    path.unlink()
    with pytest.raises(StoreError, match="is gone or unreadable"):
        Mapped(tmp_path, file)


def test_more_texts_than_one_file_has_are_told_apart(tmp_path):
    found = [
        ("a", [Reading(1, 1, region="76")]),
        ("b", [Reading(2, 1, region="11"), Reading(3, 1, region=None)]),
    ]
    files, _ = written(tmp_path, found)
    wanted = in_order(entries_of([Reading(number, 1) for number in (1, 2, 3)]))
    _, entries = Index(tmp_path, files).find(
        np.asarray(wanted.column("identity_high")), np.asarray(wanted.column("identity_low"))
    )
    got = {(row["owner"], row["region_code"], row["region"]) for row in entries.to_pylist()}
    assert got == {("a", "76", "Occitanie"), ("b", "11", "Île-de-France"), ("b", None, None)}
    assert pa.types.is_dictionary(entries.schema.field("owner").type)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 2**64), (2**63, 2**63 + 10**9), (7, 8), (2**64 - 9, 2**64)]
)
def test_a_sieve_lets_all_through_that_the_file_holds_and_little_else(tmp_path, low, high):
    draw = np.random.default_rng(3)
    hashes = np.sort(draw.integers(low, high, 5000, dtype=np.uint64, endpoint=False))
    rows = as_indexed(entries_of([Reading(1, 1)]), "a").take(pa.array(np.zeros(5000, np.int64)))
    columns = {name: rows.column(name) for name in INDEXED.names}
    columns["identity_high"], columns["identity_low"] = pa.array(hashes), pa.array(hashes)
    rows = pa.RecordBatch.from_arrays([*columns.values()], schema=INDEXED)
    (file,) = write_indexed(tmp_path, rows)
    mapped = Mapped(tmp_path, file)
    others = draw.integers(0, 2**64, 5000, dtype=np.uint64)
    asked = np.sort(np.concatenate([hashes[::7], others, np.uint64([0, 2**64 - 1])]))
    few = np.sort(draw.choice(asked, 50))
    plain = [mapped.matches(few, few)]
    assert "_sieve" not in vars(mapped)
    found = mapped.matches(asked, asked)
    assert "_sieve" in vars(mapped)
    plain.append(mapped.matches(few, few))
    for one, other in zip(*plain, strict=True):
        assert one.tolist() == other.tolist()
    wanted = {(place, row) for place in range(len(asked)) for row in range_of(hashes, asked[place])}
    assert set(zip(*(each.tolist() for each in found), strict=True)) == wanted
    within = np.sort(others[(others >= hashes[0]) & (others <= hashes[-1])])
    assert len(mapped._may_hold(within)) <= 0.2 * len(within)


def range_of(hashes, one):
    return range(*(int(np.searchsorted(hashes, one, side)) for side in ("left", "right")))


def test_files_stay_mapped_while_they_are_in_use(tmp_path):
    files = [
        file
        for number in range(3)
        for file in write_indexed(
            tmp_path, as_indexed(in_order(entries_of([Reading(number, 1)])), "a"), number
        )
    ]
    mappings = Mappings()
    first = [mappings.of(tmp_path, file) for file in files]
    mappings.keep(files[1:])
    assert [mappings.of(tmp_path, file) is one for file, one in zip(files, first, strict=True)] == [
        *(False, True, True)
    ]
    (tmp_path / files[2].path).unlink()
    with pytest.raises(StoreError, match="is gone or unreadable"):
        mappings.of(tmp_path, files[2])
