"""The hash table of row numbers: against a plain dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import hash_index
from transforms.hash_index import ArrayKeys, HashIndex

small = st.integers(0, 5)
word = small | st.integers(0, 2**64 - 1) | small.map(lambda number: number << 60)


class Rows(ArrayKeys):
    """Of which the first are gone; counts those whose keys are read."""

    def __init__(self, high, low, first=0):
        super().__init__(high, low, first)
        object.__setattr__(self, "read", [])

    def keys_of(self, numbers):
        assert (numbers >= self.first).all()
        self.read.extend(numbers.tolist())
        return super().keys_of(numbers)

    def has(self, numbers):
        return numbers >= self.first


@pytest.mark.parametrize("at_once", [0, hash_index.AT_ONCE])
@settings(max_examples=200)
@given(st.lists(st.tuples(word, word), unique=True, max_size=300), st.data())
def test_it_finds_what_was_put_in(at_once, keys, data):
    high, low = (np.array([key[part] for key in keys], np.uint64) for part in (0, 1))
    index, first, begin = HashIndex(), 0, 0
    cuts = sorted(data.draw(st.lists(st.integers(0, len(keys)), max_size=5)))
    with pytest.MonkeyPatch.context() as patch:
        if not at_once:
            # Each row moves by itself, also where there are few.
            patch.setattr(hash_index, "SMALLEST", 2)
            patch.setattr(hash_index, "_moves_at_once", lambda _: False)
        for end in [*cuts, len(keys)]:
            index.insert(high[begin:end], low[begin:end], begin, Rows(high, low, first))
            first, begin = data.draw(st.integers(first, end)), end
        asked = data.draw(st.lists(st.sampled_from(keys), max_size=20) if keys else st.just([]))
        asked += data.draw(st.lists(st.tuples(word, word), max_size=20))
        wanted = [np.array([key[part] for key in asked], np.uint64) for part in (0, 1)]
        number = {key: row for row, key in enumerate(keys) if row >= first}
        found = index.find(*wanted, Rows(high, low, first))
        assert found.tolist() == [number.get(key, -1) for key in asked]


def chance_keys(count, seed=1):
    chance = np.random.default_rng(seed)
    return [chance.integers(0, 2**64, count, dtype=np.uint64) for _ in range(2)]


def test_keys_that_are_not_there_are_not_looked_up_in_the_rows():
    keys = Rows(*chance_keys(100_000))
    index = HashIndex()
    index.insert(keys.high, keys.low, 0, keys)
    keys.read.clear()
    found = index.find(*chance_keys(50_000, seed=2), keys)
    assert (found < 0).all()
    # One in 65,536 of the places on the way has the same bits by chance.
    assert len(keys.read) < 20


def test_a_large_table_is_replaced_by_and_by():
    keys, step = Rows(*chance_keys(700_000)), 1000
    index, sizes, moved = HashIndex(), [], []
    for begin in range(0, 700_000, step):
        keys.read.clear()
        some = slice(begin, begin + step)
        index.insert(keys.high[some], keys.low[some], begin, keys)
        sizes.append(index.nbytes)
        moved.append(len(keys.read))
        if begin % 50_000 == 0:
            asked = np.arange(0, begin + step, 7)
            assert (index.find(keys.high[asked], keys.low[asked], keys) == asked).all()
    # While a table is replaced there are two; no step moves many rows.
    assert max(moved[200:]) == hash_index.PACE * step
    assert sizes[-1] < max(sizes)
    asked = np.arange(700_000)
    assert (index.find(keys.high, keys.low, keys) == asked).all()


def test_rows_that_are_gone_leave_room():
    """As many come as go: the table stays as it is."""
    keys, step = chance_keys(1_000_000), 10_000
    index, sizes = HashIndex(), set()
    for begin in range(0, 1_000_000, step):
        rows, some = Rows(*keys, max(0, begin - 100_000)), slice(begin, begin + step)
        index.insert(keys[0][some], keys[1][some], begin, rows)
        if begin > 400_000:
            sizes.add(index.nbytes)
    assert max(sizes) <= 2 * min(sizes)
    rows = Rows(*keys, 900_000)
    found = index.find(keys[0][-200_000:], keys[1][-200_000:], rows)
    assert (found[:100_000] == -1).all()
    assert (found[100_000:] == np.arange(900_000, 1_000_000)).all()
