"""Fields of any JSON record, good or bad, by DuckDB: the general way of reading records.

DuckDB parses each record on its own, so a bad one costs no more than itself. It is a little more
lenient than JSON (a comma before a closing bracket); such records are looked for and refused.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.duck import ask
from transforms.fields import MISSING, NULL, NUMBER, OTHER, QUOTES_OF_KIND, STRING, Field, Fields
from transforms.json_syntax import (
    plain_scalars,
    refuse_dangling_commas,
    surely_no_json,
    valid_utf8,
)
from transforms.spans import (
    Bools,
    Bytes,
    Ints,
    Spans,
    counts_of,
    holds,
    padded,
    positions_of,
)

__all__ = ["JsonPart", "JsonRecords", "json_path", "read_json", "typed_texts"]

KIND_OF_FIRST_BYTE = np.full(256, OTHER, np.uint8)
KIND_OF_FIRST_BYTE[ord('"')] = STRING
KIND_OF_FIRST_BYTE[ord("n")] = NULL
# NaN, Infinity and -Infinity, in any case, are numbers that are not finite.
KIND_OF_FIRST_BYTE[np.frombuffer(b"-0123456789NIi", np.uint8)] = NUMBER
OBJECT, QUOTE, BACKSLASH = ord("{"), ord('"'), ord("\\")
SAMPLE = 4096
"""Bytes in which letters are looked for at first."""
FEWEST = 64
"""Of fewer records all fields are looked for at once: another question costs more."""


@dataclass(frozen=True)
class JsonPart:
    """Records that were read together.

    Attributes:
        fields: their fields.
        known: which of them are objects whose fields are all here; the others are no objects, or
            are in another part.
    """

    fields: Fields
    known: Bools


@dataclass(frozen=True)
class JsonRecords:
    """n records read.

    Attributes:
        is_json: which are JSON.
        is_utf8: which are valid UTF-8.
        is_object: which are JSON objects.
        parts: the fields; each object is known in one part.
    """

    is_json: Bools
    is_utf8: Bools
    is_object: Bools
    parts: list[JsonPart]


def read_json(records: Spans, keys: tuple[str, ...], likely: tuple[str, ...] = ()) -> JsonRecords:
    """Reads every record and takes the named fields out of the objects.

    Args:
        records: texts without blanks around them; any bytes at all.
        keys: the paths of the fields wanted: keys from the outside in, with dots between them.
        likely: those of them that most records have none but, if that is known: keys of the
            outermost object. It changes nothing but the cost.

    Returns:
        What each record is, and the fields of those that are objects.
    """
    is_utf8 = valid_utf8(records)
    escaped = holds(records.buffer, BACKSLASH)
    in_two = bool(likely) and len(records) >= FEWEST
    first = likely if in_two else keys
    asked = first if escaped else _possible(first, records.buffer)
    is_json = plain_scalars(records)
    doubtful = is_utf8 & ~is_json & ~surely_no_json(records)
    rows, values = _extract(records, np.flatnonzero(doubtful), asked)
    is_json[rows] = True
    refuse_dangling_commas(records, is_json)
    if not is_json[rows].all():
        strict = is_json[rows]
        rows, values = rows[strict], values.filter(pa.array(strict))
    is_object = is_json & (records.buffer[records.starts] == OBJECT)
    fields = _fields(rows, values, asked, keys)
    known = is_object[rows]
    parts = [JsonPart(fields, known)]
    if in_two:
        whole = counts_of(records.take(rows), QUOTE) == _marks(fields, asked, escaped=escaped)
        parts = [JsonPart(fields, known & whole)]
        left = rows[known & ~whole]
        if len(left):
            left, values = _extract(records, left, keys)
            parts.append(JsonPart(_fields(left, values, keys, keys), np.ones(len(left), bool)))
    return JsonRecords(is_json, is_utf8, is_object, parts)


def _extract(records: Spans, rows: Ints, asked: tuple[str, ...]) -> tuple[Ints, pa.ListArray]:
    """Of some rows: which are JSON, and the values that stand there."""
    texts = records if len(rows) == len(records) else records.take(rows)
    answer = ask(pa.table({"raw": texts.to_arrow_views(), "row": rows}), _query(asked))
    values, valid = answer["v"].combine_chunks(), answer["row"].to_numpy()
    if len(valid) > 1 and not (valid[1:] > valid[:-1]).all():
        order = np.argsort(valid)
        values, valid = values.take(pa.array(order)), valid[order]
    return valid, values


def _fields(
    rows: Ints, values: pa.ListArray, asked: tuple[str, ...], keys: tuple[str, ...]
) -> Fields:
    found = typed_texts(values.flatten(), asked)
    # All fields stand in one buffer, those that no record has too.
    buffer = next((field.spans.buffer for field in found.values()), padded(b""))
    return Fields(rows, {**dict.fromkeys(keys, Field.missing(len(rows), buffer)), **found})


def _marks(fields: Fields, asked: tuple[str, ...], *, escaped: bool) -> Ints:
    """How many quotation marks stand in each record, if it has no other fields than these.

    Two stand around each key, and two around a string. A record that has as many has no other key
    and no key twice: whoever looks for more finds nothing.
    """
    marks, inner = np.zeros(len(fields.rows), np.int64), []
    for field in (fields.by_path[path] for path in asked):
        marks += QUOTES_OF_KIND.take(field.kinds)
        others = field.kinds == OTHER
        # Where there are escapes, a mark in the value may be none in the record.
        if others.any() and not escaped:
            inner.append((np.flatnonzero(others), field.spans))
    if inner:
        rows = np.concatenate([some for some, _ in inner])
        starts = np.concatenate([spans.starts[some] for some, spans in inner])
        lengths = np.concatenate([spans.lengths[some] for some, spans in inner])
        values = Spans(inner[0][1].buffer, starts, lengths)
        np.add.at(marks, rows, counts_of(values.compact(), QUOTE))
    return marks


def typed_texts(values: pa.StringArray, paths: Sequence[str]) -> dict[str, Field]:
    """JSON values as fields, whose text is all in one buffer.

    Args:
        values: one record's values of all paths, then the next one's, and so on; NULL where there
            are none.
        paths: the paths.
    """
    if not paths:
        return {}
    every = _field(values)
    # Each field's values side by side: reading them with steps between would cost more.
    starts, lengths, kinds = (
        np.ascontiguousarray(column.reshape(-1, len(paths)).T)
        for column in (every.spans.starts, every.spans.lengths, every.kinds)
    )
    return {
        path: Field(Spans(every.spans.buffer, starts[number], lengths[number]), kinds[number])
        for number, path in enumerate(paths)
    }


def _possible(keys: tuple[str, ...], buffer: Bytes) -> tuple[str, ...]:
    """The keys that may stand in a text without escapes: each of their letters does."""
    words = {key: key.encode().split(b".") for key in keys}
    letters = {letter for parts in words.values() for part in parts for letter in part}
    # Most letters are found at once, and one that is nowhere settles it.
    there = set(buffer[:SAMPLE].tobytes()) & letters
    there |= {letter for letter in letters - there if holds(buffer, letter)}
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
