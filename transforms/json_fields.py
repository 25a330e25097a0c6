"""Fields of any JSON record, good or bad, by DuckDB: the general way of reading records.

DuckDB parses each record on its own, so a bad one costs no more than itself. It is a little more
lenient than JSON (a comma before a closing bracket); such records are looked for and refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.duck import ask
from transforms.fields import MISSING, NULL, NUMBER, OTHER, STRING, Field, Fields
from transforms.spans import Bools, Spans

__all__ = ["JsonRecords", "read_json"]

KIND_OF_FIRST_BYTE = np.full(256, OTHER, np.uint8)
KIND_OF_FIRST_BYTE[ord('"')] = STRING
KIND_OF_FIRST_BYTE[ord("n")] = NULL
# NaN, Infinity and -Infinity are numbers that are not finite.
KIND_OF_FIRST_BYTE[np.frombuffer(b"-0123456789NI", np.uint8)] = NUMBER
DANGLING_COMMA = re.compile(rb",[ \t\r\n]*[}\]]")
OBJECT = ord("{")


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
    is_json = np.zeros(len(records), bool)
    rows = np.flatnonzero(is_utf8)
    texts = records.take(rows).to_arrow()
    table = pa.table({"raw": texts})
    is_json[rows] = ask(table, "SELECT json_valid(raw) AS ok FROM t")["ok"].to_numpy()
    _refuse_dangling_commas(records, is_json)
    is_object = is_json & (records.buffer[records.starts] == OBJECT)
    objects = np.flatnonzero(is_object)
    if len(objects) != len(rows):
        table = pa.table({"raw": records.take(objects).to_arrow()})
    return JsonRecords(is_json, is_utf8, is_object, Fields(objects, _extract(table, keys)))


def _extract(table: pa.Table, keys: tuple[str, ...]) -> dict[str, Field]:
    paths = ", ".join(_quoted(f'$."{key}"') for key in keys)
    columns = ", ".join(f"v[{number + 1}]::VARCHAR AS k{number}" for number in range(len(keys)))
    sql = f"SELECT {columns} FROM (SELECT json_extract(raw, [{paths}]) AS v FROM t)"  # noqa: S608
    values = ask(table, sql)
    return {key: _field(table, key, values[f"k{number}"]) for number, key in enumerate(keys)}


def _field(table: pa.Table, key: str, column: pa.ChunkedArray) -> Field:
    texts = column.combine_chunks()
    spans = Spans.from_arrow(texts)
    kinds = KIND_OF_FIRST_BYTE[spans.buffer[spans.starts]]
    kinds[texts.is_null().to_numpy(zero_copy_only=False)] = MISSING
    is_string = kinds == STRING
    starts, lengths = spans.starts + is_string, spans.lengths - 2 * is_string
    spans = Spans(spans.buffer, starts, np.maximum(lengths, 0))
    if (spans.buffer == ord("\\")).any():
        return _unescaped(table, key, Field(spans, kinds))
    return Field(spans, kinds)


def _unescaped(table: pa.Table, key: str, field: Field) -> Field:
    """The same field with escapes of JSON strings resolved."""
    path = _quoted(f'$."{key}"')
    sql = f"SELECT json_extract_string(raw, {path}) AS v FROM t"  # noqa: S608 - quoted
    column = ask(table, sql)["v"].combine_chunks()
    return Field(Spans.from_arrow(column), field.kinds)


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
    places = [match.start() for match in DANGLING_COMMA.finditer(records.buffer.data)]
    if not places:
        return
    found: npt.NDArray[np.int64] = np.array(places, np.int64)
    order = np.argsort(records.starts, kind="stable")
    rows = order[np.maximum(np.searchsorted(records.starts[order], found, side="right") - 1, 0)]
    for row in np.unique(rows[is_json[rows]]).tolist():
        try:
            # The comma may stand inside a string: only a strict parser knows.
            json.loads(records.text(row))
        except (ValueError, RecursionError):
            is_json[row] = False
