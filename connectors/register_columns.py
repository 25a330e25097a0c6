"""The columns of a device register, from CSV or Parquet, and where in the file each row stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from connectors.input_error import InputError

__all__ = ["COLUMNS", "RegisterRows", "read_columns"]

COLUMNS = ("device_id", "latitude", "longitude", "from", "to")
"""What a register may have; the last two may be missing."""

REQUIRED = COLUMNS[:3]
SYNONYMS = {"device": "device_id"}
PARQUET = b"PAR1"


@dataclass(frozen=True)
class RegisterRows:
    """The rows of a register, as they stand in the file.

    Attributes:
        columns: those of `COLUMNS` that there are, by name. Of a CSV file all are texts, without
            blanks around them.
        place: says where a row is, for example `line 7`.
    """

    columns: dict[str, pa.Array]
    place: Callable[[int], str]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.columns["device_id"])


def read_columns(path: str, data: bytes) -> RegisterRows:
    """The rows of a register.

    Args:
        path: what the file is called in errors.
        data: all of it: Parquet, or CSV with a header.

    Raises:
        InputError: it is neither, or does not have the columns.
    """
    return _parquet(path, data) if data.startswith(PARQUET) else _csv(path, data)


def _parquet(path: str, data: bytes) -> RegisterRows:
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} begins like a Parquet file, but cannot be read as one: {_first_line(error)}"
        raise InputError(msg) from error
    names = _checked(path, table.column_names)
    columns = {
        name: _plain(column.combine_chunks())
        for name, column in zip(names, table.columns, strict=True)
    }
    return RegisterRows(columns, lambda row: f"row {row + 1:,}")


def _plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _csv(path: str, data: bytes) -> RegisterRows:
    try:
        text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
        header = next(csv.reader(text), [])
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} is no register of devices: it is neither CSV in UTF-8 nor Parquet"
        raise InputError(msg) from error
    names = _checked(path, header)
    read = pacsv.ReadOptions(column_names=names, skip_rows=1)
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
    )
    # Arrow takes no file of nothing but a header, where that is what is skipped.
    if not data.partition(b"\n")[2].strip():
        return RegisterRows({name: pa.array([], pa.string()) for name in names}, str)
    try:
        table = pacsv.read_csv(
            io.BytesIO(data),
            read,
            pacsv.ParseOptions(newlines_in_values=b'"' in data),
            convert,
        )
    except pa.ArrowException as error:
        raise InputError(_why_no_csv(path, data, len(names), error)) from error
    columns = {
        name: pc.utf8_trim_whitespace(_plain(table.column(name))).cast(pa.string())
        for name in names
    }
    return RegisterRows(columns, lambda row: f"line {_line(data, row):,}")


def _checked(path: str, header: Sequence[str]) -> list[str]:
    """The names of the columns, as `COLUMNS` has them."""
    stripped = [name.strip() for name in header]
    names = [SYNONYMS.get(name, name) for name in stripped]
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing:
        msg = (
            f"{path} has no column {_listed(missing)}; a register of devices has the columns "
            f"{','.join(COLUMNS)} (the last two may be left out), this file has "
            f"{','.join(stripped) or 'none'}"
        )
    elif unknown:
        msg = (
            f"{path} has the column {_listed(unknown)}, which a register of devices does not have; "
            f"its columns are {','.join(COLUMNS)}"
        )
    elif len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        msg = f"{path} has the column {_listed(twice)} more than once"
    else:
        return names
    raise InputError(msg)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(name or "without a name" for name in names)


def _why_no_csv(path: str, data: bytes, width: int, error: Exception) -> str:
    """A sentence about a file that Arrow does not take: the first line that is not right."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        return f"{path}, line {line:,}: it is not UTF-8; save the file in that encoding"
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for fields in reader:
            if fields and len(fields) != width:
                return (
                    f"{path}, line {reader.line_num:,}: it has {len(fields)} fields, "
                    f"the header has {width}"
                )
    except csv.Error as problem:
        return f"{path}, line {reader.line_num:,}: {problem}; a quote may not be closed"
    return f"{path} cannot be read as CSV: {_first_line(error)}"


def _line(data: bytes, row: int) -> int:
    """On which line of the file a row ends; blank lines are no rows."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""))
    rows = (reader.line_num for fields in reader if fields)
    next(rows)
    return next(line for number, line in enumerate(rows) if number == row)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
