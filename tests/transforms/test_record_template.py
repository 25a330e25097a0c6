"""The fast way, the general way and a plain reader agree on every record, good or bad."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.message_formats import MESSAGE_FORMATS
from tests.support.fast_parser import (
    SOURCE,
    assert_same_rows,
    block_parser,
    rows_of_parsed,
)
from tests.support.mutations import KEYS, VERSION_KEYS, Shapes
from tests.support.reference_parser import Rejected, read_lines
from transforms.layouts import FormatSet
from transforms.record_template import RecordTemplate
from transforms.template_memory import LEARN_EVERY


def both_ways_and_plainly(blocks, arrived_at=None):
    """Reads blocks in three ways and asserts that all give the same rows, block by block."""
    quick, general = block_parser(), block_parser(templates=False)
    for block in blocks:
        expected = read_lines(block, arrived_at)
        for way, parser in (("general", general), ("quick", quick)):
            found = rows_of_parsed(parser.parse(block, SOURCE, arrived_at=arrived_at), block)
            try:
                assert_same_rows(found, expected)
            except AssertionError as error:
                msg = f"the {way} way differs: {error}"
                raise AssertionError(msg) from error


def blocks_of(chance, count, length, share):
    """Blocks of records of one shape, a share of them strange."""
    shapes = Shapes(chance)
    for _ in range(count):
        yield b"\n".join(
            (shapes.mutated if chance.random() < 0.6 else shapes.unusual)()
            if chance.random() < share
            else shapes.usual()
            for _ in range(length)
        )


@pytest.mark.parametrize("seed", range(40))
def test_all_ways_agree_on_mutated_records(seed):
    chance = random.Random(seed)
    blocks = blocks_of(chance, 2, 150, chance.choice((0.05, 0.4, 0.7)))
    both_ways_and_plainly(blocks, chance.choice((None, 1_550_600_000_123_456)))


@pytest.mark.parametrize("seed", range(60))
def test_all_ways_agree_where_one_thing_is_wrong_with_all_records(seed):
    chance = random.Random(seed)
    shapes = Shapes(chance, plain=chance.choice((True, False)))
    key = chance.choice([*KEYS, *VERSION_KEYS])
    broken = shapes.broken(key, 60)
    usual = [shapes.usual() for _ in range(chance.choice((0, 0, 5, 60)))]
    records = chance.sample([*broken, *usual], len(broken) + len(usual))
    both_ways_and_plainly([b"\n".join(records)] * 2)


@pytest.mark.parametrize(
    ("reason", "key", "value"),
    [
        ("bad_timestamp", b"timestamp", b"2019-13-19 14:02:10"),
        ("bad_timestamp", b"timestamp", b"yesterday"),
        ("bad_coordinates", b"lat", b"95.5"),
        ("bad_coordinates", b"lon", b"-200.25"),
        ("not_finite", b"temperature", b"-Infinity"),
        ("out_of_range", b"temperature", b"2000000000.5"),
        ("wrong_type", b"temperature", b"12.5 C"),
    ],
)
@pytest.mark.parametrize("others", [0, 30])
def test_a_template_says_what_is_wrong_with_a_value(reason, key, value, others, monkeypatch):
    shapes = Shapes(random.Random(4), plain=True)
    shapes.strings = dict.fromkeys(shapes.strings, True)
    values = {key: b'"%s"' % value}
    records = [shapes.usual() for _ in range(others)] + [shapes._record({}, values)] * 30
    block = b"\n".join(records)
    monkeypatch.setattr("transforms.parse_block.read_json", None)
    rows = rows_of_parsed(block_parser().parse(block, SOURCE), block)
    assert_same_rows(rows, read_lines(block))
    assert [row.reason for row in rows if isinstance(row, Rejected)] == [reason] * 30


def test_a_template_that_few_records_fit_is_left_alone():
    shapes = Shapes(random.Random(4), plain=True)
    block = b"\n".join([shapes.usual()] * 15 + [b"{}"] * 85)
    parser = block_parser()
    parser.parse(block, SOURCE)
    assert parser._memory.templates == []


@st.composite
def blocks_of_one_shape(draw):
    shapes = Shapes(draw(st.randoms(use_true_random=False)))
    kinds = draw(
        st.lists(st.sampled_from(["usual", "unusual", "mutated"]), min_size=1, max_size=25)
    )
    ends = draw(st.sampled_from([b"\n", b"\r\n", b" \n", b"\n\n", b"\n \t"]))
    return ends.join(getattr(shapes, kind)() for kind in kinds)


@settings(max_examples=80)
@given(st.lists(blocks_of_one_shape(), min_size=1, max_size=2))
def test_all_ways_agree_on_records_of_any_shape(blocks):
    both_ways_and_plainly(blocks)


@settings(max_examples=80)
@given(
    st.lists(
        st.one_of(
            blocks_of_one_shape(),
            st.text('{}[]":,\\ 0123456789.eE+-ntrufalsé\x00\t', max_size=60).map(str.encode),
            st.binary(max_size=40),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_all_ways_agree_on_any_lines_that_are_no_arrays(pieces):
    block = b"\n".join(pieces)
    kept = [line for line in block.split(b"\n") if not line.lstrip(b" \t\r\n").startswith(b"[")]
    both_ways_and_plainly([b"\n".join(kept)])


def test_a_template_reads_what_one_writer_sends():
    shapes = Shapes(random.Random(4), plain=True)
    block = b"\n".join(shapes.usual() for _ in range(100))
    parser = block_parser()
    parsed = parser.parse(block, SOURCE)
    assert len(parser._memory.templates) == 1
    assert [batch.num_rows for batch in parsed.readings] == [100]


def test_two_writers_have_two_templates():
    first, second = (Shapes(random.Random(seed), plain=True) for seed in (0, 4))
    block = b"\n".join(shapes.usual() for _ in range(60) for shapes in (first, second))
    parser = block_parser()
    parsed = parser.parse(block, SOURCE)
    assert len(parser._memory.templates) == 2
    assert_same_rows(rows_of_parsed(parsed, block), read_lines(block))


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "5",
        '{"id": 1}',
        '{"id": null, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1}',
        '{"id": 1, "id": 2, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1}',
        '{"id": true, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1}',
        '{"lat": true, "id": 1, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1}',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1, "version": {}}',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": {"x": 1}, "temperature": 1}',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": 1, "temperature": [[[[[[[[[[[[[1]]]]]]]]]]]]]}',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1} x',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": 1, "temperature": 01}',
        '{"id": 1, "timestamp": 1, "lat": 1, "lon": 1, "t\\u0065mperature": 1}',
        '{"id": "%s", "timestamp": 1, "lat": 1, "lon": 1, "temperature": 1}' % ("x" * 5000),
    ],
)
def test_no_template_is_learnt_from_what_is_no_usual_reading(text):
    assert RecordTemplate.learn(text, FormatSet([MESSAGE_FORMATS["regional"]])) is None


def parsed_with(count, **changes):
    """Templates and rows of a block in which every record has these fields."""
    shapes = Shapes(random.Random(4), plain=True)
    more = b"".join(b',"%s":%s' % (key.encode(), text) for key, text in changes.items())
    block = b"\n".join(shapes.usual()[:-1].rstrip() + more + b"}" for _ in range(count))
    parser = block_parser()
    rows = rows_of_parsed(parser.parse(block, SOURCE), block)
    assert_same_rows(rows, read_lines(block))
    return parser._memory.templates, rows


@pytest.mark.parametrize(
    ("fields", "version", "kind"),
    [
        ({"version": b"7"}, 7, 3),
        ({"version": b'"7"'}, 7, 3),
        ({"version": b"-9223372036854775808"}, -(2**63), 3),
        ({"version": b"1732264205123456789"}, 1732264205123456789, 3),
        ({"version": b"null", "deleted": b"false"}, 0, 0),
        ({"deleted": b"null", "updated_at": b'"2019-02-20 00:00:00"'}, 1550620800 * 10**6, 2),
        ({"updated_at": b"1550620800"}, 1550620800 * 10**6, 2),
        ({"updated_at": b'"no"', "version": b"0"}, 0, 3),
        ({"updated_at": b"null"}, 0, 0),
    ],
)
def test_a_template_reads_versions(fields, version, kind):
    templates, rows = parsed_with(30, **fields)
    assert len(templates) == 1
    assert {(row.version, row.version_kind, row.deleted) for row in rows} == {
        (version, kind, False)
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"deleted": b"true"},
        {"deleted": b"0"},
        {"deleted": b'"true"'},
        {"version": b"true"},
        {"updated_at": b"false"},
        {"version": b"1", "v\\u0065rsion": b"2"},
    ],
)
def test_no_template_reads_a_deletion_or_what_is_no_version(fields):
    templates, rows = parsed_with(30, **fields)
    assert templates == []
    assert len(rows) == 30


@pytest.mark.parametrize("text", [b"1.0", b"1e2", b"007", b"12345678901234567890", b"", b"-"])
def test_rare_forms_of_a_version_are_left_to_the_general_way(text):
    shapes = Shapes(random.Random(4), plain=True)
    ends = [b"5"] * 30 + [text]
    block = b"\n".join(shapes.usual()[:-1] + b',"version":%s}' % end for end in ends)
    parser = block_parser()
    rows = rows_of_parsed(parser.parse(block, SOURCE), block)
    assert len(parser._memory.templates) == 1
    assert_same_rows(rows, read_lines(block))


def test_a_parser_whose_writer_changes_its_habits_learns_again():
    parser = block_parser()
    for seed in (0, 4, 10):
        shapes = Shapes(random.Random(seed), plain=True)
        for make in (lambda: b"{}", shapes.usual):
            for _ in range(LEARN_EVERY + 1):
                block = b"\n".join(make() for _ in range(30))
                found = rows_of_parsed(parser.parse(block, SOURCE), block)
                assert_same_rows(found, read_lines(block))
        assert len(parser._memory.templates) == 1
