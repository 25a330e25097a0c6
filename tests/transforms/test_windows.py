"""Windows: how they are written, and which of them hold a slice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.windows import (
    HOURLY,
    SLIDING,
    SlidingWindow,
    parse_window,
    slice_seconds,
    windows_over,
)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("hourly", HOURLY),
        ("sliding", SLIDING),
        ("60m/5m", SLIDING),
        ("1h", HOURLY),
        ("1h/1h", HOURLY),
        ("3600s", HOURLY),
        ("15m/5m", SlidingWindow(900, 300)),
        ("10s", SlidingWindow(10, 10)),
        ("1d/1h", SlidingWindow(86_400, 3600)),
        ("7m/3m", SlidingWindow(420, 180)),
        ("366d", SlidingWindow(366 * 86_400, 366 * 86_400)),
    ],
)
def test_a_window_is_written_in_these_ways(text, window):
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    ["", "daily", "Hourly", "5", "5x", "m", "-5m", "5m/", "/5m", "5m/5m/5m", "1.5h", " 5m", "5m ",
     "٥m", "1h30m", "9999999999m", "hourly/5m"],
)  # fmt: skip
def test_what_is_no_window_is_refused_in_one_sentence(text):
    with pytest.raises(
        ValueError, match=r"^unknown window .*: write hourly, sliding, or "
    ) as error:
        parse_window(text)
    assert repr(text) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["0m", "5m/0m", "5m/15m", "367d", "999999999d/999999999d"])
def test_a_window_that_cannot_be_is_refused_in_one_sentence(text):
    with pytest.raises(ValueError, match=r"^a window of \d+ s every \d+ s cannot be: "):
        parse_window(text)


def test_windows_that_overlap_too_often_are_refused():
    with pytest.raises(ValueError, match="at most 10,000 can be"):
        parse_window("366d/1s")


def test_a_slice_fits_into_all_windows():
    assert slice_seconds([HOURLY, SLIDING]) == 300
    assert slice_seconds([HOURLY]) == 3600
    assert slice_seconds([SlidingWindow(420, 180)]) == 60
    assert slice_seconds([SlidingWindow(7, 3), HOURLY]) == 1


slices_by_key = st.dictionaries(
    st.integers(0, 4),
    st.sets(st.one_of(st.integers(-40, 40), st.integers(-(10**9), 10**9)), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
)


def rows(by_key):
    ordered = [(key, number) for key in sorted(by_key) for number in sorted(by_key[key])]
    return (np.array(column, np.int64) for column in zip(*ordered, strict=True))


@settings(max_examples=300)
@given(slices_by_key, st.integers(1, 30), st.data())
def test_windows_are_those_that_hold_a_slice(by_key, size, data):
    period = data.draw(st.integers(1, size))
    keys, slices = rows(by_key)
    found_keys, starts, begin, end = windows_over(keys, slices, size, period)
    expected = sorted(
        {
            (key, number // period * period - back * period)
            for key, numbers in by_key.items()
            for number in numbers
            for back in range(size // period + 1)
            if number // period * period - back * period > number - size
        }
    )
    assert list(zip(found_keys.tolist(), starts.tolist(), strict=True)) == expected
    for key, start, first, last in zip(found_keys, starts, begin, end, strict=True):
        held = [
            row
            for row in range(len(keys))
            if keys[row] == key and start <= slices[row] < start + size
        ]
        assert held == list(range(first, last))
        assert held


def test_cost_follows_slices_and_windows_not_how_many_windows_overlap():
    # Two slices far apart give the windows of two slices, not all those between them; and slices
    # next to one another share their windows.
    size = 12
    lone = windows_over(np.zeros(2, np.int64), np.array([0, 10**12]), size, 1)
    assert [len(column) for column in lone] == [2 * size] * 4
    for count in (100, 1000):
        dense = windows_over(np.zeros(count, np.int64), np.arange(count), size, 1)
        assert len(dense[0]) == count + size - 1
