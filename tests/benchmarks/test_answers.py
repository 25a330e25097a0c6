"""Programs are compared only when their answers are the same."""

from __future__ import annotations

import pytest

from benchmarks.answers import AnswersDifferError, check_counts, check_means, read_means

CSV = (
    "region_code,hour,count,mean\n01,2024-12-01T00:00:00Z,3,27.5\n11,2024-12-01T00:00:00Z,2,-0.1\n"
)
KEY = ("01", "2024-12-01T00:00:00Z")
MADE = {"readings": 10, "good": 8, "bad": {"not_json": 2, "wrong_type": 0}}


def test_means_that_differ_by_rounding_are_the_same() -> None:
    ours, theirs = read_means(CSV.splitlines()), read_means(CSV.splitlines())
    ours[KEY] = (3, 27.5 * (1 + 1e-12))
    check_means(ours, theirs)


@pytest.mark.parametrize("changed", [(3, 27.5001), (4, 27.5), (3, float("nan"))])
def test_another_count_or_mean_is_reported(changed: tuple[int, float]) -> None:
    ours, theirs = read_means(CSV.splitlines()), read_means(CSV.splitlines())
    ours[KEY] = changed
    with pytest.raises(AnswersDifferError, match="1 hourly means differ"):
        check_means(ours, theirs)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_missing_row_is_reported(swapped: bool) -> None:
    ours, theirs = read_means(CSV.splitlines()), read_means(CSV.splitlines())
    del ours[KEY]
    with pytest.raises(AnswersDifferError, match="01"):
        check_means(*(theirs, ours) if swapped else (ours, theirs))


def test_two_empty_answers_prove_nothing() -> None:
    with pytest.raises(AnswersDifferError):
        check_means({}, {})


def test_counts_that_are_the_generators_pass() -> None:
    check_counts(MADE, 10, {"not_json": 2, "too_late": 0})


@pytest.mark.parametrize(
    ("read", "rejected"),
    [(9, {"not_json": 2}), (10, {"not_json": 1}), (10, {"not_json": 2, "wrong_type": 1}), (10, {})],
)
def test_counts_that_are_not_the_generators_are_reported(
    read: int, rejected: dict[str, int]
) -> None:
    with pytest.raises(AnswersDifferError):
        check_counts(MADE, read, rejected)
