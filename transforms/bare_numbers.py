"""Records that are bare numbers of one quantity: readings made of a value and its arrival."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from schemas.reasons import Causes
from transforms.blame import Blame
from transforms.columns import Columns
from transforms.fields import NULL, OTHER, Fault, Field
from transforms.integers import FINE, parse_integers
from transforms.json_fields import read_json, typed_texts
from transforms.layouts import Known
from transforms.measurements import MAX_VALUE
from transforms.millionths import MICROS, float_to_micros
from transforms.numbers import parse_numbers
from transforms.origin import Origin
from transforms.spans import PADDING, Bools, Ints, Spans, padded

__all__ = ["read_bare_numbers"]

UNTIMED = (
    "a bare number has no time of its own: it takes that of its arrival by a queue or a response, "
    "and a file has none"
)


def read_bare_numbers(
    records: Spans, known: Known, origin: Origin, causes: Causes, *, whole: bool
) -> Columns:
    """Reads records as values of the quantity that the options name.

    Args:
        records: the records.
        known: their layout: its one quantity is also the sensor.
        origin: where they come from: their places are their ids, their arrivals their times.
        causes: gives the numbers of the causes.
        whole: only integers are values.

    Returns:
        A row a record.
    """
    count = len(records)
    integers = parse_integers(records, hasty=True)
    plain = (integers.faults == FINE) & integers.is_json
    plain &= np.abs(integers.values) <= int(MAX_VALUE)
    micros = np.where(plain, integers.values, 0) * MICROS
    blame = Blame(count, causes)
    arrivals = origin.arrivals(records.starts)
    others = np.flatnonzero(~plain)
    if len(others):
        _read_others(records.take(others).compact(), others, micros, blame, arrivals, whole=whole)
    if arrivals is None:
        blame.put([Fault(np.ones(count, bool), "missing_field", UNTIMED)])
    (quantity,) = known.layout.quantities.values()
    nothing = np.zeros(count, np.int64)
    sensor = quantity.name.encode()
    times = np.broadcast_to(np.asarray(0 if arrivals is None else arrivals, np.int64), count)
    return Columns(
        np.arange(count),
        None,
        Spans.from_arrow(origin.identifiers(records.starts)),
        Spans(padded(sensor), nothing + PADDING, nothing + len(sensor)),
        np.full(count, known.number, np.int8),
        known.codes.take(nothing),
        times,
        nothing.astype(np.float64),
        nothing.astype(np.float64),
        micros,
        nothing.astype(bool),
        nothing,
        nothing.astype(np.int8),
        nothing.astype(bool),
        blame.cause,
    )


def _read_others(
    records: Spans,
    rows: Ints,
    micros: Ints,
    blame: Blame,
    arrivals: int | Ints | None,
    *,
    whole: bool,
) -> None:
    """Fills in, of some rows, the values that are no plain integers; says what is wrong."""
    read = read_json(records, ())
    blame.put(
        [
            Fault(~read.is_utf8, "not_json", "the record is not valid UTF-8"),
            Fault(read.is_utf8 & ~read.is_json, "not_json", "the record is not valid JSON"),
        ],
        rows,
    )
    if arrivals is None:
        return
    json = np.flatnonzero(read.is_json)
    texts = pa.array([records.text(row) for row in json.tolist()], pa.string())
    field = typed_texts(texts, ("$",))["$"]
    values, faults = _values(field, whole=whole)
    blame.put(faults, rows[json])
    micros[rows[json]] = values


def _values(field: Field, *, whole: bool) -> tuple[Ints, list[Fault]]:
    numbers = parse_numbers(field.spans)
    values = numbers.values
    return float_to_micros(np.nan_to_num(values)), list(
        _faults(field, values, numbers.is_number, whole)
    )


def _faults(field: Field, values: np.ndarray, is_number: Bools, whole: bool) -> Iterator[Fault]:
    wanted = "an integer" if whole else "a number"
    yield Fault(field.kinds == NULL, "null_value", "the record is null")
    fraction = np.isfinite(values) & (values != np.trunc(values)) & whole
    wrong = (field.kinds == OTHER) | ~is_number | fraction
    yield Fault(wrong, "wrong_type", f"the record is not {wanted}")
    yield Fault(~np.isfinite(values), "not_finite", "the record is not finite")
    large = np.abs(values) > MAX_VALUE
    yield Fault(large, "out_of_range", f"the record is beyond ±{MAX_VALUE:.0e}")
