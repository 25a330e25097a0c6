"""How a body is cut into messages."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bodies import BodyError, cut_messages

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
INDENTS = st.sampled_from([None, 0, 2, "\t"])


@given(st.lists(VALUES, min_size=1), INDENTS, st.booleans())
def test_the_messages_of_an_array_are_its_elements_as_they_came(values, indent, escaped):
    text = json.dumps(values, indent=indent, ensure_ascii=escaped)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        body = json.dumps(values, indent=indent).encode()
    cut = cut_messages(b" \r\n" + body + b"\n")
    assert all(one in body for one in cut)
    assert repr([json.loads(one) for one in cut]) == repr(json.loads(body))


def test_an_object_is_one_message():
    body = b' {"device_id": [1, 2],\n "x": "},{"} '
    assert cut_messages(body) == [body.strip()]


def test_bare_nan_is_left_to_the_parser():
    (one,) = cut_messages(b'[{"value": NaN}]')
    assert math.isnan(json.loads(one)["value"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"  ", "not valid JSON"),
        (b"[{}", "not valid JSON"),
        (b"[{}{}]", "not valid JSON"),
        (b"[{},]", "not valid JSON"),
        (b"[{}] []", "not valid JSON"),
        (b'{"a": 1}\n{"a": 2}', "not valid JSON"),
        (b'"\xff"', "not valid JSON"),
        (b'[{"a": "\xff"}]', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[" * 5_000 + b"NaN" + b"]" * 5_000, "not valid JSON"),
        (b"3", "neither a JSON object nor an array"),
        (b'"text"', "neither a JSON object nor an array"),
        (b"null", "neither a JSON object nor an array"),
        (b"[]", "holds no message"),
        (b"[ \n]", "holds no message"),
    ],
)
def test_what_holds_no_messages_is_refused_with_a_sentence(body, words):
    with pytest.raises(BodyError, match=words) as caught:
        cut_messages(body)
    assert caught.value.status == 400
    assert "\n" not in str(caught.value)


def test_a_number_of_any_length_does_no_harm():
    body = b"[NaN, " + b"9" * 10_000 + b"]"
    assert len(cut_messages(body)) == 2
