"""The hash table of row numbers: against a plain dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.hash_index import HashIndex

small = st.integers(0, 5)
word = small | st.integers(0, 2**64 - 1) | small.map(lambda number: number << 60)


@settings(max_examples=200)
@given(st.lists(st.tuples(word, word), unique=True, max_size=300), st.data())
def test_it_finds_what_was_put_in(keys, data):
    high, low = (np.array([key[part] for key in keys], np.uint64) for part in (0, 1))
    index, number = HashIndex(), {key: row for row, key in enumerate(keys)}
    cuts = sorted(data.draw(st.lists(st.integers(0, len(keys)), max_size=3)))
    begin = 0
    for end in [*cuts, len(keys)]:
        index.insert(high[:end], low[:end], begin)
        begin = end
    asked = data.draw(st.lists(st.sampled_from(keys), max_size=20) if keys else st.just([]))
    asked += data.draw(st.lists(st.tuples(word, word), max_size=20))
    wanted = [np.array([key[part] for key in asked], np.uint64) for part in (0, 1)]
    for _ in range(2):
        found = index.find(*wanted, high, low)
        assert found.tolist() == [number.get(key, -1) for key in asked]
        index.rebuild(high, low)
