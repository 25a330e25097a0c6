"""Numbered rows in segments: against a plain dictionary, in memory and on disk."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import row_log
from transforms.packed_rows import ROW
from transforms.row_log import RowLog


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    monkeypatch.setattr(row_log, "BITS", 2)
    monkeypatch.setattr(row_log, "SEGMENTS", 2)


def rows_of(pairs):
    rows = np.zeros(len(pairs), ROW)
    rows["value"], rows["arrival"] = zip(*pairs, strict=True) if pairs else ((), ())
    rows["high"], rows["low"] = rows["value"], rows["value"] + 1
    return rows


def pairs_of(rows):
    return list(zip(rows["value"].tolist(), rows["arrival"].tolist(), strict=True))


some = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20)), max_size=9)


@settings(max_examples=300)
@given(st.lists(some | st.integers(0, 20), max_size=12), st.randoms())
def test_rows_have_their_numbers_until_they_are_forgotten(events, chance):
    log, model = RowLog(), {}
    for event in events:
        if isinstance(event, int):
            young = pairs_of(log.forget(event))
            gone = [number for number in model if not log.has(np.array([number]))[0]]
            # All that is older went, or lies beside something that came later; nothing else did.
            assert sorted(young) == sorted(model[at] for at in gone if model[at][1] > event)
            for number in gone:
                del model[number]
            assert log.first == min((number & ~3 for number in model), default=log.end)
        else:
            first = log.append(rows_of(event))
            assert log.end == first + len(event)
            model |= dict(enumerate(event, first))
            changed = chance.sample(sorted(model), min(len(model), 3))
            new = [(chance.randrange(99), model[number][1] + 1) for number in changed]
            log.put(np.array(changed, np.int64), rows_of(new))
            model |= dict(zip(changed, new, strict=True))
        asked = chance.choices(sorted(model), k=10) if model else []
        assert pairs_of(log.take(np.array(asked, np.int64))) == [model[each] for each in asked]
        high, low = log.keys_of(np.array(asked, np.int64))
        assert (low == high + 1).all()
        assert [pair for rows in log.all() for pair in pairs_of(rows)] == list(model.values())
        assert len(log) == len(model)
        arrivals = [arrival for _, arrival in model.values() if arrival > 5]
        bound = log.earliest(5)
        assert (bound is None) == (not arrivals)
        assert not arrivals or 5 < bound <= min(arrivals)


def test_a_gap_between_arrivals_is_seen_within_a_segment():
    log = RowLog()
    log.append(rows_of([(1, 10), (2, 1000)]))
    assert log.earliest(5) == 10
    assert log.earliest(10) == 1000
    assert log.earliest(1000) is None


def test_what_is_full_lies_on_disk_and_can_be_changed():
    log = RowLog()
    log.append(rows_of([(number, 0) for number in range(18)]))
    owners = [owner_of(rows) for rows in log.all()]
    assert [isinstance(each, mmap.mmap) for each in owners] == [True] * 4 + [False]
    # Two segments are in one file.
    assert len({id(each) for each in owners[:4]}) == 2
    log.put(np.array([1, 17]), rows_of([(50, 1), (51, 1)]))
    assert pairs_of(log.take(np.array([17, 1, 0, 4]))) == [(51, 1), (50, 1), (0, 0), (4, 0)]
    assert 2 * ROW.itemsize <= log.nbytes <= 4 * ROW.itemsize


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc here")
def test_files_are_gone_with_their_segments():
    before, log = open_files(), RowLog()
    for second in range(50):
        log.append(rows_of([(number, second) for number in range(8)]))
        log.forget(second - 5)
        assert open_files() <= before + 10
    log.forget(50)
    assert len(log) == 0
    assert open_files() <= before + 2


def owner_of(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


def test_where_no_file_can_be_written_rows_stay_in_memory(monkeypatch, caplog):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    row_log._warn.cache_clear()
    log = RowLog()
    log.append(rows_of([(number, 0) for number in range(10)]))
    assert pairs_of(log.take(np.arange(10))) == [(number, 0) for number in range(10)]
    (record,) = caplog.records
    assert record.message.endswith("No space left on device")
    assert record.message.startswith("versions stay in memory: ")
