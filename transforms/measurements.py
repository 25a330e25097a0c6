"""Where, when and what a message measured, from its fields; what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.message_formats import MessageFormat
from transforms.fields import DOUBT, NUMBER, STRING, Fault, Field
from transforms.numbers import parse_numbers
from transforms.spans import Bools, Floats, Ints, Spans, gather_words
from transforms.timestamps import Timestamps, parse_timestamps

__all__ = ["MAX_LATITUDE", "MAX_LONGITUDE", "MAX_VALUE", "Measurements", "read_measurements"]

MAX_VALUE = 1e9
"""Values beyond ±1e9 are `out_of_range`: no sensor means them, and sums must stay exact."""

MAX_LATITUDE, MAX_LONGITUDE = 90.0, 180.0
FRANCE = ("france", "fr", "fra")
"""What a message may write, in any case, to say that its country is France."""
MANY = 0.1
"""From this share of bad timestamps on, telling them apart here is cheaper than elsewhere."""


@dataclass(frozen=True)
class Measurements:
    """n measurements; `faults` says of which the message is wrong, the first fault first.

    Attributes:
        times: microseconds since the epoch.
        longitudes, latitudes: degrees.
        micros: values in whole millionths.
        in_france: whether the message says so.
        faults: what is wrong.
    """

    times: Ints
    longitudes: Floats
    latitudes: Floats
    micros: Ints
    in_france: Bools
    faults: list[Fault]

    def spread(self, rows: npt.NDArray[np.int64], count: int) -> Measurements:
        """The same as the given rows of `count`, with zeros in the others; without the faults."""
        times, longitudes, latitudes, micros, in_france = (
            _spread(column, rows, count)
            for column in (self.times, self.longitudes, self.latitudes, self.micros, self.in_france)
        )
        return Measurements(times, longitudes, latitudes, micros, in_france, [])


def read_measurements(
    by_key: Mapping[str, Field], form: MessageFormat, *, strict: bool = False
) -> Measurements:
    """Reads time, place and value of n messages, each of which has all the fields.

    Args:
        by_key: the fields, strings or numbers.
        form: which key is what.
        strict: as for `transforms.interpret.interpret`.
    """
    times, time_fault = _read_times(by_key[form.time].spans, form.time, hasty=strict)
    numbers = {
        key: by_key[key].numbers or parse_numbers(by_key[key].spans, micros=key == form.value)
        for key in (form.latitude, form.longitude, form.value)
    }
    faults = []
    if strict:
        for key, read in numbers.items():
            doubtful = (by_key[key].kinds == NUMBER) & ~read.is_json
            faults.append(Fault(doubtful, DOUBT, "a number may not be JSON"))
    for key, read in numbers.items():
        faults.append(Fault(~read.is_number, "wrong_type", f"the field {key} is not a number"))
    faults.append(time_fault)
    for key, most in ((form.latitude, MAX_LATITUDE), (form.longitude, MAX_LONGITUDE)):
        beyond = ~(np.abs(numbers[key].values) <= most)
        detail = f"the field {key} is not a number from -{most:.0f} to {most:.0f}"
        faults.append(Fault(beyond, "bad_coordinates", detail))
    value, key = numbers[form.value], form.value
    infinite, large = ~np.isfinite(value.values), np.abs(value.values) > MAX_VALUE
    faults.append(Fault(infinite, "not_finite", f"the field {key} is not finite"))
    faults.append(Fault(large, "out_of_range", f"the field {key} is beyond ±{MAX_VALUE:.0e}"))
    return Measurements(
        times.micros,
        numbers[form.longitude].values,
        numbers[form.latitude].values,
        value.micros,
        _says_france(by_key[form.country]),
        faults,
    )


def _read_times(spans: Spans, key: str, *, hasty: bool) -> tuple[Timestamps, Fault]:
    times = parse_timestamps(spans, hasty=hasty)
    bad = np.flatnonzero(~times.good)
    if hasty and len(bad) > MANY * len(spans):
        # What a hasty reader has left is looked at once more.
        again = parse_timestamps(spans.take(bad))
        times.micros[bad], times.good[bad] = again.micros, again.good
    elif hasty:
        return times, Fault(~times.good, DOUBT, f"the field {key} may be a rare form of timestamp")
    return times, Fault(~times.good, "bad_timestamp", f"the field {key} is not a timestamp we know")


def _spread(column: npt.NDArray, rows: npt.NDArray[np.int64], count: int) -> npt.NDArray:
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
