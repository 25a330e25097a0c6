"""All that is wrong with bad messages: one fault is found and put right, then the next one shows.

So every fault is in the parser's own words, and nothing is named that the parser would pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Fault", "all_faults", "fault_of"]

NAMED = re.compile(r"the field (\S+) ")
MISSING = "missing_field"
PLAIN: tuple[Any, ...] = (1, "2000-01-01T00:00:00Z", "1", False)
"""Values that are good in most fields."""
MOST_FAULTS = 12
"""Of one message: more fields than a format has."""
RIGHT, ELSEWHERE, LACKING, FILLED, UNFIT = range(5)
"""Of what was put in, the best: nothing else is wrong; something else is; the message lacks a field
whatever is put in; it needed more fields; it lacks a field that only this value asks for."""


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a message.

    Attributes:
        field: the key that it is about; None where it is about the whole.
        reason: one of `schemas.reasons.REASONS`.
        detail: the case as a sentence.
    """

    field: str | None
    reason: str
    detail: str


@dataclass(frozen=True)
class _Trial:
    """A message with a field put right.

    Attributes:
        number: of the message.
        field: the field.
        text: the message.
        filled: fields that were missing were added, too.
    """

    number: int
    field: str
    text: bytes
    filled: bool


def fault_of(reason: str, detail: str) -> Fault:
    """A fault as the parser has put it."""
    about = NAMED.search(detail)
    return Fault(about[1] if about else None, reason, detail)


def all_faults(
    texts: Sequence[bytes],
    first_faults: Callable[[list[bytes]], Mapping[int, Fault]],
    examples: Sequence[Mapping[str, Any]],
) -> list[list[Fault]]:
    """All faults of messages.

    Args:
        texts: the messages.
        first_faults: the parser: gives the first fault of each bad message, by its number.
        examples: good messages, of every kind one.

    Returns:
        The faults of each message, each field's once.
    """
    found: list[list[Fault]] = [[] for _ in texts]
    left = dict(enumerate(texts))
    faults = dict(first_faults(list(texts)))
    for _ in range(MOST_FAULTS):
        trials: list[_Trial] = []
        for number, fault in faults.items():
            if fault.field in {each.field for each in found[number]}:
                continue
            found[number].append(fault)
            if fault.field is not None:
                trials += _trials(number, left[number], fault.field, examples)
        if not trials:
            break
        best = _best(trials, dict(first_faults([trial.text for trial in trials])))
        left = {number: text for number, (text, _) in best.items()}
        faults = {number: fault for number, (_, fault) in best.items()}
    return found


def _trials(
    number: int, text: bytes, field: str, examples: Sequence[Mapping[str, Any]]
) -> list[_Trial]:
    try:
        # Of a key that stands twice the first counts.
        message = json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    except (ValueError, RecursionError):
        return []
    if not isinstance(message, dict):
        return []
    models = [example for example in examples if field in example]
    values = {repr(value): value for value in (*(model[field] for model in models), *PLAIN)}
    trials = [(False, {**message, field: value}) for value in values.values()]
    trials += [(True, {**model, **message, field: model[field]}) for model in models]
    return [_Trial(number, field, json.dumps(one).encode(), filled) for filled, one in trials]


def _best(trials: Sequence[_Trial], faults: Mapping[int, Fault]) -> dict[int, tuple[bytes, Fault]]:
    """Of each message the best trial and what is wrong there, unless nothing is."""
    lacking: dict[int, set[str | None]] = {}
    for row, trial in enumerate(trials):
        fault = faults.get(row)
        if fault is not None and fault.reason == MISSING and fault.field != trial.field:
            lacking.setdefault(trial.number, set()).add(fault.field)
    best: dict[int, tuple[int, int]] = {}
    for row, trial in enumerate(trials):
        fault = faults.get(row)
        if fault is not None and fault.field == trial.field:
            continue
        rank = RIGHT if fault is None else ELSEWHERE
        if fault is not None and fault.reason == MISSING:
            rank = LACKING if len(lacking[trial.number]) == 1 else UNFIT
        elif trial.filled:
            rank = FILLED
        best[trial.number] = min(best.get(trial.number, (rank, row)), (rank, row))
    return {
        number: (trials[row].text, faults[row])
        for number, (_, row) in best.items()
        if row in faults
    }
