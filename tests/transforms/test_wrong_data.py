"""Every format with every kind of fault at every rate: nothing vanishes, both ways agree."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.message_formats import MESSAGE_FORMATS
from tests.support.format_messages import FAULTS, FORMATS, block_of, good_message
from tests.support.message_rows import all_ways_agree
from tests.support.mutations import INSERTIONS
from tests.support.reference_messages import Bad
from transforms.parse_block import BlockParser

COUNT = 40


@pytest.mark.parametrize(
    "share",
    [0.1, 1, *(pytest.param(share, marks=pytest.mark.slow) for share in (0, 0.01, 0.5))],
)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", FORMATS)
def test_every_bad_message_is_rejected_and_every_good_one_counted(kind, fault, share):
    draw = random.Random(f"{kind} {fault} {share}")
    count = 100 if share == 0.01 else COUNT
    records = list(block_of(kind, fault, share, count, draw))
    for message_format in ("auto", kind.split()[0]):
        rows = all_ways_agree([records], message_format)
        bad = {row.raw for row in rows if isinstance(row, Bad)}
        assert len(bad) <= round(share * count)
        if share == 0:
            assert not bad
        else:
            assert bad
    if share == 1:
        # Of what has several entries, the others are good.
        whole = [row for row in rows if isinstance(row, Bad) and row.entry is None]
        parts = [row for row in rows if isinstance(row, Bad) and row.entry is not None]
        assert len(whole) + len(parts) == count


@pytest.mark.parametrize("seed", range(12))
def test_formats_mixed_message_by_message_are_told_apart(seed):
    draw = random.Random(seed)
    blocks = [
        [json.dumps(good_message(draw.choice(FORMATS), draw)).encode() for _ in range(300)]
        for _ in range(2)
    ]
    rows = all_ways_agree(blocks)
    assert not [row for row in rows if isinstance(row, Bad)]
    assert {row.format for row in rows} == {name.split()[0] for name in FORMATS}


def test_templates_wider_than_a_block_fit_nothing_in_it():
    def wide(key, number):
        return json.dumps(
            {"note" + key * 150: 1, **good_message("regional", random.Random(number))}
        )

    for kinds in ("x", "xy"):
        records = [wide(key, number).encode() for number in range(40) for key in kinds]
        short = [b"{}", json.dumps(good_message("device", random.Random(1))).encode()]
        for block in ([b"{}"], short, records[:1]):
            rows = all_ways_agree([records, block])
            assert len(rows) == len(records) + len(block)


def test_a_format_may_be_given_as_it_is():
    line = json.dumps(good_message("regional", random.Random(1))).encode()
    for formats in (MESSAGE_FORMATS["regional"], list(MESSAGE_FORMATS.values())[:2]):
        assert BlockParser(formats).parse(line, "a").readings[0].num_rows == 1


@st.composite
def messages(draw):
    chance = draw(st.randoms(use_true_random=False))
    kind = draw(st.sampled_from(FORMATS))
    message = good_message(kind, chance)
    more = {
        "version": [1, "2", None, True, 1.5],
        "updated_at": ["2019-02-20 00:00:00", None, "x"],
        "deleted": [True, False, None, "true"],
        "schema_version": [1, 2, "2", None, 3],
    }
    for key, values in more.items():
        if draw(st.integers(0, 3)) == 0:
            message[key] = draw(st.sampled_from(values))
    if draw(st.integers(0, 2)) == 0:
        items = list(message.items())
        chance.shuffle(items)
        message = dict(items)
    how = draw(st.sampled_from(["as it is", "fault", "bytes"]))
    if how == "fault":
        fault = draw(st.sampled_from(sorted(FAULTS)))
        try:
            return FAULTS[fault](kind, message, chance)
        except KeyError:
            return b"{}"
    record = bytearray(json.dumps(message, separators=draw(SEPARATORS)).encode())
    if how == "bytes":
        place = chance.randrange(len(record))
        record[place : place + chance.choice((0, 1, 1, 5))] = chance.choice(INSERTIONS)
    return bytes(record).replace(b"\n", b" ")


SEPARATORS = st.sampled_from([(", ", ": "), (",", ":")])


@settings(max_examples=60, deadline=None)
@given(st.lists(messages(), min_size=1, max_size=30))
def test_all_ways_agree_on_messages_of_all_formats(records):
    kept = [record for record in records if record.strip() and not record.startswith(b"[")]
    repeated = [record for record in kept for _ in range(3)]
    all_ways_agree([repeated, kept])
