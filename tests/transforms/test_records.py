"""Where records begin and end: lines, arrays on a line, objects over many lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reference_parser import cut_array, cut_lines
from transforms.records import split_array, split_lines, split_objects
from transforms.spans import PADDING, padded


def cut(data):
    spans = split_lines(data)
    return [
        (int(start) - PADDING, int(start + length) - PADDING)
        for start, length in zip(spans.starts, spans.lengths, strict=True)
    ]


def texts(data):
    return [data[begin:end] for begin, end in cut(data)]


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"", []),
        (b"\n\n \t\r\n", []),
        (b"a", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"\n\na\n\n\nb\n\n", [b"a", b"b"]),
        (b"  a  \n\tb\t\n", [b"a", b"b"]),
        (b'{"a": 1} \n{"a"', [b'{"a": 1}', b'{"a"']),
        (b"[]", []),
        (b"[ ]\n[\t]", []),
        (b"[1]", [b"1"]),
        (b"[1, 2]\n3", [b"1", b"2", b"3"]),
        (b"[[1, 2], {}]", [b"[1, 2]", b"{}"]),
        (b'["a,b]", "c\\"d,", 1]', [b'"a,b]"', b'"c\\"d,"', b"1"]),
        (b'["a\\\\", 1]', [b'"a\\\\"', b"1"]),
        (b'[{"a": [1, {"b": "]"}]}, 2]', [b'{"a": [1, {"b": "]"}]}', b"2"]),
        (b"[1, 2", [b"1", b"2"]),
        (b'[{"a": 1}, {"a', [b'{"a": 1}', b'{"a']),
        (b"[1] x", [b"1", b"x"]),
        (b"[1]]", [b"1", b"]"]),
        (b"[1,,2,]", [b"1", b"2"]),
        (b'["\n1', [b'"', b"1"]),
    ],
)
def test_a_line_or_an_element_of_an_array_on_a_line_is_a_record(data, records):
    assert texts(data) == records


def test_a_record_has_the_same_extent_whatever_stands_beside_it():
    for data in (b'{"a" ', b'{"a" \n', b'{}\n{"a" \n', b' {}\n{"a" \n', b'[]\n{"a" \t\r\n\n'):
        assert texts(data)[-1] == b'{"a"', data


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
rows = st.one_of(
    json_values.map(json.dumps),
    st.lists(json_values, max_size=5).map(json.dumps),
    st.lists(json_values, max_size=5).map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.sampled_from(["", " ", "\t", "\r"]),
)


@settings(max_examples=150)
@given(st.lists(rows, max_size=12), st.sampled_from(["\n", "\r\n", " \n", "\n\n"]))
def test_records_are_cut_as_a_plain_reader_cuts_them(lines, end):
    data = end.join(lines).encode()
    assert cut(data) == cut_lines(data)


@settings(max_examples=150)
@given(st.lists(st.text('[]{}",\\a1 ', max_size=30), max_size=6))
def test_every_byte_of_broken_lines_is_in_a_record_or_between_records(lines):
    data = "\n".join(lines).encode()
    at = 0
    for begin, end in cut(data):
        assert at <= begin < end
        assert set(data[at:begin]) <= set(b"[]{}, \n")
        at = end
    assert set(data[at:]) <= set(b"[]{}, \n")


@settings(max_examples=100)
@given(st.lists(json_values, max_size=8), st.sampled_from([None, 1, "\t"]))
def test_elements_of_an_array_over_many_lines_are_its_elements(values, indent):
    data = json.dumps(values, indent=indent).encode()
    elements = split_array(padded(data), np.array([PADDING]), np.array([len(data)]))
    found = [
        (int(start) - PADDING, int(start + length) - PADDING)
        for start, length in zip(elements.starts, elements.lengths, strict=True)
    ]
    assert found == cut_array(data, 0, len(data))
    assert [json.loads(data[begin:end]) for begin, end in found] == values
    assert not elements.inside
    assert elements.end == PADDING + len(data)


@settings(max_examples=100)
@given(
    st.lists(st.dictionaries(st.text(max_size=3), json_values, max_size=3), max_size=6),
    st.sampled_from([None, 1]),
    st.sampled_from(["\n", "", " ", "\r\n\r\n"]),
)
def test_objects_that_follow_one_another_are_records(values, indent, between):
    data = between.join(json.dumps(value, indent=indent) for value in values).encode()
    elements = split_objects(padded(data), PADDING, len(data))
    found = [
        json.loads(data[start - PADDING : start - PADDING + length])
        for start, length in zip(elements.starts.tolist(), elements.lengths.tolist(), strict=True)
    ]
    assert found == values
