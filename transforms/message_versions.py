"""The version of a message, and whether it takes its reading back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.layout import Layout
from schemas.reading import VersionKind
from transforms.fields import DOUBT, NULL, OTHER, Fault, Field, Fields
from transforms.integers import FINE, NOT_FINITE, NOT_INTEGER, TOO_LARGE, parse_integers
from transforms.spans import Bools, Ints
from transforms.timestamps import parse_timestamps

__all__ = ["Versions", "read_deletions", "read_versions"]

TRUE, FALSE = ord("t"), ord("f")


@dataclass(frozen=True)
class Versions:
    """n versions; `faults` says of which the message is wrong, the first fault first.

    Attributes:
        numbers: the versions, 0 for none.
        kinds: what each is, a number of `VersionKind`.
        faults: what is wrong.
    """

    numbers: Ints
    kinds: npt.NDArray[np.int8]
    faults: list[Fault]


def read_deletions(fields: Fields, layout: Layout) -> tuple[Bools, list[Fault]]:
    """Which messages take their reading back, and what is wrong with those that may mean it.

    Args:
        fields: of n records.
        layout: which path is what.
    """
    path = layout.paths.get("deleted", "")
    field = fields.by_path.get(path)
    if field is None:
        return np.zeros(len(fields.rows), bool), []
    there = field.kinds > NULL
    if not there.any():
        return there, []
    first = field.spans.buffer[field.spans.starts]
    boolean = (field.kinds == OTHER) & ((first == TRUE) | (first == FALSE))
    detail = f"the field {path} is neither true nor false"
    return boolean & (first == TRUE), [Fault(there & ~boolean, "wrong_type", detail)]


def read_versions(fields: Fields, layout: Layout, *, strict: bool = False) -> Versions:
    """The versions of the messages: their number, else the time of their last change, else none.

    Args:
        fields: of n records.
        layout: which path is what.
        strict: as for `interpret`.
    """
    count = len(fields.rows)
    versions = Versions(np.zeros(count, np.int64), np.zeros(count, np.int8), [])
    paths = layout.paths
    number = fields.by_path.get(paths.get("version", ""))
    updated = fields.by_path.get(paths.get("updated_at", ""))
    if updated is not None and (updated.kinds > NULL).any():
        # Where there is a number, the time is not looked at.
        wanted = np.ones(count, bool) if number is None else number.kinds <= NULL
        _read_times(updated, wanted, versions, paths["updated_at"], hasty=strict)
    if number is not None and (number.kinds > NULL).any():
        _read_numbers(number, versions, paths["version"], strict=strict)
    return versions


def _read_numbers(field: Field, versions: Versions, key: str, *, strict: bool) -> None:
    there = field.kinds > NULL
    integers = parse_integers(field.spans, hasty=strict)
    versions.numbers[there] = integers.values[there]
    versions.kinds[there] = VersionKind.VERSION
    if strict:
        doubtful = there & ((integers.faults != FINE) | ~integers.is_json)
        versions.faults.append(Fault(doubtful, DOUBT, f"the field {key} may be an integer"))
        return
    other = field.kinds == OTHER
    wrong = other | (there & (integers.faults == NOT_INTEGER))
    infinite = there & (integers.faults == NOT_FINITE)
    large = there & (integers.faults == TOO_LARGE)
    versions.faults.extend(
        [
            Fault(wrong, "wrong_type", f"the field {key} is not an integer"),
            Fault(infinite, "not_finite", f"the field {key} is not finite"),
            Fault(large, "out_of_range", f"the field {key} is beyond 64 bits"),
        ]
    )


def _read_times(field: Field, wanted: Bools, versions: Versions, key: str, *, hasty: bool) -> None:
    there = wanted & (field.kinds > NULL)
    other = there & (field.kinds == OTHER)
    times = parse_timestamps(field.spans, hasty=hasty)
    versions.numbers[there] = times.micros[there]
    versions.kinds[there] = VersionKind.UPDATED_AT
    bad = there & ~times.good
    if hasty:
        detail = f"the field {key} may be a rare form of timestamp"
        versions.faults.append(Fault(bad, DOUBT, detail))
        return
    versions.faults.extend(
        [
            Fault(other, "wrong_type", f"the field {key} is not a string or an integer"),
            Fault(bad, "bad_timestamp", f"the field {key} is not a timestamp we know"),
        ]
    )
