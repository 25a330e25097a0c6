"""Text made many lines at a time: a block of lines is a table of bytes, one row a line.

Each field has its columns; bytes that are not needed are NUL, and all NULs are dropped at the end.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "CLOCK",
    "DIGITS",
    "HEX",
    "choices",
    "decimals",
    "integers",
    "table",
    "texts",
    "timestamps",
    "uuids",
    "write_decimal",
    "write_uuid",
]

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]

SECONDS_A_DAY = 86_400


def table(values: Sequence[str]) -> Bytes:
    """Strings as rows of bytes, NULs first."""
    encoded = [value.encode() for value in values]
    width = max(map(len, encoded))
    return np.array([list(value.rjust(width, b"\0")) for value in encoded], np.uint8)


def _digits(base: str, width: int) -> Bytes:
    """All numbers of so many digits."""
    digits = np.frombuffer(base.encode(), np.uint8)
    numbers = np.arange(len(base) ** width)
    columns = [numbers // len(base) ** place % len(base) for place in reversed(range(width))]
    return digits[np.stack(columns, axis=1)]


def _clock() -> Bytes:
    """The times of a day: `14:02:10`."""
    second = np.arange(SECONDS_A_DAY)
    two = _digits("0123456789", 2)
    columns = np.full((SECONDS_A_DAY, 8), ord(":"), np.uint8)
    for start, number in ((0, second // 3_600), (3, second // 60 % 60), (6, second % 60)):
        columns[:, start : start + 2] = two[number]
    return columns


HEX = _digits("0123456789abcdef", 4)
DIGITS = _digits("0123456789", 4)
WHOLE = table([str(i) for i in range(10_000)])
CLOCK = _clock()


def choices(of: Bytes, numbers: Integers | npt.NDArray[np.int8]) -> Bytes:
    """The rows of a table that the numbers name."""
    return np.take(of, numbers, axis=0)


def write_uuid(columns: Bytes, first: Hashes, second: Hashes) -> None:
    """Writes UUIDs of version 4 into 36 columns."""
    words = np.stack([first, second], axis=1).astype("<u8").view("<u2").astype(np.int64)
    words[:, 3] = words[:, 3] & 0x0FFF | 0x4000
    words[:, 4] = words[:, 4] & 0x3FFF | 0x8000
    columns[:, [8, 13, 18, 23]] = ord("-")
    for word, start in enumerate([0, 4, 9, 14, 19, 24, 28, 32]):
        columns[:, start : start + 4] = HEX[words[:, word]]


def uuids(first: Hashes, second: Hashes) -> Bytes:
    """UUIDs of version 4 made of two random numbers each."""
    columns = np.empty((len(first), 36), np.uint8)
    write_uuid(columns, first, second)
    return columns


def write_decimal(columns: Bytes, values: Integers, places: int) -> None:
    """Writes `values` / 10^`places` as JSON prints it: without trailing zeros but the first.

    Args:
        columns: 5 + `places` of them, one for the sign, four for the whole part.
        values: below 10^(4 + `places`).
        places: 1 to 8.
    """
    whole, fraction = np.divmod(np.abs(values), 10**places)
    columns[:, 0] = np.where(values < 0, ord("-"), 0)
    end = 6 + places
    columns[:, 1:5] = WHOLE[whole]
    columns[:, 5] = ord(".")
    if places > 4:
        columns[:, 6 : end - 4] = DIGITS[fraction // 10_000][:, 8 - places :]
        columns[:, end - 4 : end] = DIGITS[fraction % 10_000]
    else:
        columns[:, 6:end] = DIGITS[fraction][:, 4 - places :]
    rows = np.arange(len(columns))
    for column in range(end - 1, 6, -1):
        rows = rows[columns[rows, column] == ord("0")]
        columns[rows, column] = 0


def decimals(values: Integers, places: int) -> Bytes:
    """`values` / 10^`places` as JSON prints it."""
    columns = np.empty((len(values), 6 + places), np.uint8)
    write_decimal(columns, values, places)
    return columns


def integers(values: Integers) -> Bytes:
    """Whole numbers from 0 to 10^16 - 1."""
    parts = []
    seen = np.zeros(len(values), bool)
    for power in (12, 8, 4):
        if not (values >= 10**power).any():
            continue
        part = values // 10**power % 10_000
        columns = np.where(seen[:, None], DIGITS[part], WHOLE[part])
        columns[(part == 0) & ~seen] = 0
        seen |= part > 0
        parts.append(columns)
    last = values % 10_000
    parts.append(np.where(seen[:, None], DIGITS[last], WHOLE[last]))
    return np.concatenate(parts, axis=1)


def timestamps(micros: Integers, between: str, *, fraction: bool) -> Bytes:
    """Moments as `2019-02-19 14:02:10`, in UTC.

    Args:
        micros: since the epoch.
        between: the character between date and time.
        fraction: with microseconds.
    """
    seconds, rest = np.divmod(micros, 1_000_000)
    day, clock = np.divmod(seconds, SECONDS_A_DAY)
    columns = np.empty((len(micros), 26 if fraction else 19), np.uint8)
    days, which = np.unique(day, return_inverse=True)
    epoch = datetime.date(1970, 1, 1)
    dates = table([str(epoch + datetime.timedelta(days=int(each))) for each in days] or [" " * 10])
    columns[:, :10] = dates[which]
    columns[:, 10] = ord(between)
    columns[:, 11:19] = CLOCK[clock]
    if fraction:
        columns[:, 19] = ord(".")
        columns[:, 20:22] = DIGITS[rest // 10_000][:, 2:]
        columns[:, 22:26] = DIGITS[rest % 10_000]
    return columns


def texts(count: int, parts: Sequence[bytes | Bytes]) -> list[bytes]:
    """The rows of columns side by side, without their NULs.

    Args:
        count: how many rows.
        parts: the same text for all rows, or a table of them.
    """
    widths = [len(part) if isinstance(part, bytes) else part.shape[1] for part in parts]
    lines = np.empty((count, sum(widths) + 1), np.uint8)
    start = 0
    for part, width in zip(parts, widths, strict=True):
        columns = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part
        lines[:, start : start + width] = columns
        start += width
    lines[:, start] = ord("\n")
    return lines.tobytes().translate(None, b"\0").split(b"\n")[:-1]
