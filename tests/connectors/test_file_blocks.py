"""From bytes to whole records: however a file is cut, compressed or broken."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.file_blocks import MAX_RECORD, read_blocks
from connectors.input_files import InputError, InputFile, Piece, pieces
from connectors.texts import Damaged
from tests.support.messages import line
from tests.support.reference_parser import cut_array, cut_lines
from transforms.payload import Oversized
from transforms.records import split_lines
from transforms.rejections import MAX_RAW
from transforms.spans import PADDING

GOOD = line()
BOM = b"\xef\xbb\xbf"


def written(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return InputFile(str(path), len(data))


def records_in(file, *, piece=10**9, block=1 << 16, max_record=MAX_RECORD):
    """Offset and text of all records in order, and the sentences about damage."""
    records, damage = [], []
    for part in pieces([file], piece):
        for found in read_blocks(part, block, max_record):
            if isinstance(found, Damaged):
                damage.append(found.sentence)
            elif isinstance(found, Oversized):
                assert found.source == file.path
                records.append((found.offset, found))
            else:
                assert found.source == file.path
                records += records_of_payload(found)
    return records, damage


def records_of_payload(payload):
    data = payload.data
    text = data if isinstance(data, bytes) else data.tobytes()[PADDING:-PADDING]
    if payload.elements is None:
        spans = split_lines(payload.data)
        starts, lengths = (spans.starts - PADDING).tolist(), spans.lengths.tolist()
    else:
        starts, lengths = (list(map(int, column)) for column in payload.elements)
    return [
        (payload.offset + start, text[start : start + length])
        for start, length in zip(starts, lengths, strict=True)
    ]


def expected_lines(data, max_record=10**9):
    records = [(begin, data[begin:end]) for begin, end in cut_lines(data)]
    return [(at, raw if len(raw) <= max_record else "too large") for at, raw in records]


def shown(records):
    """Records with those too large to hold checked and named."""
    return [(at, "too large" if isinstance(raw, Oversized) else raw) for at, raw in records]


lines_of_text = st.lists(
    st.one_of(
        st.sampled_from([b"", b" ", b"\r", b"a", b"[]", b"[1,2]", b'["a,b", {"c": [3]}]', GOOD]),
        st.binary(max_size=12).map(lambda data: data.replace(b"\n", b"").replace(b"[", b"")),
        st.integers(1, 60).map(lambda size: b"x" * size),
    ),
    max_size=14,
)


@settings(max_examples=150)
@given(
    lines=lines_of_text,
    end=st.sampled_from([b"\n", b"\r\n"]),
    closed=st.booleans(),
    mark=st.booleans(),
    piece=st.integers(1, 90),
    block=st.integers(4, 70),
)
def test_lines_are_the_same_however_the_file_is_cut(
    tmp_path, lines, end, closed, mark, piece, block
):
    data = (BOM if mark else b"") + end.join(lines) + (end if closed else b"")
    file = written(tmp_path, "a.jsonl", data)
    records, damage = records_in(file, piece=piece + 6 * mark, block=block)
    assert records == expected_lines(data)
    assert damage == []


@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 60), max_size=12),
    closed=st.booleans(),
    piece=st.integers(1, 90),
    block=st.integers(4, 20),
)
def test_a_line_too_large_to_hold_is_one_record_however_the_file_is_cut(
    tmp_path, sizes, closed, piece, block
):
    lines = [bytes([97 + number]) * size for number, size in enumerate(sizes)]
    data = b"\n".join(lines) + (b"\n" if closed else b"")
    file = written(tmp_path, "a.jsonl", data)
    records, _ = records_in(file, piece=piece, block=block, max_record=20)
    assert shown(records) == expected_lines(data, 20)
    for at, found in records:
        if isinstance(found, Oversized):
            whole = data[at : at + found.size]
            assert b"\n" not in whole
            assert data[at + found.size :][:1] in b"\n"
            assert found.sha256 == hashlib.sha256(whole).hexdigest()
            assert whole.startswith(found.head)
            assert len(found.head) >= min(20, MAX_RAW)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text('a"\\[]{},é\n', max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab]}", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
objects = st.dictionaries(st.text("ab[}", max_size=2), values, max_size=3)


@settings(max_examples=100)
@given(
    elements=st.lists(values, max_size=6),
    indent=st.sampled_from([None, 2, "\t"]),
    around=st.sampled_from(["", "\n", " \r\n\t", "\n" * 50]),
    mark=st.booleans(),
    block=st.integers(4, 80),
)
def test_elements_of_an_array_are_the_same_however_the_file_is_read(
    tmp_path, elements, indent, around, mark, block
):
    text = around + json.dumps(elements, indent=indent, ensure_ascii=False) + around
    data = (BOM if mark else b"") + text.encode()
    records, damage = records_in(written(tmp_path, "a.json", data), block=block)
    begin, end = data.index(b"["), len(data.rstrip())
    assert records == [(first, data[first:last]) for first, last in cut_array(data, begin, end)]
    assert [json.loads(raw) for _, raw in records] == elements
    assert damage == []


@settings(max_examples=100)
@given(
    found=st.lists(objects, max_size=6),
    indent=st.sampled_from([None, 2]),
    between=st.sampled_from(["", "\n", "\r\n\r\n", " "]),
    block=st.integers(4, 80),
)
def test_objects_one_after_another_are_the_same_however_the_file_is_read(
    tmp_path, found, indent, between, block
):
    data = between.join(json.dumps(value, indent=indent) for value in found).encode()
    records, _ = records_in(written(tmp_path, "a.json", data), block=block)
    assert [json.loads(raw) for _, raw in records] == found
    assert all(data[at : at + len(raw)] == raw for at, raw in records)


@settings(max_examples=60)
@given(
    arrays=st.lists(st.lists(objects, max_size=3), min_size=2, max_size=3),
    indent=st.sampled_from([None, 2]),
    between=st.sampled_from(["", "\n", "\n\n"]),
    blocks=st.tuples(st.integers(4, 60), st.integers(4, 60)),
)
def test_arrays_one_after_another_are_the_same_however_the_file_is_read(
    tmp_path, arrays, indent, between, blocks
):
    data = between.join(json.dumps(array, indent=indent) for array in arrays).encode()
    file = written(tmp_path, "a.json", data)
    first, second = (records_in(file, block=block)[0] for block in (blocks[0], 1 << 16))
    assert first == second


@settings(max_examples=150)
@given(
    elements=st.lists(objects, min_size=1, max_size=5),
    indent=st.sampled_from([None, 2]),
    array=st.booleans(),
    share=st.floats(0, 1),
    block=st.integers(4, 80),
)
def test_of_a_document_that_ends_in_the_middle_all_whole_elements_are_read(
    tmp_path, elements, indent, array, share, block
):
    texts = [json.dumps(element, indent=indent) for element in elements]
    data = (f"[{', '.join(texts)}]" if array else "\n".join(texts)).encode()
    kept = data[: int(len(data) * share)]
    records, _ = records_in(written(tmp_path, "a.json", kept), block=block)
    whole, rest = [], kept.removeprefix(b"[")
    for text in texts:
        rest = rest.lstrip(b", \n")
        if not rest.startswith(text.encode()):
            break
        whole.append(text.encode())
        rest = rest[len(text.encode()) :]
    rest = rest.lstrip(b", \n" if array else b" \n").rstrip(b" \n")
    rest = b"" if array and rest == b"]" else rest
    assert [raw for _, raw in records] == [*whole, *([rest] if rest else [])]


@settings(max_examples=100)
@given(data=st.text('[]{}",:\\a1 \n', max_size=60).map(str.encode), block=st.integers(4, 60))
def test_any_document_is_the_same_however_it_is_read(tmp_path, data, block):
    file = written(tmp_path, "a.json", data)
    records, _ = records_in(file, block=block)
    assert all(data[at : at + len(raw)] == raw for at, raw in records)
    assert records == records_in(file, block=1 << 16)[0]


def test_an_array_behind_many_blanks_is_an_array(tmp_path):
    data = b" " * 5000 + b"[1, 2]"
    records, _ = records_in(written(tmp_path, "a.json", data))
    assert records == [(5001, b"1"), (5004, b"2")]


def test_blocks_of_a_document_count_every_byte_once(tmp_path):
    data = json.dumps([{"a": number} for number in range(1000)], indent=1).encode()
    file = written(tmp_path, "a.json", data)
    size = sum(found.size for found in read_blocks(Piece(file), 500))
    assert len(data) - 500 <= size <= len(data)


def test_blocks_of_lines_count_every_byte_once(tmp_path):
    data = b"".join(b"%d\n" % number for number in range(1000))
    for name, text in (("a.jsonl", data), ("a.jsonl.gz", gzip.compress(data))):
        file = written(tmp_path, name, text)
        assert sum(found.size for found in read_blocks(Piece(file), 500)) == len(data)


def test_an_element_too_large_to_hold_is_one_record(tmp_path):
    data = b'[1, 2, "' + b"x" * 500 + b'", 3]'
    records, _ = records_in(written(tmp_path, "a.json", data), block=20, max_record=100)
    assert shown(records) == [(1, b"1"), (4, b"2"), (6, "too large")]
    large = records[-1][1]
    assert large.size == len(data) - 6
    assert large.sha256 == hashlib.sha256(data[6:]).hexdigest()
    assert data[6:].startswith(large.head)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz"])
@pytest.mark.parametrize("block", [7, 100, 1 << 16])
def test_a_gzip_of_many_members_and_padding_is_one_text(tmp_path, name, block):
    texts = [b'{"a": 1}\n{"b"', b": 2}\n", b"", b'{"c": 3}', b"\n"]
    compressed = b"".join(gzip.compress(text) for text in texts)
    expected = [b'{"a": 1}', b'{"b": 2}', b'{"c": 3}']
    for padding in (b"", b"\0" * 700):
        records, damage = records_in(written(tmp_path, name, compressed + padding), block=block)
        assert [raw for _, raw in records] == expected
        text = b"".join(texts)
        assert all(text[at : at + len(raw)] == raw for at, raw in records)
        assert damage == []


LINES = b"".join(b'{"number": %d}\n' % number for number in range(3000))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("block", [100, 1 << 16])
def test_of_a_truncated_gzip_what_can_be_read_is_and_the_rest_is_named(tmp_path, share, block):
    compressed = gzip.compress(LINES)
    cut = compressed[: int(len(compressed) * share)]
    readable = zlib.decompressobj(wbits=31).decompress(cut)
    file = written(tmp_path, "a.jsonl.gz", cut)
    records, damage = records_in(file, block=block)
    assert records == expected_lines(readable)
    assert damage == [
        f"{file.path} ends in the middle of its gzip data, after byte {len(readable):,} of its text"
    ]


@pytest.mark.parametrize("block", [100, 4 << 20])
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz"])
def test_of_a_corrupted_gzip_what_can_be_read_is_and_the_rest_is_named(tmp_path, name, block):
    compressed = bytearray(gzip.compress(LINES))
    for place in range(len(compressed) // 2, len(compressed) // 2 + 50):
        compressed[place] ^= 0x55
    file = written(tmp_path, name, bytes(compressed))
    records, damage = records_in(file, block=block)
    assert len(records) > 1000
    assert [raw for _, raw in records[:1000]] == LINES.splitlines()[:1000]
    assert len(damage) == 1
    assert damage[0].startswith(f"{file.path} has broken gzip data after byte ")


@pytest.mark.parametrize("block", [100, 4 << 20])
def test_a_wrong_checksum_is_damage_after_all_records(tmp_path, block):
    compressed = bytearray(gzip.compress(LINES))
    compressed[-8] ^= 1
    file = written(tmp_path, "a.jsonl.gz", bytes(compressed))
    records, damage = records_in(file, block=block)
    assert records == expected_lines(LINES)
    assert len(damage) == 1


def test_a_file_that_is_no_gzip_is_damage(tmp_path):
    file = written(tmp_path, "a.jsonl.gz", LINES)
    records, damage = records_in(file)
    assert records == []
    assert damage == [f"{file.path} has broken gzip data after byte 0 of its text"]


def test_rubbish_behind_a_gzip_is_damage_after_all_records(tmp_path):
    file = written(tmp_path, "a.jsonl.gz", gzip.compress(LINES) + b"rubbish")
    records, damage = records_in(file)
    assert records == expected_lines(LINES)
    assert len(damage) == 1


def test_a_file_that_cannot_be_read_is_told_in_a_sentence(tmp_path):
    file = InputFile("/proc/self/mem", 10)
    with pytest.raises(InputError, match=r"^/proc/self/mem cannot be read: Input/output error$"):
        list(read_blocks(Piece(file)))
    gone = InputFile(str(tmp_path / "gone.jsonl"), 10)
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        list(read_blocks(Piece(gone)))


def test_a_file_that_became_shorter_ends_where_it_ends(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"1\n2\n")
    file = InputFile(str(tmp_path / "a.jsonl"), 1000)
    found = [records_in(file, piece=size)[0] for size in (10, 1000)]
    assert found == [[(0, b"1"), (2, b"2")]] * 2
