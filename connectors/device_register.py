"""A register of devices: where each stands and when. Reading the file, and checking it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.input_files import InputError, InputFile, open_file
from connectors.register_columns import RegisterRows, read_columns
from transforms.devices import Devices
from transforms.measurements import MAX_LATITUDE, MAX_LONGITUDE
from transforms.spans import Bools, Floats, Ints, Spans
from transforms.timestamps import parse_timestamps

__all__ = ["devices_in", "read_devices"]

ALWAYS = -(2**63), 2**63 - 1
"""When a stay begins and ends that has no beginning and no end, in microseconds."""

DATE = r"^\d{4}-\d{2}-\d{2}$"


def read_devices(path: str) -> Devices:
    """The devices of a file.

    Args:
        path: CSV or Parquet, local or of any file system that Beam knows (`gs://…`).

    Raises:
        InputError: it cannot be read, or something in it is wrong: one sentence with the line.
    """
    with open_file(InputFile(path, 0)) as file:
        try:
            data = file.read()
        except Exception as error:  # what Beam's file systems raise has no class in common
            msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
            raise InputError(msg) from error
    return devices_in(data, path)


def devices_in(data: bytes, path: str) -> Devices:
    """The devices of a file's content.

    Args:
        data: all of the file.
        path: what it is called in errors.

    Raises:
        InputError: something in it is wrong: one sentence with the line.
    """
    rows = read_columns(path, data)
    if not len(rows):
        msg = f"{path} holds no devices"
        raise InputError(msg)
    check = _Check(path, rows)
    names = check.names()
    latitude = check.degrees("latitude", MAX_LATITUDE)
    longitude = check.degrees("longitude", MAX_LONGITUDE)
    since, until = check.times("from", ALWAYS[0]), check.times("to", ALWAYS[1])
    check.refuse(until <= since, lambda row: _backwards(since[row : row + 1], until[row : row + 1]))
    encoded = names.dictionary_encode()
    numbers = np.asarray(encoded.indices)
    if len(encoded.dictionary) == len(names):
        first = np.arange(len(names) + 1)
        return Devices.of(names, first, since, until, longitude, latitude)
    order = np.lexsort((since, numbers))
    numbers, since, until = numbers[order], since[order], until[order]
    longitude, latitude = longitude[order], latitude[order]
    overlaps = np.flatnonzero((numbers[1:] == numbers[:-1]) & (since[1:] < until[:-1]))
    if len(overlaps):
        one = int(overlaps[0])
        same = all(column[one] == column[one + 1] for column in (since, until, longitude, latitude))
        raise InputError(check.overlap(names, *sorted(order[one : one + 2].tolist()), same=same))
    first = np.append(np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers))
    return Devices.of(encoded.dictionary, first, since, until, longitude, latitude)


@dataclass(frozen=True)
class _Check:
    """Takes the columns of a register as what they must be."""

    path: str
    rows: RegisterRows

    def refuse(self, wrong: Bools, why: str | Callable[[int], str]) -> None:
        """Raises a sentence about the first row that is wrong, if there is one."""
        found = np.flatnonzero(wrong)
        if len(found):
            row = int(found[0])
            raise self._error(row, why(row) if callable(why) else why)

    def names(self) -> pa.Array:
        column = self.rows.columns["device_id"]
        if not (_is_text(column.type) or pa.types.is_integer(column.type)):
            msg = f"{self.path}: device_id is {column.type}, neither text nor whole numbers"
            raise InputError(msg)
        names = column.cast(pa.string())
        self.refuse(_true(pc.fill_null(pc.equal(names, ""), True)), "the device_id is empty")
        return names

    def degrees(self, name: str, most: float) -> Floats:
        column = self.rows.columns[name]
        if _is_text(column.type):
            column = self._numbers(name, column)
        elif not _is_number(column.type):
            msg = f"{self.path}: {name} is {column.type}, not numbers of degrees"
            raise InputError(msg)
        column = column.cast(pa.float64())
        self.refuse(_true(column.is_null()), f"the {name} is missing")
        degrees = column.to_numpy()
        with np.errstate(invalid="ignore"):
            good = np.abs(degrees) <= most
        self.refuse(~good, lambda row: f"the {name} {degrees[row]:g} is beyond ±{most:g}")
        return degrees

    def _numbers(self, name: str, column: pa.Array) -> pa.Array:
        """Texts as numbers."""
        if len(column) != column.null_count:
            self.refuse(_true(pc.fill_null(pc.equal(column, ""), False)), f"the {name} is missing")
        if _casts(column):
            return column.cast(pa.float64())
        low, high = 0, len(column)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _casts(column[low:middle]) else (low, middle)
        raise self._error(low, f"the {name} {_short(column[low].as_py())} is no number")

    def times(self, name: str, missing: int) -> Ints:
        """Microseconds since the epoch; `missing` where there is none."""
        column = self.rows.columns.get(name)
        if column is None or column.null_count == len(column):
            return np.full(len(self.rows), missing)
        if _is_text(column.type):
            return self._moments(name, column.cast(pa.string()), missing)
        if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
            msg = f"{self.path}: {name} is {column.type}, not times"
            raise InputError(msg)
        moments = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
        return np.asarray(moments.view(pa.int64()).fill_null(missing))

    def _moments(self, name: str, texts: pa.Array, missing: int) -> Ints:
        empty = _true(pc.fill_null(pc.equal(texts, ""), True))
        if empty.all():
            return np.full(len(texts), missing)
        days = pc.fill_null(pc.match_substring_regex(texts, DATE), False)
        whole = texts
        if days.true_count:
            midnight = pc.binary_join_element_wise(texts, "00:00:00", " ")
            whole = pc.if_else(days, midnight, texts)
        read = parse_timestamps(Spans.from_arrow(whole))
        self.refuse(
            ~read.good & ~empty,
            lambda row: f"{name} is {_short(texts[row].as_py())}, which is no time",
        )
        return np.where(empty, missing, read.micros)

    def overlap(self, names: pa.Array, one: int, other: int, *, same: bool) -> str:
        """A sentence about two rows of one device."""
        here, there = self.rows.place(other), self.rows.place(one)
        if same:
            return f"{self.path}, {here}: it repeats {there}"
        device = _short(names[one].as_py())
        return (
            f"{self.path}, {here}: the time of device {device} overlaps that of {there}; a device "
            "is at one place at a time, from inclusive, to exclusive"
        )

    def _error(self, row: int, why: str) -> InputError:
        return InputError(f"{self.path}, {self.rows.place(row)}: {why}")


def _backwards(since: Ints, until: Ints) -> str:
    begin, end = (np.datetime_as_string(each.view("M8[us]"), "s")[0] for each in (since, until))
    return f"it is from {begin}Z to {end}Z, which is no time at all"


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
    )


def _casts(texts: pa.Array) -> bool:
    try:
        texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _true(column: pa.Array) -> Bools:
    return column.to_numpy(zero_copy_only=False)


def _short(text: str) -> str:
    """A text as it can stand in a sentence."""
    most = 60
    return repr(text if len(text) <= most else text[:most] + "…")
