"""Checks that the programs compared give the same answers: only then is their time comparable."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["AnswersDifferError", "check_counts", "check_means", "read_means"]

Means = dict[tuple[str, str], tuple[int, float]]

TOLERANCE = 1e-9  # relative, or in degrees where a mean is near 0


class AnswersDifferError(Exception):
    """Two programs, or a program and the generator, disagree."""


def read_means(lines: Iterable[str]) -> Means:
    """Hourly means from CSV.

    Args:
        lines: with the columns `region_code, hour, count, mean` and a header.

    Returns:
        Count and mean by region code and hour.
    """
    return {
        (row["region_code"], row["hour"]): (int(row["count"]), float(row["mean"]))
        for row in csv.DictReader(lines)
    }


def check_means(job: Means, peer: Means) -> None:
    """Compares the job's hourly means with a peer's.

    Raises:
        AnswersDifferError: rows are missing, or counts differ, or means by more than 1e-9.
    """
    if not job and not peer:
        msg = "there are no hourly means to compare"
        raise AnswersDifferError(msg)
    nothing = 0, math.nan
    different = [
        f"{key}: job {ours}, peer {theirs}"
        for key in sorted(job.keys() | peer.keys())
        for ours, theirs in [(job.get(key, nothing), peer.get(key, nothing))]
        if ours[0] != theirs[0]
        or not math.isclose(ours[1], theirs[1], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    ]
    if different:
        first = "\n".join(different[:5])
        msg = f"{len(different)} hourly means differ, the first ones:\n{first}"
        raise AnswersDifferError(msg)


def check_counts(made: Mapping[str, Any], read: int, rejected: Mapping[str, int]) -> None:
    """Compares the job's balance with what the generator made.

    Args:
        made: what `benchmarks.generate` wrote to its counts file.
        read: readings in, as the job counted them.
        rejected: how many were rejected, by reason.

    Raises:
        AnswersDifferError: a number differs.
    """
    ours = {"readings": read, **{reason: n for reason, n in rejected.items() if n}}
    theirs = {"readings": made["readings"], **{r: n for r, n in made["bad"].items() if n}}
    if ours != theirs:
        msg = f"the job counted {ours}, the generator made {theirs}"
        raise AnswersDifferError(msg)
