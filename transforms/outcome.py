"""What becomes of the records of a block: readings, and rejected records."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.reasons import Causes
from transforms.check_arrival import ArrivalRule
from transforms.columns import Columns, reading_batch
from transforms.layouts import FormatSet
from transforms.origin import Origin
from transforms.parsed import Parsed, Records
from transforms.spans import Ints

__all__ = ["Outcome", "Rules"]


@dataclass(frozen=True)
class Rules:
    """What holds for all blocks of a parser.

    Attributes:
        formats: the formats of the messages.
        causes: numbers the causes of rejection.
        arrival_rule: which readings are too late or from the future; None: none is.
        hashed: as for `transforms.rejections.rejections`.
        arrival_causes: numbers the causes that the arrival rule names.
    """

    formats: FormatSet
    causes: Causes
    arrival_rule: ArrivalRule | None
    hashed: bool
    arrival_causes: Causes = field(default_factory=Causes)


class Outcome:
    """Gathers what a block held.

    Args:
        rules: of the parser.
        origin: where the block comes from.
    """

    def __init__(self, rules: Rules, origin: Origin) -> None:
        self._rules, self.origin = rules, origin
        self.parsed = Parsed()

    def add(self, columns: Columns, sure: Ints, records: Records) -> None:
        """Adds some rows of the columns, as the readings or the rejected ones that they are."""
        causes = columns.causes if len(sure) == len(columns) else columns.causes[sure]
        good = np.flatnonzero(causes == 0)
        all_good = len(good) == len(sure)
        good = sure if all_good else sure[good]
        if len(good):
            rows = columns.rows if len(good) == len(columns) else columns.rows[good]
            arrivals = self.origin.arrivals(records.starts[rows])
            batch = reading_batch(columns, good, self._rules.formats, self.origin.place, arrivals)
            self._take(batch, columns, good, records)
        if not all_good:
            bad = sure[causes != 0]
            self._reject(columns, bad, records, columns.causes[bad], self._rules.causes)

    def refuse(self, rows: Ints, causes: npt.NDArray[np.uint16], records: Records) -> None:
        """Adds records that are rejected as a whole."""
        if len(rows):
            rules = self._rules
            self.parsed.reject(records, rows, None, causes, rules.causes, self.origin, rules.hashed)

    def _take(self, batch: pa.RecordBatch, columns: Columns, rows: Ints, records: Records) -> None:
        """Adds the readings of some rows of the columns, as what their arrival makes of them."""
        rule, meaning, parsed = self._rules.arrival_rule, self._rules.arrival_causes, self.parsed
        cause = None if rule is None else rule.causes(batch, meaning)
        if cause is None:
            parsed.readings.append(batch)
            return
        wrong = np.flatnonzero(cause)
        self._reject(columns, rows[wrong], records, cause[wrong], meaning)
        late = np.array(["", *meaning.reasons])[cause] == "too_late"
        for kept, batches in ((cause == 0, parsed.readings), (late, parsed.too_late)):
            if kept.any():
                batches.append(batch.filter(pa.array(kept)))

    def _reject(
        self,
        columns: Columns,
        rows: Ints,
        records: Records,
        causes: npt.NDArray[np.unsignedinteger],
        meaning: Causes,
    ) -> None:
        entries = None if columns.entries is None else columns.entries[rows]
        numbers, hashed = columns.rows[rows], self._rules.hashed
        self.parsed.reject(records, numbers, entries, causes, meaning, self.origin, hashed)
