"""Rows of an answer as a table for eyes, as CSV or as JSON.

Timestamps are written like 2019-02-19T14:00:00Z in all of them; CSV and JSON have floats in the
shortest form that reads back as the same number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["FORMATS", "render"]

MAX_CELL = 100
"""Characters of a cell in a table for eyes; CSV and JSON have all of them."""

MAX_DECIMALS = 4
BATCH_ROWS = 10_000
UNSAFE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
UNSAFE |= {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
UNSAFE |= {
    code: f"\\u{code:04x}"
    for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
"""Control characters as what they are called, for a terminal would obey them: those that turn the
direction of a text too."""


def render(rows: pa.Table, form: str, out: TextIO) -> None:
    """Writes the rows.

    Args:
        rows: the answer.
        form: one of `FORMATS`.
        out: where to.
    """
    FORMATS[form](rows, out)


def _write_csv(rows: pa.Table, out: TextIO) -> None:
    out.write(",".join(_quoted(name) for name in rows.schema.names) + "\n")
    for batch in rows.to_batches(BATCH_ROWS):
        columns = [_texts(column, quote=_quoted) for column in batch.columns]
        out.writelines(
            ",".join("" if cell is None else cell for cell in row) + "\n"
            for row in zip(*columns, strict=True)
        )


def _quoted(text: str) -> str:
    """A text as a CSV field; the empty text in quotes, to differ from NULL."""
    if not text or any(letter in text for letter in ',"\n\r') or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text


def _write_json(rows: pa.Table, out: TextIO) -> None:
    names = rows.schema.names
    before = "[\n"
    for batch in rows.to_batches(BATCH_ROWS):
        columns = [_values(column) for column in batch.columns]
        for row in zip(*columns, strict=True):
            out.write(before)
            out.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False))
            before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


def _write_table(rows: pa.Table, out: TextIO) -> None:
    columns = []
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        cells = _cells(column)
        header = _shown(name)
        width = max([len(header), *map(len, cells)])
        pad = str.rjust if _is_number(column.type) else str.ljust
        columns.append([pad(header, width), "-" * width, *(pad(cell, width) for cell in cells)])
    out.writelines("  ".join(line).rstrip() + "\n" for line in zip(*columns, strict=True))
    out.write(f"({rows.num_rows:,} row{'' if rows.num_rows == 1 else 's'})\n")


def _cells(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_floating(column.type):
        cells = _readable(column.to_pylist())
    else:
        cells = [text for chunk in column.chunks for text in _texts(chunk, quote=_shown)]
    return ["NULL" if cell is None else cell for cell in cells]


def _shown(text: str) -> str:
    safe = text[: MAX_CELL + 1].translate(UNSAFE)
    return safe if len(safe) <= MAX_CELL else safe[: MAX_CELL - 1] + "…"


def _readable(values: list[float | None]) -> list[str | None]:
    """Floats with as many decimals as the column needs, up to four, so that they stand in line."""
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    if any(value and not 1e-3 <= value < 1e12 for value in finite):
        return [_float_text(value) if value is None else f"{value:.6g}" for value in values]
    decimals = 1
    for value in finite:
        fraction = f"{value:.{MAX_DECIMALS}f}".rstrip("0").partition(".")[2]
        decimals = max(decimals, len(fraction))
        if decimals == MAX_DECIMALS:
            break
    return [
        f"{value:.{decimals}f}"
        if value is not None and math.isfinite(value)
        else _float_text(value)
        for value in values
    ]


def _float_text(value: float | None) -> str | None:
    if value is None:
        return None
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _texts(column: pa.Array, quote: Callable[[str], str]) -> list[str | None]:
    """The cells of a column as text; `quote` is for those whose text may be anything."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _moments(column)
    if pa.types.is_floating(kind):
        return [_float_text(value) for value in column.to_pylist()]
    if pa.types.is_boolean(kind):
        names = {True: "true", False: "false", None: None}
        return [names[value] for value in column.to_pylist()]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [None if value is None else quote(value) for value in column.to_pylist()]
    if pa.types.is_nested(kind):
        return [
            None if value is None else quote(json.dumps(value, ensure_ascii=False))
            for value in _values(column)
        ]
    return [None if value is None else str(value) for value in column.to_pylist()]


def _moments(column: pa.Array) -> list[str | None]:
    """Timestamps as ISO 8601, with a fraction only where there is one."""
    zone = "Z" if column.type.tz else ""
    instants = column.cast(pa.timestamp("us"))
    whole = pc.strftime(pc.floor_temporal(instants, unit="second").cast(pa.timestamp("s")), _ISO)
    exact = pc.strftime(instants, _ISO)
    is_whole = pc.equal(instants, pc.floor_temporal(instants, unit="second"))
    texts = pc.if_else(is_whole, whole, exact).to_pylist()
    return [None if text is None else text + zone for text in texts]


_ISO = "%Y-%m-%dT%H:%M:%S"


def _values(column: pa.Array) -> list[Any]:
    """The cells of a column as JSON values."""
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind):
        return list(column.to_pylist())
    if pa.types.is_decimal(kind):  # a sum of integers
        return [None if value is None else int(value) for value in column.to_pylist()]
    if pa.types.is_floating(kind):
        return [
            value if value is None or math.isfinite(value) else _float_text(value)
            for value in column.to_pylist()
        ]
    if pa.types.is_struct(kind):
        fields = [_values(column.field(i)) for i in range(kind.num_fields)]
        names = [kind.field(i).name for i in range(kind.num_fields)]
        rows: Iterator[tuple[Any, ...]] = zip(*fields, strict=True)
        present = column.is_valid().to_pylist()
        return [
            dict(zip(names, row, strict=True)) if here else None
            for row, here in zip(rows, present, strict=True)
        ]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        # Each list by itself: a column's values may lie anywhere in its buffer.
        return [_values(item.values) if item.is_valid else None for item in column]
    return list(_texts(column, quote=str))


FORMATS: dict[str, Callable[[pa.Table, TextIO], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
}
"""Writers by the name of the format."""
