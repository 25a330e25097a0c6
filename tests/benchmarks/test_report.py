"""The report says what was reached and what was not, and nothing about whose machine it was."""

from __future__ import annotations

import platform

import pytest

from benchmarks.report import Section, Target, describe_machine, render


@pytest.mark.parametrize(
    ("value", "at_least", "met"),
    [(1.5, False, True), (1.51, False, False), (1.5, True, True), (1.49, True, False)],
)
def test_a_target_is_met_up_to_its_limit(value: float, at_least: bool, met: bool) -> None:
    assert Target("Time", value, 1.5, at_least).met is met


def test_missed_targets_are_shown_as_missed() -> None:
    targets = [Target("Time", 1.2, 1.5), Target("Speed", 40.0, 100.0, at_least=True)]
    text = render("Intro.", [Section("Sizes", "Words.", ["File", "s"], [["1 GB", "3"]], targets)])
    assert "1 of 2 targets are met." in text
    assert "| Time | at most 1.5 times | 1.2 times | yes |" in text
    assert "| Speed | at least 100 times | 40 times | **no** |" in text
    assert "## Sizes\n\nWords.\n\n| File | s |\n| --- | ---: |\n| 1 GB | 3 |\n" in text


def test_the_machine_is_described_but_not_identified() -> None:
    text = describe_machine()
    for known in ("cores", "GiB", "Python 3.", "apache-beam", "duckdb", "numpy"):
        assert known in text
    assert platform.node() not in text.split()
