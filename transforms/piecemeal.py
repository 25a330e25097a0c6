"""Records at which the parser has failed, read in ever smaller parts: the rest of them is good."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.reasons import Causes
from transforms.outcome import Outcome
from transforms.parsed import Parsed, Records
from transforms.spans import Spans

__all__ = ["read_piecemeal"]

FAILED = "the parser fails at it with {}: a fault of this program"


def read_piecemeal(
    records: Spans,
    error: Exception,
    begin: Callable[[], Outcome],
    read: Callable[[Spans, Outcome], None],
    causes: Causes,
) -> Parsed:
    """Reads half and half, and so on, by the general way: what it fails at is rejected.

    A stream would bring the same block again and again.

    Args:
        records: the records.
        error: what the parser failed with.
        begin: makes an outcome of no records.
        read: adds records to an outcome.
        causes: numbers of causes.

    Raises:
        MemoryError: there is too little memory.
    """
    outcome = begin()
    if len(records) == 1:
        cause = causes.number("parser_failed", FAILED.format(type(error).__name__))
        whole = Records(records.compact(), records.starts)
        outcome.refuse(np.zeros(1, np.int64), np.array([cause], np.uint16), whole)
        return outcome.parsed
    middle = len(records) // 2
    for half in (records.take(np.s_[:middle]), records.take(np.s_[middle:])):
        part = begin()
        try:
            read(half, part)
            parsed = part.parsed
        except MemoryError:
            raise
        except Exception as again:
            parsed = read_piecemeal(half, again, begin, read, causes)
        outcome.parsed.extend(parsed)
    return outcome.parsed
