"""The experiments on what comes after the means: versions, the archive, increments."""

from __future__ import annotations

import json

from benchmarks.answers import AnswersDifferError
from benchmarks.experiments import (
    EVERYTHING,
    MEANS_ONLY,
    VERSIONS,
    Bench,
    costs_of,
    ratios_of,
    seconds_of,
    size_of,
    spread,
)
from benchmarks.files import DataFile
from benchmarks.measure import median
from benchmarks.report import Section, Target

__all__ = ["hot_region", "increments", "with_versions"]


def with_versions(bench: Bench, file: DataFile) -> Section:
    """What it costs to keep versions and the archive, on a file with repeated lines.

    Raises:
        AnswersDifferError: the job found another number of duplicates than were made.
    """
    bench.say("job with versions and archive")
    named = {
        "every reading counts, no archive": MEANS_ONLY,
        "versions, no archive": VERSIONS,
        "versions and archive (the default)": EVERYTHING,
    }
    commands = {name: bench.job(file, options) for name, options in named.items()}
    taken = bench.in_turn(commands, dict.fromkeys(commands, file), bench.rounds)
    for name, one in taken.items():
        bench.check_summary(file, one)
        found = json.loads(one[-1].output)["balance"]["duplicate"]
        expected = 0 if named[name] == MEANS_ONLY else file.counts["repeats"]
        if found != expected:
            msg = f"the job found {found} duplicates, the generator made {expected}"
            raise AnswersDifferError(msg)
    base, versions, archive = named
    ratios = {
        versions: ratios_of(taken[versions], taken[base]),
        archive: ratios_of(taken[archive], taken[versions]),
    }
    rows = [
        [name, *costs_of(one), spread(ratios[name]) if name in ratios else ""]
        for name, one in taken.items()
    ]
    return Section(
        "Versions and the archive",
        f"The job on {file.recipe.records:,} readings ({size_of(file)}), of which "
        f"{file.recipe.repeated:.0%} repeat an earlier one. Each run goes into an empty "
        "store. The duplicates found were as many as the generator had made.",
        ["Job", "s", "CPU s", "Peak MB", "Relative to the line above"],
        rows,
        [
            Target("Time with versions, relative to without", median(ratios[versions]), 1.6),
            Target("Time with the archive, relative to without", median(ratios[archive]), 1.6),
        ],
    )


def hot_region(bench: Bench, even: DataFile, hot: DataFile) -> Section:
    """The job on readings that lie evenly in all regions, and on as many that crowd in one."""
    bench.say("job with a hot region")
    files = {"evenly in 18 regions": even, f"{hot.recipe.hot:.0%} in one region": hot}
    commands = {name: bench.job(file, EVERYTHING) for name, file in files.items()}
    taken = bench.in_turn(commands, files, bench.rounds)
    for name, one in taken.items():
        bench.check_summary(files[name], one)
    first, second = files
    ratios = ratios_of(taken[second], taken[first])
    rows = [
        [first, *costs_of(taken[first]), ""],
        [second, *costs_of(taken[second]), spread(ratios)],
    ]
    return Section(
        "A hot region",
        f"The job, with versions and archive, on {even.recipe.records:,} readings "
        f"({size_of(even)}). Readings are dealt out by the hash of their identity, and what is "
        "shuffled by region is one partial statistic a batch, so a region with most of the "
        "readings costs no more than another.",
        ["Readings", "s", "CPU s", "Peak MB", "Relative to even"],
        rows,
        [Target("Time with a hot region, relative to even ones", median(ratios), 1.1)],
    )


def increments(bench: Bench, whole: DataFile, more: DataFile) -> Section:
    """A small file into an empty store, and into one that holds a large file."""
    bench.say("increments")
    alone, added, again = [], [], []
    for _ in range(bench.rounds):
        bench.prepare(more)
        alone.append(bench.measure(bench.job(more, EVERYTHING)))
        bench.prepare(whole)
        bench.measure(bench.job(whole, EVERYTHING))
        added.append(bench.measure(bench.job(more, EVERYTHING)))
        again.append(bench.measure(bench.job(more, EVERYTHING)))
    small, large = size_of(more), size_of(whole)
    rows = [
        [f"{small} into an empty store", *costs_of(alone)],
        [f"{small} into a store of {large}", *costs_of(added)],
        [f"the same {small} once more", *costs_of(again)],
    ]
    return Section(
        "Increments",
        "What is added to a store costs what it weighs, not what the store weighs.",
        ["Run", "s", "CPU s", "Peak MB"],
        rows,
        [
            Target(
                f"Longer for {small} into a store of {large} than into an empty one",
                seconds_of(added) - seconds_of(alone),
                3.0,
                unit="s",
            )
        ],
    )
