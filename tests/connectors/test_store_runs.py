"""Any mix of runs gives the views of one run over the union of their readings."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_runs import (
    NOON,
    WINDOWS,
    Reading,
    Stream,
    batch,
    few_rows,
    prepared,
    shown,
)

from connectors.local_store import LocalStore
from tests.support.plain_means import plain_means
from transforms.windows import SlidingWindow

QUARTERS = SlidingWindow(900, 300)
_folders = itertools.count()

readings = st.builds(
    Reading,
    identity=st.integers(0, 7),
    version=st.integers(0, 2),
    minute=st.one_of(st.integers(-100, 300), st.sampled_from([-60, 0, 59, 60, 90])),
    value=st.integers(-4, 4),
    region=st.sampled_from(["76", "76", "11", None]),
    deleted=st.sampled_from([False, False, False, True]),
    kind=st.sampled_from([3, 3, 0]),
    quantity=st.just("temperature"),
    sensor=st.sampled_from([None, None, "a", "b"]),
)
kinds_of_windows = st.sampled_from(
    [WINDOWS, WINDOWS, WINDOWS[:1], (QUARTERS,), (*WINDOWS, QUARTERS)]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


def new_store(folder):
    return LocalStore(folder / str(next(_folders)))


def newest_of(found):
    """The newest version of each reading, one at a time."""
    best = {}
    for reading in found:
        content = (reading.minute, reading.value, reading.sensor is not None, reading.sensor or "")
        if reading.deleted:
            content = (-(10**9), 0, False, "")
        rank = reading.kind, reading.version, reading.deleted, content
        known = best.get(reading.identity)
        if known is None or rank > known[0]:
            best[reading.identity] = rank, reading
    return [reading for _, reading in best.values()]


def plainly(found, windows):
    """Count, mean, min and max of all windows, in plain Python."""
    placed = [
        (
            owner,
            reading.quantity,
            int(NOON.timestamp() + reading.minute * 60) * 10**6,
            reading.value * 250_000,
        )
        for reading in newest_of(found)
        for owner in (reading.region, reading.sensor)
        if owner and not reading.deleted
    ]
    return {
        key: tuple(row[name] for name in ("count", "mean", "min", "max"))
        for key, row in plain_means(placed, [(w.size, w.period) for w in windows]).items()
    }


def plain_rows(rows):
    """Shown rows as `plainly` gives them."""
    return {
        (
            row["region_code"] or row["sensor_id"],
            row["quantity"],
            int(row["window_start"].timestamp()),
            row["window_size"],
            row["window_period"],
        ): tuple(row[name] for name in ("count", "mean", "min", "max"))
        for row in rows
    }


def unambiguous(found):
    """Without readings whose region alone tells them apart: which of them wins is not said."""
    regions = {}
    kept = []
    for reading in found:
        key = reading._replace(region=None, sensor=None)
        if regions.setdefault(key, reading.region) == reading.region:
            kept.append(reading)
    return kept


def as_one(folder, found, windows=WINDOWS):
    store = new_store(folder)
    batch(store, "one", found, windows)
    return shown(store)


@settings(max_examples=150, deadline=None)
@given(st.data())
@few_rows()
def test_batches_in_any_order_equal_one_over_their_union(folder, data):
    pool = unambiguous(data.draw(st.lists(readings, min_size=1, max_size=16)))
    some = st.lists(st.sampled_from(pool), max_size=8) if pool else st.just([])
    runs = data.draw(st.lists(some, min_size=1, max_size=5))
    store = new_store(folder)
    pending = None
    for number, found in enumerate(runs):
        windows, files = data.draw(kinds_of_windows), data.draw(st.integers(1, 3))
        made = prepared(store, f"run-{number}", found, windows, files)
        if pending is not None:
            # It was prepared before the one that is committed first.
            store.commit(*made)
            store.commit(*pending)
            pending = None
        elif data.draw(st.booleans()):
            pending = made
        else:
            store.commit(*made)
        if data.draw(st.integers(0, 3)) == 0:
            batch(store, f"again-{number}", found)
        if pending is None:
            before = store.manifest()
            store.commit(*made)
            assert store.manifest() == before
    if pending is not None:
        store.commit(*pending)
    union = [reading for found in runs for reading in found]
    rows = shown(store)
    assert rows == as_one(folder, union, store.families())
    assert plain_rows(rows) == plainly(union, store.families())
    store.verify()


def without_extremes(rows):
    return [{k: v for k, v in row.items() if k not in {"min", "max"}} for row in rows]


def assert_known_or_null(rows, expected):
    """Extremes are right or NULL; all else is right."""
    assert without_extremes(rows) == without_extremes(expected)
    for row, right in zip(rows, expected, strict=True):
        for name in ("min", "max"):
            assert row[name] in (None, right[name]), row


@settings(max_examples=200, deadline=None)
@given(st.data())
@few_rows()
def test_streams_and_batches_in_any_mix_equal_one_run_over_their_union(folder, data):
    pool = unambiguous(data.draw(st.lists(readings, min_size=1, max_size=14)))
    some = st.lists(st.sampled_from(pool), min_size=1, max_size=5)
    store = new_store(folder)
    names = data.draw(st.sampled_from([["s"], ["s", "t"]]))
    streams = [Stream(store, name, data.draw(kinds_of_windows)) for name in names]
    union, committed = [], []
    for number in range(data.draw(st.integers(1, 7))):
        stream = data.draw(st.sampled_from(streams))
        step = data.draw(st.sampled_from(["read", "read", "pane", "commit", "batch", "replay"]))
        if step == "batch":
            found = data.draw(some)
            union += found
            batch(store, f"run-{number}", found, data.draw(kinds_of_windows))
        elif step == "read":
            found = data.draw(some)
            union += found
            stream.left += stream.read(found)
        elif step == "pane":
            stream.left += stream.pane()
        elif step == "commit":
            files = data.draw(st.permutations(stream.left))
            cut = data.draw(st.integers(0, len(files)))
            stream.commit(files[:cut])
            committed.append((stream, files[:cut]))
            stream.left = files[cut:]
        elif committed:
            earlier, files = data.draw(st.sampled_from(committed))
            before = shown(store)
            earlier.commit(files)
            assert shown(store) == before
    # One that ended yesterday does not come back.
    ended = data.draw(st.sampled_from([None, NOON]))
    for stream in streams:
        stream.commit([*stream.left, *stream.pane("on_time")], finished=True, at=ended)
    families = store.families()
    assert_known_or_null(shown(store), as_one(folder, union, families))
    # A batch repairs the windows that it touches.
    batch(store, "last", union, families)
    assert shown(store) == as_one(folder, union, families)
    anew = [reading._replace(version=9, kind=3) for reading in newest_of(union)]
    batch(store, "anew", anew, families)
    assert shown(store) == as_one(folder, union, families)
    store.verify()


@settings(max_examples=60, deadline=None)
@given(st.data())
@few_rows()
def test_where_panes_come_with_their_readings_the_views_are_right_all_the_time(folder, data):
    pool = unambiguous(data.draw(st.lists(readings, min_size=1, max_size=14)))
    store = new_store(folder)
    streams = [Stream(store, name) for name in "st"]
    union = []
    for number in range(data.draw(st.integers(1, 6))):
        found = data.draw(st.lists(st.sampled_from(pool), min_size=1, max_size=5))
        union += found
        stream = data.draw(st.sampled_from([None, *streams]))
        if stream is None:
            batch(store, f"run-{number}", found)
        else:
            stream.commit([*stream.read(found), *stream.pane()])
        assert_known_or_null(shown(store), as_one(folder, union))
