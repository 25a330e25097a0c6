"""Numbers: the nearest double, whole millionths with ties to even, and nothing but numbers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fast_parser import spans_of
from tests.support.reference_parser import float_of, micros_of
from transforms.numbers import float_to_micros, parse_numbers

TOO_LARGE = 9.2e12  # of the unit: its millionths leave 64 bits

texts_of_numbers = st.one_of(
    st.floats().map(repr),
    st.floats(-1e9, 1e9).map(repr),
    st.floats(-1e3, 1e3).map(lambda value: f"{value:.7f}"),
    st.integers(-(10**25), 10**25).map(str),
    st.decimals(-(10**9), 10**9, places=7).map(lambda value: f"{value:f}"),
    st.from_regex(r"[-+]?[0-9]{0,20}\.?[0-9]{0,20}", fullmatch=True),
    st.from_regex(r"[-+]?[0-9]{0,9}\.?[0-9]{0,9}([eE][-+]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[ \t\n]?[-+]?([0-9.]+|nan|inf|INFINITY|NaN)[ \t]?", fullmatch=True),
    st.text("0123456789.-+eE _xnaif,", max_size=24),
)


def is_json_number(text):
    """A number as JSON writes it, and no constant."""
    try:
        json.loads(f"[{text}]", parse_constant=int)
    except ValueError:
        return False
    return text == text.strip() and text[:1] in "-0123456789" and "," not in text


@settings(max_examples=150)
@given(st.lists(texts_of_numbers, min_size=1, max_size=30))
def test_every_text_is_read_as_python_reads_it(texts):
    read = parse_numbers(spans_of([text.encode() for text in texts]))
    for row, text in enumerate(texts):
        expected = float_of(text)
        assert read.is_number[row] == (expected is not None), text
        if expected is None or math.isnan(expected) or math.isinf(expected):
            assert not math.isfinite(read.values[row]), text
            continue
        assert repr(float(read.values[row])) == repr(expected + 0.0), text
        if abs(expected) < TOO_LARGE:
            assert read.micros[row] == micros_of(expected), text


@settings(max_examples=60)
@given(st.lists(texts_of_numbers, min_size=1, max_size=30))
def test_what_is_called_json_is_json(texts):
    read = parse_numbers(spans_of([text.encode() for text in texts]))
    for row, text in enumerate(texts):
        if read.is_json[row]:
            assert is_json_number(text), text


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("0.0000025", 2),
        ("-0.0000005", 0),
        ("-0.0000015", -2),
        ("2.0000005", 2_000_000),
        ("2.0000015", 2_000_002),
        ("2.00000050000001", 2_000_001),
        ("5e-7", 0),
        ("15e-7", 2),
        ("999999999.9999995", 10**15),
        ("-0", 0),
        ("1e9", 10**15),
        ("12.345678901234567", 12_345_679),
    ],
)
def test_a_tie_at_the_last_digit_goes_to_the_even_one(text, micros):
    assert parse_numbers(spans_of([text.encode()])).micros.tolist() == [micros]


def test_minus_zero_is_zero():
    for text in (b"-0", b"-0.0", b"-0e5", b"-0.00000000000000000000"):
        value = parse_numbers(spans_of([text])).values[0]
        assert repr(float(value)) == "0.0"


@pytest.mark.parametrize(
    "text", ["", " ", "-", "+", ".", "e5", "1e", "0x10", "1_000", "1,5", "1 2", "٣", "one", "--1"]
)
def test_what_is_no_number_is_called_so(text):
    read = parse_numbers(spans_of([text.encode(), b"1"]))
    assert read.is_number.tolist() == [False, True]


def test_a_letter_that_only_looks_like_infinity_is_no_number():
    read = parse_numbers(spans_of(["infınity".encode(), "nan\u00a0".encode()]))
    assert read.is_number.tolist() == [False, False]


@settings(max_examples=100)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=40))
def test_doubles_become_the_millionths_of_their_shortest_decimal(values):
    found = float_to_micros(np.array(values))
    assert found.tolist() == [micros_of(value) for value in values]


def test_doubles_without_millionths_give_zero():
    values = np.array([math.nan, math.inf, -math.inf, 1e300])
    assert float_to_micros(values).tolist() == [0, 0, 0, 0]
