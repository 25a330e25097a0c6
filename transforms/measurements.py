"""Where, when and what a message measured, from its fields; what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.layout import Layout
from transforms.fields import DOUBT, MISSING, NUMBER, STRING, Fault, Field
from transforms.layouts import Codes, Known
from transforms.numbers import Numbers, float_to_micros, parse_numbers
from transforms.spans import Bools, Floats, Ints, Spans, gather_words
from transforms.timestamps import Timestamps, parse_timestamps

__all__ = [
    "MAX_LATITUDE",
    "MAX_LONGITUDE",
    "MAX_VALUE",
    "MEASURED",
    "Measurements",
    "choose_values",
    "read_measurements",
    "read_times",
    "read_values",
]

MAX_VALUE = 1e9
"""Values beyond ±1e9 are `out_of_range`: no sensor means them, and sums must stay exact."""

MEASURED = ("event_time", "latitude", "longitude", "country")
"""The parts of a message that `read_measurements` looks at."""
MAX_LATITUDE, MAX_LONGITUDE = 90.0, 180.0
FRANCE = ("france", "fr", "fra")
"""What a message may write, in any case, to say that its country is France."""
MANY = 0.1
"""From this share of bad timestamps on, telling them apart here is cheaper than elsewhere."""


@dataclass(frozen=True)
class Measurements:
    """When and where n messages measured; `faults` says what is wrong with which.

    Attributes:
        times: microseconds since the epoch.
        longitudes, latitudes: degrees; 0 where messages have none.
        in_france: whether the message says so.
        faults: what is wrong.
    """

    times: Ints
    longitudes: Floats
    latitudes: Floats
    in_france: Bools
    faults: list[Fault]

    def spread(self, rows: npt.NDArray[np.int64], count: int) -> Measurements:
        """The same as the given rows of `count`, with zeros in the others; without the faults."""
        times, longitudes, latitudes, in_france = (
            spread(column, rows, count)
            for column in (self.times, self.longitudes, self.latitudes, self.in_france)
        )
        return Measurements(times, longitudes, latitudes, in_france, [])


def read_measurements(
    by_path: Mapping[str, Field], layout: Layout, *, strict: bool = False
) -> Measurements:
    """Reads time and place of n messages, each of which has all the fields.

    Args:
        by_path: the fields, strings or numbers.
        layout: which path is what.
        strict: as for `transforms.interpret.interpret`.
    """
    paths = layout.paths
    time = by_path[paths["event_time"]]
    times, time_fault = read_times(time.spans, paths["event_time"], hasty=strict)
    faults = [time_fault]
    count = len(times.micros)
    places = [np.zeros(count), np.zeros(count)]
    if layout.has_place:
        parts = (("latitude", MAX_LATITUDE), ("longitude", MAX_LONGITUDE))
        for number, (part, most) in enumerate(parts):
            path = paths[part]
            read = _numbers(by_path[path], path, faults, strict=strict)
            beyond = ~(np.abs(read.values) <= most)
            detail = f"the field {path} is not a number from -{most:.0f} to {most:.0f}"
            faults.append(Fault(beyond, "bad_coordinates", detail))
            places[number] = read.values
    country = by_path.get(paths.get("country", ""))
    said = np.zeros(count, bool) if country is None else _says_france(country)
    return Measurements(times.micros, places[1], places[0], said, faults)


def read_times(spans: Spans, path: str, *, hasty: bool) -> tuple[Timestamps, Fault]:
    """Reads points in time.

    Args:
        spans: their texts.
        path: where they stand.
        hasty: leave a few that are written in another way than the others, as a doubt.
    """
    times = parse_timestamps(spans, hasty=hasty)
    bad = np.flatnonzero(~times.good)
    if hasty and len(bad) > MANY * len(spans):
        # What a hasty reader has left is looked at once more.
        again = parse_timestamps(spans.take(bad))
        times.micros[bad], times.good[bad] = again.micros, again.good
    elif hasty:
        return times, Fault(~times.good, DOUBT, f"the field {path} may be a rare form of timestamp")
    detail = f"the field {path} is not a timestamp we know"
    return times, Fault(~times.good, "bad_timestamp", detail)


def choose_values(
    by_path: Mapping[str, Field], known: Known, chosen: Codes
) -> tuple[Field, Ints | None]:
    """The fields where the values stand, as the quantities say.

    Args:
        by_path: of n messages or entries.
        known: their layout.
        chosen: which of the layout's quantities each measures; -1 for none of them.

    Returns:
        One field, and which of `Layout.values` it is for each; None where there is one path only.
    """
    paths = known.layout.values
    if len(paths) == 1:
        return by_path[paths[0]], None
    first = by_path[paths[0]]
    buffer = first.spans.buffer
    starts, lengths = first.spans.starts.copy(), first.spans.lengths.copy()
    # Where the quantity is not known there is nothing to be said about the value.
    kinds = np.full(len(chosen), STRING, np.uint8)
    which = np.zeros(len(chosen), np.int64)
    for number, quantity in enumerate(known.layout.quantities.values()):
        rows = np.flatnonzero(chosen == number)
        which[rows], kinds[rows] = paths.index(quantity.values[0]), MISSING
        for path in quantity.values:
            field = by_path[path]
            rows = rows[kinds[rows] == MISSING]
            there = rows[field.kinds[rows] != MISSING]
            starts[there], lengths[there] = field.spans.starts[there], field.spans.lengths[there]
            kinds[there], which[there] = field.kinds[there], paths.index(path)
    return Field(Spans(buffer, starts, lengths), kinds), which


def read_values(
    field: Field,
    known: Known,
    chosen: Codes,
    which: Ints | None,
    *,
    strict: bool = False,
) -> tuple[Ints, list[Fault]]:
    """Reads values.

    Args:
        field: where they stand, strings or numbers.
        known: their layout.
        chosen: which of the layout's quantities each measures.
        which: as `choose_values` gives it.
        strict: as for `transforms.interpret.interpret`.

    Returns:
        Whole millionths of the quantities' units, and what is wrong.
    """
    names: Sequence[str] = known.layout.values
    name = "{}" if which is not None else names[0]
    names = names if which is not None else ()
    faults: list[Fault] = []
    read = _numbers(field, name, faults, strict=strict, micros=True, names=names, which=which)
    values, micros = read.values, read.micros
    for number, quantity in enumerate(known.layout.quantities.values()):
        if (quantity.factor, quantity.offset) != (1.0, 0.0):
            rows = np.flatnonzero(chosen == number)
            if len(rows):
                if values is read.values:
                    values, micros = values.copy(), micros.copy()
                with np.errstate(over="ignore", invalid="ignore"):
                    values[rows] = values[rows] * quantity.factor + quantity.offset
                micros[rows] = float_to_micros(values[rows])
    infinite, large = ~np.isfinite(values), np.abs(values) > MAX_VALUE
    for wrong, reason, what in (
        (infinite, "not_finite", "is not finite"),
        (large, "out_of_range", f"is beyond ±{MAX_VALUE:.0e}"),
    ):
        faults.append(Fault(wrong, reason, f"the field {name} {what}", names, which))
    return micros, faults


def _numbers(
    field: Field,
    path: str,
    faults: list[Fault],
    *,
    strict: bool,
    micros: bool = False,
    names: Sequence[str] = (),
    which: Ints | None = None,
) -> Numbers:
    read = field.numbers or parse_numbers(field.spans, micros=micros)
    if strict:
        doubtful = (field.kinds == NUMBER) & ~read.is_json
        faults.append(Fault(doubtful, DOUBT, "a number may not be JSON"))
    detail = f"the field {path} is not a number"
    faults.append(Fault(~read.is_number, "wrong_type", detail, names, which))
    return read


def spread(column: npt.NDArray, rows: npt.NDArray[np.int64], count: int) -> npt.NDArray:
    """A column as the given rows of `count`, with zeros in the others."""
    full = np.zeros(count, column.dtype)
    full[rows] = column
    return full


def _says_france(country: Field) -> Bools:
    lengths = country.spans.lengths
    word, _ = gather_words(country.spans.buffer, country.spans.starts)
    says = np.zeros(len(lengths), bool)
    for name in FRANCE:
        mask = np.uint64((1 << (8 * len(name))) - 1)
        lower = (word | np.uint64(0x2020202020202020)) & mask
        says |= (lengths == len(name)) & (
            lower == np.uint64(int.from_bytes(name.encode(), "little"))
        )
    return says & (country.kinds == STRING)
