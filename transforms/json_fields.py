"""Fields of any JSON record, good or bad, by DuckDB: the general way of reading records.

DuckDB parses each record on its own, so a bad one costs no more than itself. It is a little more
lenient than JSON (a comma before a closing bracket); such records are looked for and refused.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.duck import ask
from transforms.fields import MISSING, NULL, NUMBER, OTHER, STRING, Field, Fields
from transforms.spans import CACHED, PADDING, Bools, Bytes, Ints, Spans, positions_of

__all__ = ["JsonRecords", "json_path", "read_json", "typed_texts"]

KIND_OF_FIRST_BYTE = np.full(256, OTHER, np.uint8)
KIND_OF_FIRST_BYTE[ord('"')] = STRING
KIND_OF_FIRST_BYTE[ord("n")] = NULL
# NaN, Infinity and -Infinity, in any case, are numbers that are not finite.
KIND_OF_FIRST_BYTE[np.frombuffer(b"-0123456789NIi", np.uint8)] = NUMBER
OBJECT = ord("{")
COMMA, CLOSING, BACKSLASH, SPACE = ord(","), ord("}"), ord("\\"), ord(" ")


@dataclass(frozen=True)
class JsonRecords:
    """n records read.

    Attributes:
        is_json: which are JSON.
        is_utf8: which are valid UTF-8.
        is_object: which are JSON objects.
        fields: the fields of the objects.
    """

    is_json: Bools
    is_utf8: Bools
    is_object: Bools
    fields: Fields


def read_json(records: Spans, keys: tuple[str, ...]) -> JsonRecords:
    """Reads every record and takes the named fields out of the objects.

    Args:
        records: texts without blanks around them; any bytes at all.
        keys: the paths of the fields wanted: keys from the outside in, with dots between them.

    Returns:
        What each record is, and the fields of those that are JSON.
    """
    is_utf8 = _valid_utf8(records)
    rows = np.flatnonzero(is_utf8)
    texts = records if len(rows) == len(records) else records.take(rows)
    asked = _possible(keys, records.buffer)
    answer = ask(pa.table({"raw": texts.to_arrow_views(), "row": rows}), _query(asked))
    values = answer["v"].combine_chunks()
    valid = answer["row"].to_numpy()
    if len(valid) > 1 and not (valid[1:] > valid[:-1]).all():
        order = np.argsort(valid)
        values, valid = values.take(pa.array(order)), valid[order]
    is_json = np.zeros(len(records), bool)
    is_json[valid] = True
    _refuse_dangling_commas(records, is_json)
    if not is_json[valid].all():
        values, valid = values.filter(pa.array(is_json[valid])), np.flatnonzero(is_json)
    is_object = is_json & (records.buffer[records.starts] == OBJECT)
    found = typed_texts(values.flatten(), asked)
    # All fields stand in one buffer, those that no record has too.
    buffer = next((field.spans.buffer for field in found.values()), records.buffer)
    by_path = {**dict.fromkeys(keys, Field.missing(len(valid), buffer)), **found}
    if not is_object[valid].all():
        objects = np.flatnonzero(is_object[valid])
        return JsonRecords(is_json, is_utf8, is_object, Fields(valid, by_path).take(objects))
    return JsonRecords(is_json, is_utf8, is_object, Fields(valid, by_path))


def typed_texts(values: pa.StringArray, paths: Sequence[str]) -> dict[str, Field]:
    """JSON values as fields, whose text is all in one buffer.

    Args:
        values: one record's values of all paths, then the next one's, and so on; NULL where there
            are none.
        paths: the paths.
    """
    every = _field(values)
    steps = {path: np.s_[number :: len(paths)] for number, path in enumerate(paths)}
    return {path: Field(every.spans.take(step), every.kinds[step]) for path, step in steps.items()}


def _possible(keys: tuple[str, ...], buffer: Bytes) -> tuple[str, ...]:
    """The keys that may stand in the text: each of their letters does, or there are escapes."""
    text = buffer.tobytes()
    if b"\\" in text:
        return keys
    # Most letters are found at once, and one that is nowhere settles it.
    words = {key: key.encode().split(b".") for key in keys}
    letters = {letter for parts in words.values() for part in parts for letter in part}
    there = {letter for letter in letters if letter in text}
    return tuple(key for key in keys if all(there.issuperset(part) for part in words[key]))


@functools.cache
def _query(keys: tuple[str, ...]) -> str:
    paths = ", ".join(json_path(key) for key in keys)
    # A condition, not a CASE: DuckDB would copy a long text once for every NULL after it.
    return f"SELECT row, json_extract(raw, [{paths}]) AS v FROM t WHERE json_valid(raw)"  # noqa: S608 - quoted


def json_path(path: str) -> str:
    """A path as SQL's text of a JSON path."""
    return _quoted("$" + "".join(f'."{key}"' for key in path.split(".")))


def _field(texts: pa.StringArray) -> Field:
    """JSON values, NULL where there are none, as one field."""
    spans = Spans.from_arrow(texts)
    kinds = KIND_OF_FIRST_BYTE.take(spans.buffer.take(spans.starts))
    # `nan` begins as `null` does.
    kinds[(kinds == NULL) & (spans.lengths == len("nan"))] = NUMBER
    kinds[spans.lengths == 0] = MISSING
    is_string = kinds == STRING
    whole = Spans(spans.buffer, spans.starts + is_string, spans.lengths - 2 * is_string)
    return Field(_unescaped(whole, is_string), kinds)


def _unescaped(spans: Spans, is_string: Bools) -> Spans:
    """The same spans, the escapes of JSON strings resolved."""
    marks = positions_of(spans.buffer, BACKSLASH)
    if not len(marks):
        return spans
    rows = np.unique(np.searchsorted(spans.starts, marks, side="right") - 1)
    rows = rows[is_string[rows]]
    quoted = Spans(spans.buffer, spans.starts[rows] - 1, spans.lengths[rows] + 2)
    table = pa.table({"quoted": quoted.to_arrow()})
    answer = ask(table, "SELECT json_extract_string(quoted, '$') AS v FROM t")
    resolved = Spans.from_arrow(answer["v"].combine_chunks())
    starts, lengths = spans.starts.copy(), spans.lengths.copy()
    starts[rows] = resolved.starts + len(spans.buffer)
    lengths[rows] = resolved.lengths
    return Spans(np.concatenate([spans.buffer, resolved.buffer]), starts, lengths)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _valid_utf8(records: Spans) -> Bools:
    valid = np.ones(len(records), bool)
    if records.buffer.max(initial=0) < 0x80:
        return valid
    try:
        records.buffer.tobytes().decode()
    except UnicodeDecodeError:
        pass
    else:
        return valid
    foreign = np.concatenate([[0], np.cumsum(records.buffer >= 0x80)])
    has = foreign[records.starts + records.lengths] > foreign[records.starts]
    for row in np.flatnonzero(has).tolist():
        start, length = int(records.starts[row]), int(records.lengths[row])
        try:
            records.buffer[start : start + length].tobytes().decode()
        except UnicodeDecodeError:
            valid[row] = False
    return valid


def _refuse_dangling_commas(records: Spans, is_json: Bools) -> None:
    """Clears the flag of records that only a lenient parser takes for JSON, in place."""
    if not len(records):
        return
    buffer = records.buffer
    found = np.concatenate(
        [_last_before_closing(buffer, at) for at in range(0, len(buffer), CACHED)]
    )
    found = found[buffer[found] == COMMA]
    rows = np.searchsorted(records.starts, found, side="right") - 1
    rows = rows[rows >= 0]
    for row in np.unique(rows[is_json[rows]]).tolist():
        try:
            # The comma may stand inside a string: only a strict parser knows.
            json.loads(records.text(row))
        except (ValueError, RecursionError):
            is_json[row] = False


def _last_before_closing(buffer: Bytes, begin: int) -> Ints:
    """Of a part of the text, where what stands before } and ] may be a comma."""
    part = buffer[max(begin - 1, 0) : begin + CACHED]
    # } and ] differ in one bit. A comma or a blank before one is rare.
    closing = (part[1:] | np.uint8(0x20)) == CLOSING
    closing &= (part[:-1] == COMMA) | (part[:-1] <= SPACE)
    places = np.flatnonzero(closing) + max(begin - 1, 0)
    blank = np.flatnonzero(buffer[places] <= SPACE)
    while len(blank):
        places[blank] -= 1
        blank = blank[(buffer[places[blank]] <= SPACE) & (places[blank] > PADDING)]
    return places
