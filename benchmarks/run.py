"""Runs all benchmarks and writes `benchmarks/RESULTS.md`: `python -m benchmarks.run`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers import AnswersDifferError
from benchmarks.corrections import hot_region, increments, with_versions
from benchmarks.experiments import Bench
from benchmarks.files import NoSpaceError, make_files
from benchmarks.measure import CommandFailedError
from benchmarks.readings import Recipe
from benchmarks.report import Section, describe_machine, render

__all__ = ["main"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Plan:
    """How much is run.

    Attributes:
        sizes: bytes of the files for the job and the script; the last one is used throughout.
        days: over which the same readings are spread.
        bad: shares of bad records.
        beam: bytes of the two files for Beam element by element.
        rounds: how often each command runs.
        remembered: readings a second of the stream whose versions are remembered for an hour.
        introduction: the first sentence of the report.
    """

    sizes: tuple[int, ...]
    days: tuple[int, ...]
    bad: tuple[float, ...]
    beam: tuple[int, int]
    rounds: int
    remembered: int
    introduction: str


FULL = Plan(
    sizes=(10_000_000, 100_000_000, 1_000_000_000),
    days=(1, 7, 30),
    bad=(0.0, 0.01, 0.1, 0.5, 1.0),
    beam=(4_000_000, 20_000_000),
    rounds=5,
    remembered=2000,
    introduction="Written by `make bench`; do not edit.",
)
QUICK = Plan(
    sizes=(200_000, 1_000_000),
    days=(1, 2),
    bad=(0.0, 1.0),
    beam=(20_000, 40_000),
    rounds=1,
    remembered=20,
    introduction=(
        "A quick run on small files (`--quick`): it shows that the benchmarks work. Start-up "
        "decides every number here; none is a measurement."
    ),
)


def run(plan: Plan, data: Path, bench: Bench) -> list[Section]:
    """Makes the files that are missing and runs all experiments on them.

    Args:
        plan: how much.
        data: the folder of generated files.
        bench: runs the commands.

    Returns:
        The sections of the report.

    Raises:
        NoSpaceError: the disk is too full.
        CommandFailedError: a command failed.
        AnswersDifferError: the programs do not give the same answers.
    """
    size = plan.sizes[-1]
    by_size = [Recipe(each) for each in plan.sizes]
    by_days = [Recipe(size, days, shuffled=order) for order in (False, True) for days in plan.days]
    by_bad = [Recipe(size, bad=share) for share in plan.bad]
    for_beam = [Recipe(each) for each in plan.beam]
    repeated, more = Recipe(size, repeated=0.1), Recipe(plan.sizes[0], seed=2)
    even, hot = Recipe(size, hot=0.0556), Recipe(size, hot=0.9)
    recipes = list(
        dict.fromkeys([*by_size, *by_days, *by_bad, *for_beam, repeated, more, even, hot])
    )
    bench.say(f"files of readings in {data}")
    files = dict(zip(recipes, make_files(data, recipes), strict=True))
    small, large = (files[recipe] for recipe in for_beam)
    whole = files[by_size[-1]]
    bench.warm_up(small)
    return [
        bench.against_script([files[recipe] for recipe in by_size]),
        bench.against_beam_rows(small, large, whole),
        with_versions(bench, files[repeated]),
        increments(bench, whole, files[more]),
        hot_region(bench, files[even], files[hot]),
        bench.over_days([files[recipe] for recipe in by_days]),
        bench.with_bad_records([files[recipe] for recipe in by_bad]),
        *bench.steps(files[by_bad[0]], files[by_bad[-1]]),
        bench.remembering(plan.remembered),
        bench.stream_steps(whole),
    ]


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small files, one round")
    parser.add_argument(
        "--data",
        type=Path,
        default=FOLDER / "data",
        help="folder of generated files (default benchmarks/data; about 10 GB)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="the report (default benchmarks/RESULTS.md; with --quick, data/RESULTS-quick.md)",
    )
    parser.add_argument("--rounds", type=int, help="how often each command runs")
    chosen = parser.parse_args(arguments)
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    plan = QUICK if chosen.quick else FULL
    data: Path = chosen.data
    output = chosen.output or (data / "RESULTS-quick.md" if chosen.quick else FOLDER / "RESULTS.md")
    introduction = f"{plan.introduction} {describe_machine()}"
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="run-", dir=data) as scratch:
            rounds = chosen.rounds or plan.rounds
            bench = Bench(Path(scratch) / "out", data / "byte_code", rounds, _say)
            sections = run(plan, data, bench)
        output.write_text(render(introduction, sections), encoding="utf-8")
    except (CommandFailedError, AnswersDifferError, NoSpaceError, OSError) as error:
        _say(str(error))
        return 1
    except subprocess.CalledProcessError as error:
        _say(f"the generator failed: {error}")
        return 1
    _say(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
