"""Fields of any JSON record, good or bad, by DuckDB: the general way of reading records.

DuckDB parses each record on its own, so a bad one costs no more than itself. It is a little more
lenient than JSON (a comma before a closing bracket); such records are looked for and refused.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.duck import ask
from transforms.fields import MISSING, NULL, NUMBER, OTHER, STRING, Field, Fields
from transforms.spans import PADDING, Bools, Spans, positions_of

__all__ = ["JsonRecords", "read_json"]

KIND_OF_FIRST_BYTE = np.full(256, OTHER, np.uint8)
KIND_OF_FIRST_BYTE[ord('"')] = STRING
KIND_OF_FIRST_BYTE[ord("n")] = NULL
# NaN, Infinity and -Infinity, in any case, are numbers that are not finite.
KIND_OF_FIRST_BYTE[np.frombuffer(b"-0123456789NIi", np.uint8)] = NUMBER
OBJECT = ord("{")
COMMA, CLOSING = ord(","), ord("}")


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
        keys: the fields wanted, each a key of the outermost object.

    Returns:
        What each record is, and the fields of those that are objects.
    """
    is_utf8 = _valid_utf8(records)
    rows = np.flatnonzero(is_utf8)
    texts = records if len(rows) == len(records) else records.take(rows)
    answer = ask(pa.table({"raw": texts.to_arrow_views(), "row": rows}), _query(keys))
    valid = answer["row"].to_numpy()
    is_json = np.zeros(len(records), bool)
    is_json[valid] = True
    _refuse_dangling_commas(records, is_json)
    is_object = is_json & (records.buffer[records.starts] == OBJECT)
    objects = np.flatnonzero(is_object)
    if len(objects) != len(valid):
        answer = answer.filter(pa.array(is_object[valid]))
    by_key = {
        key: _field(records, objects, key, answer[f"k{number}"]) for number, key in enumerate(keys)
    }
    return JsonRecords(is_json, is_utf8, is_object, Fields(objects, by_key))


@functools.cache
def _query(keys: tuple[str, ...]) -> str:
    paths = ", ".join(_quoted(f'$."{key}"') for key in keys)
    columns = ", ".join(f"v[{number + 1}]::VARCHAR AS k{number}" for number in range(len(keys)))
    # A condition, not a CASE: DuckDB would copy a long text once for every NULL after it.
    extracted = f"SELECT row, json_extract(raw, [{paths}]) AS v FROM t WHERE json_valid(raw)"  # noqa: S608 - quoted
    return f"SELECT row, {columns} FROM ({extracted}) ORDER BY row"  # noqa: S608 - quoted


def _field(
    records: Spans, objects: npt.NDArray[np.int64], key: str, column: pa.ChunkedArray
) -> Field:
    texts = column.combine_chunks()
    spans = Spans.from_arrow(texts)
    kinds = KIND_OF_FIRST_BYTE[spans.buffer[spans.starts]]
    # `nan` begins as `null` does.
    kinds[(kinds == NULL) & (spans.lengths == len("nan"))] = NUMBER
    kinds[texts.is_null().to_numpy(zero_copy_only=False)] = MISSING
    is_string = kinds == STRING
    starts, lengths = spans.starts + is_string, spans.lengths - 2 * is_string
    spans = Spans(spans.buffer, starts, np.maximum(lengths, 0))
    if (spans.buffer == ord("\\")).any():
        return _unescaped(records, objects, key, kinds)
    return Field(spans, kinds)


def _unescaped(
    records: Spans, objects: npt.NDArray[np.int64], key: str, kinds: npt.NDArray[np.uint8]
) -> Field:
    """The same field with escapes of JSON strings resolved."""
    path = _quoted(f'$."{key}"')
    table = pa.table({"raw": records.take(objects).to_arrow()})
    sql = f"SELECT json_extract_string(raw, {path}) AS v FROM t"  # noqa: S608 - quoted
    return Field(Spans.from_arrow(ask(table, sql)["v"].combine_chunks()), kinds)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _valid_utf8(records: Spans) -> Bools:
    valid = np.ones(len(records), bool)
    if not (records.buffer >= 0x80).any():
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
    # } and ] differ in one bit. Back from each to what stands before it and is no blank:
    places = positions_of(buffer | np.uint8(0x20), CLOSING) - 1
    blank = np.flatnonzero(buffer[places] <= ord(" "))
    while len(blank):
        places[blank] -= 1
        blank = blank[(buffer[places[blank]] <= ord(" ")) & (places[blank] > PADDING)]
    found = places[buffer[places] == COMMA]
    rows = np.searchsorted(records.starts, found, side="right") - 1
    rows = rows[rows >= 0]
    for row in np.unique(rows[is_json[rows]]).tolist():
        try:
            # The comma may stand inside a string: only a strict parser knows.
            json.loads(records.text(row))
        except (ValueError, RecursionError):
            is_json[row] = False
