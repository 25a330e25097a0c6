"""Why a record is rejected: the machine-readable reasons and a sentence for each case."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REASONS", "Cause", "Causes"]

REASONS = (
    "not_json",
    "not_an_object",
    "missing_field",
    "null_value",
    "wrong_type",
    "bad_timestamp",
    "bad_coordinates",
    "not_finite",
    "out_of_range",
    "too_large",
    "from_the_future",
    "too_late",
    "parser_failed",
)


@dataclass(frozen=True)
class Cause:
    """One case of rejection.

    Attributes:
        reason: one of `REASONS`.
        detail: the case as a sentence.
    """

    reason: str
    detail: str


class Causes:
    """A list of causes, each with a number that fits into an array of bytes.

    Number 0 is kept for "no cause": the record is good.
    """

    def __init__(self) -> None:
        self._causes: list[Cause] = []
        self._numbers: dict[Cause, int] = {}

    def number(self, reason: str, detail: str) -> int:
        """The number of a cause, given to it when it is first named."""
        cause = Cause(reason, detail)
        if cause not in self._numbers:
            self._causes.append(cause)
            self._numbers[cause] = len(self._causes)
        return self._numbers[cause]

    def __getitem__(self, number: int) -> Cause:
        return self._causes[number - 1]

    def __len__(self) -> int:
        return len(self._causes)

    @property
    def reasons(self) -> list[str]:
        """The reason of every cause, by number less one."""
        return [cause.reason for cause in self._causes]

    @property
    def details(self) -> list[str]:
        """The sentence of every cause, by number less one."""
        return [cause.detail for cause in self._causes]
