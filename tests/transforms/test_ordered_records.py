"""Flat objects are read by the order of their keys, whatever stands under them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from schemas.message_formats import MESSAGE_FORMATS
from tests.support.fast_parser import (
    SOURCE,
    assert_same_rows,
    block_parser,
    rows_of_parsed,
    spans_of,
)
from tests.support.mutations import Shapes
from tests.support.reference_parser import read_lines
from transforms.fields import MISSING, NULL, NUMBER, OTHER, STRING
from transforms.json_fields import _extract
from transforms.json_syntax import plain_scalars, surely_no_json
from transforms.key_order import KeyOrder
from transforms.layouts import FormatSet
from transforms.ordered_records import read_in_order

FORMATS = FormatSet([MESSAGE_FORMATS["regional"]])
USUAL = '{"id":"abc","timestamp":"2019-02-19 14:02:10","lat":45.5,"lon":0.25,"temperature":12.5}'


def read(*texts, like=(USUAL,) * 3):
    order = KeyOrder.learn(like, FORMATS)
    assert order is not None
    return read_in_order(spans_of([text.encode() for text in texts]), order)


@pytest.mark.parametrize(
    ("written", "kind", "text"),
    [
        ("45.5", NUMBER, "45.5"),
        ("-1e12", NUMBER, "-1e12"),
        ("12345678901234567.5", NUMBER, "12345678901234567.5"),
        ('"45.5"', STRING, "45.5"),
        ('"NaN"', STRING, "NaN"),
        ("null", NULL, "null"),
        ("true", OTHER, "true"),
        ("false", OTHER, "false"),
        (None, MISSING, ""),
    ],
)
@pytest.mark.parametrize("key", ["lat", "lon", "temperature"])
def test_a_value_of_any_plain_kind_is_read(key, written, kind, text):
    usual = {"lat": "45.5", "lon": "0.25", "temperature": "12.5"}
    record = '{"id":"abc","timestamp":"2019-02-19 14:02:10"'
    for other, value in {**usual, key: written}.items():
        record += f',"{other}":{value}' if value is not None else ""
    found = read(USUAL, record + "}", USUAL)
    assert found.fits.tolist() == [True] * 3
    field = found.fields[key]
    assert (field.kinds[1], field.spans.text(1)) == (kind, text)
    assert found.quotes[1] == record.count('"')


def test_the_first_member_may_be_missing_too():
    found = read(USUAL, USUAL.replace('"id":"abc",', ""))
    assert found.fits.all()
    assert found.fields["id"].kinds.tolist() == [STRING, MISSING]


@pytest.mark.parametrize(
    "record",
    [
        "{}",
        '{"lat":1,"id":"abc"}',
        '{"id":"abc",}',
        '{"id":"abc","lat":01}',
        '{"id":"abc","lat":nul}',
        '{"id":"abc","lat":[1]}',
        '{"id":"abc","lat":{"a":1}}',
        '{"id":"abc","lat":NaN}',
        '{"id":"abc","other":1}',
        '{"id":-0,"lat":1}',
        '{"id":"abc","lat":1}}',
        '{"id":"abc""lat":1}',
        '{"id":"abc","lat"1}',
    ],
)
def test_what_leaves_a_doubt_is_not_read(record):
    found = read(USUAL, record)
    assert dict(zip(found.rows.tolist(), found.fits.tolist(), strict=True)) == {0: True, 1: False}


def test_the_order_is_that_of_all_records_together():
    texts = ('{"id":1,"lat":2,"lon":3}', '{"id":1,"timestamp":"x","lat":2}', '{"id":1,"lon":null}')
    order = KeyOrder.learn(texts, FORMATS)
    assert order is not None
    assert [member.path for member in order.members] == ["id", "timestamp", "lat", "lon"]


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["no", "no"],
        ["{" + 9 * " " + '"id":1,"lat":2}'],
        ['{"id":1,"%s":2}' % ("k" * 65)],
        ['{"a":{"b":1}}'],
        ['{"id":1}'],
        ['{"id":1, "lat":2,"lon":3}'],
        ["{" + ",".join(f'"k{number}":1' for number in range(30)) + "}"],
    ],
)
def test_there_may_be_no_order(texts):
    assert KeyOrder.learn(texts, FORMATS) is None


@pytest.mark.parametrize("seed", range(30))
def test_records_of_one_writer_with_one_thing_wrong_are_read_as_the_reference_does(seed):
    chance = random.Random(seed)
    shapes = Shapes(chance, plain=chance.choice((True, False)))
    records = [
        record
        for key in (b"id", b"timestamp", b"lat", b"lon", b"temperature", b"country")
        for record in shapes.broken(key, 30)
    ]
    records += [shapes.mutated() for _ in range(60)]
    block = b"\n".join(chance.sample(records, len(records)))
    parser = block_parser()
    for _ in range(2):
        assert_same_rows(rows_of_parsed(parser.parse(block, SOURCE), block), read_lines(block))


def test_few_doubts_are_left_to_the_json_parser(monkeypatch):
    shapes = Shapes(random.Random(4), plain=True)
    line = shapes.usual()
    bad = [line.replace(b'"lat"', b'"Lat"'), line[:-1], b"null", b"sensor 17: no answer"]
    strange = [shapes._record({}, {key: b"null"}) for key in shapes.keys] * 30
    block = b"\n".join([*strange, *bad])
    seen = []

    def extract(records, rows, asked):
        seen.extend(rows)
        return _extract(records, rows, asked)

    monkeypatch.setattr("transforms.json_fields._extract", extract)
    rows = rows_of_parsed(block_parser().parse(block, SOURCE), block)
    assert_same_rows(rows, read_lines(block))
    assert len(seen) == 1


def test_what_surely_is_no_json():
    texts = [
        b"sensor",
        b'{"a":1',
        b'{"a":1,',
        b'{"a":1}',
        b"null",
        b"nul",
        b'"a',
        b"[1",
        b"5",
        b"?",
    ]
    assert np.flatnonzero(surely_no_json(spans_of(texts))).tolist() == [0, 1, 2, 9]


def test_plain_scalars_are_seen_without_a_parser():
    plain = [b"null", b"true", b"false", b"5", b"-1.5", b'"no answer"', b'""']
    others = [b"nul", b"nulls", b"01", b"1e5", b'"a\\n"', b'"', b'"a"b"', b'"\xc3\xa9"', b'"\t"']
    found = plain_scalars(spans_of([*plain, *others]))
    assert found.tolist() == [True] * len(plain) + [False] * len(others)
