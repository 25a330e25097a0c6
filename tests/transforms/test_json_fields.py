"""Records asked for the keys of one format first are read as those asked for all at once."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.message_formats import open_formats
from transforms.json_fields import read_json
from transforms.layouts import FormatSet
from transforms.spans import PADDING, Spans, counts_of, holds, padded

FORMATS = FormatSet(open_formats("auto"))
LIKELY = ("id", "timestamp", "lat", "lon", "temperature", "country", "version", "deleted")
KEYS = [*{path.split(".")[0] for path in FORMATS.keys}, "", "unit", 'q"', "\\u0069d", "é"]


def spans_of(texts):
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)][:-1]) + PADDING
    lengths = np.array([len(text) for text in texts], np.int64)
    return Spans(padded(b"\n".join(texts)), starts.astype(np.int64), lengths)


def fields_of(texts, likely):
    """Of each record: what it is, and kind and text of each field."""
    read = read_json(spans_of(texts), FORMATS.keys, likely)
    fields = {}
    for part in read.parts:
        for place in np.flatnonzero(part.known).tolist():
            row = int(part.fields.rows[place])
            assert row not in fields
            fields[row] = {
                path: (int(field.kinds[place]), field.spans.text(place))
                for path, field in part.fields.by_path.items()
                if field.kinds[place]
            }
    assert sorted(fields) == np.flatnonzero(read.is_object).tolist()
    return read.is_json.tolist(), read.is_utf8.tolist(), fields


words = st.sampled_from(['"a"', '""', '"\\""', '"\\u0022"', "1", "-2.5", "null", "true", "NaN"])
values = st.recursive(
    words,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda some: f"[{','.join(some)}]"),
        st.tuples(st.sampled_from(["id", "c", "latitude"]), inner).map(
            lambda pair: f'{{"{pair[0]}": {pair[1]}}}'
        ),
    ),
    max_leaves=3,
)
members = st.tuples(st.sampled_from([*LIKELY] * 4 + KEYS), values)


def written(pairs):
    names = (key if key.startswith("\\u") else json.dumps(key)[1:-1] for key, _ in pairs)
    one = ",".join(f'"{name}":{value}' for name, (_, value) in zip(names, pairs, strict=True))
    return b"{" + one.encode() + b"}"


objects = st.lists(members, max_size=5).map(written)
others = st.sampled_from([b"[1]", b'"id"', b'{"id":1', b'{"id":1,}', b"\xff", b"5", b"{'id':1}"])


@given(st.lists(st.one_of(objects, objects, objects, others), min_size=1, max_size=30))
def test_what_is_likely_changes_nothing_but_the_cost(texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transforms.json_fields.FEWEST", 1)
        assert fields_of(texts, LIKELY) == fields_of(texts, ())
        assert fields_of(texts, ("deleted",)) == fields_of(texts, ())


@pytest.mark.parametrize(
    ("record", "likely"),
    [
        (b'{"id":1,"lat":{"c":"x"}}', True),
        (b'{"device_id":1,"timestamp":1,"sensor":"temperature","value":1}', True),
        (b'{"id":1,"unit":"C"}', False),
        (b'{"id":1,"timestamp":1,"sensor":{"id":1},"measurements":[]}', False),
        (b"no answer", False),
    ],
)
def test_keys_are_likely_where_records_have_no_others(record, likely):
    keys = FORMATS.likely_keys(spans_of([record] * 20))
    assert bool(keys) is likely
    assert not likely or json.loads(record).keys() <= set(keys) <= set(FORMATS.keys)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20))
def test_bytes_are_counted_in_each_text(texts):
    spans = spans_of(texts)
    assert counts_of(spans, 0x22).tolist() == [text.count(b'"') for text in texts]
    assert holds(spans.buffer, 0x22) == any(b'"' in text for text in texts)
