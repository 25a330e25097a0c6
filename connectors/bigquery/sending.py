"""Sends rows to a table until each is written or known not to fit, with bounded patience.

How rows are sent (as JSON, or as Arrow) is another module's; here is what becomes of the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
from google.api_core.retry import exponential_sleep_generator

from connectors.bigquery.failures import FailedRow, json_row
from connectors.bigquery.transient import one_line
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError

__all__ = ["LARGEST_REQUEST", "Answer", "Patience", "Sender", "Sent", "Why", "halves", "send_rows"]

LARGEST_REQUEST = 9 << 20
"""Bytes of a request, at most, for either way to stream: BigQuery takes 10 MB."""

Why = tuple[str, str]
FIRST_WAIT, LONGEST_WAIT = 0.2, 20.0


@dataclass(frozen=True)
class Answer:
    """What became of a part of the rows.

    Attributes:
        refused: rows that do not fit, by their number in the part, and why: a reason for a machine
            and a sentence.
        left: what is not written yet.
        trouble: why it is not, where that may pass by itself; None where it is to be sent at once.
    """

    refused: Mapping[int, Why] = field(default_factory=dict)
    left: Sequence[pa.RecordBatch] = ()
    trouble: Exception | None = None


class Sender(Protocol):
    """A way to write rows."""

    def parts(self, rows: pa.RecordBatch) -> Sequence[pa.RecordBatch]:
        """The rows in parts, each small enough for a request."""
        ...

    def send(self, table: str, parts: Sequence[pa.RecordBatch]) -> Sequence[Answer]:
        """Sends parts to a table.

        Returns:
            One answer for each part.

        Raises:
            OutputError: the table cannot be written at all.
        """
        ...


class Patience:
    """How long to go on, and when to ask again: later each time, and never at the same moment.

    Args:
        seconds: how long nothing may succeed.
        sleep: waits.
    """

    def __init__(self, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self.seconds, self._sleep = seconds, sleep
        self.succeeded()

    def succeeded(self) -> None:
        """Something was written: the time begins anew."""
        self._until: float | None = None
        self._waits = exponential_sleep_generator(FIRST_WAIT, LONGEST_WAIT)

    def wait(self, what: str, error: BaseException) -> None:
        """Waits before the next attempt.

        Args:
            what: is not possible.
            error: why.

        Raises:
            OutputError: the time is up.
        """
        now = time.monotonic()
        if self._until is None:
            self._until = now + self.seconds
        if now >= self._until:
            msg = (
                f"{what} for {self.seconds:g} s: {one_line(error)} (--bigquery_retry_for waits "
                "longer)"
            )
            raise OutputError(msg) from error
        self._sleep(min(next(self._waits), self._until - now))


@dataclass
class Sent:
    """What became of rows.

    Attributes:
        written: how many are in the table.
        retried: how often rows were sent once more.
        failed: those that do not fit.
    """

    written: int = 0
    retried: int = 0
    failed: list[FailedRow] = field(default_factory=list)


def send_rows(
    sender: Sender, dataset: Dataset, table: str, rows: pa.RecordBatch, patience: Patience
) -> Sent:
    """Sends rows until each is written or refused for good.

    Args:
        sender: how they are sent.
        dataset: where the table is.
        table: its name.
        rows: of the table's columns.
        patience: how long trouble may last.

    Raises:
        OutputError: the table cannot be written, or trouble lasts for too long.
    """
    done = Sent()
    parts = list(sender.parts(rows)) if rows.num_rows else []
    patience.succeeded()
    while parts:
        answers = sender.send(table, parts)
        left: list[pa.RecordBatch] = []
        before, trouble = _rows(parts), None
        for part, answer in zip(parts, answers, strict=True):
            left += answer.left
            trouble = answer.trouble or trouble
            done.failed += [
                FailedRow(table, *why, json_row(part, number))
                for number, why in sorted(answer.refused.items())
            ]
            done.written += part.num_rows - len(answer.refused) - _rows(answer.left)
        parts = left
        done.retried += _rows(left)
        if _rows(left) < before:
            patience.succeeded()
        if trouble is not None:
            patience.wait(f"{dataset.table(table)} takes no rows", trouble)
    return done


def halves(part: pa.RecordBatch, why: Why) -> Answer:
    """The answer for a part that was refused as a whole, no row named: the fault is in one half.

    Args:
        part: what was sent.
        why: it was refused.
    """
    if part.num_rows == 1:
        return Answer({0: why})
    middle = part.num_rows // 2
    return Answer(left=[part.slice(0, middle), part.slice(middle)])


def _rows(parts: Sequence[pa.RecordBatch]) -> int:
    return sum(part.num_rows for part in parts)
