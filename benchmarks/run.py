"""Runs all benchmarks and writes `benchmarks/RESULTS.md`: `python -m benchmarks.run`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.answers import AnswersDifferError
from benchmarks.corrections import hot_region, increments, with_versions
from benchmarks.experiments import Bench
from benchmarks.files import DataFile, NoSpaceError, make_files
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


@dataclass(frozen=True)
class Experiment:
    """Something that is measured.

    Attributes:
        recipes: of the files that it needs.
        run: gets a `Bench` and the files, in the same order.
    """

    recipes: Sequence[Recipe]
    run: Callable[[Bench, Sequence[DataFile]], list[Section]]


def experiments(plan: Plan) -> dict[str, Experiment]:
    """All experiments by their names, in the order of the report."""
    size = plan.sizes[-1]
    whole = Recipe(size)
    by_size = [Recipe(each) for each in plan.sizes]
    by_days = [Recipe(size, days, shuffled=order) for order in (False, True) for days in plan.days]
    by_bad = [Recipe(size, bad=share) for share in plan.bad]
    for_beam = [Recipe(each) for each in plan.beam]
    repeated, more = Recipe(size, repeated=0.1), Recipe(plan.sizes[0], seed=2)
    even, hot = Recipe(size, hot=0.0556), Recipe(size, hot=0.9)
    return {
        "script": Experiment(by_size, lambda bench, files: [bench.against_script(files)]),
        "beam_rows": Experiment(
            [*for_beam, whole], lambda bench, files: [bench.against_beam_rows(*files)]
        ),
        "versions": Experiment([repeated], lambda bench, files: [with_versions(bench, *files)]),
        "increments": Experiment([whole, more], lambda bench, files: [increments(bench, *files)]),
        "hot_region": Experiment([even, hot], lambda bench, files: [hot_region(bench, *files)]),
        "days": Experiment(by_days, lambda bench, files: [bench.over_days(files)]),
        "bad_records": Experiment(by_bad, lambda bench, files: [bench.with_bad_records(files)]),
        "steps": Experiment([by_bad[0], by_bad[-1]], lambda bench, files: bench.steps(*files)),
        "remembering": Experiment([], lambda bench, _: [bench.remembering(plan.remembered)]),
        "stream_steps": Experiment([whole], lambda bench, files: [bench.stream_steps(*files)]),
    }


def run(plan: Plan, data: Path, bench: Bench, names: Sequence[str], kept: Path) -> None:
    """Makes the files that are missing, runs experiments on them, and keeps what they found.

    Args:
        plan: how much.
        data: the folder of generated files.
        bench: runs the commands.
        names: the experiments.
        kept: gets a file for each experiment, as soon as it has run.

    Raises:
        NoSpaceError: the disk is too full.
        CommandFailedError: a command failed.
        AnswersDifferError: the programs do not give the same answers.
    """
    chosen = {name: each for name, each in experiments(plan).items() if name in names}
    first = Recipe(plan.beam[0])
    recipes = [first, *(recipe for each in chosen.values() for recipe in each.recipes)]
    bench.say(f"files of readings in {data}")
    made = make_files(data, list(dict.fromkeys(recipes)))
    files = {file.recipe: file for file in made}
    machine = describe_machine()
    bench.warm_up(files[first])
    kept.mkdir(exist_ok=True)
    for name, experiment in chosen.items():
        sections = experiment.run(bench, [files[recipe] for recipe in experiment.recipes])
        found = {"measured": machine, "sections": [asdict(section) for section in sections]}
        (kept / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def report(plan: Plan, kept: Path) -> str:
    """The report of all that is kept."""
    by_machine: dict[str, list[str]] = {}
    sections = []
    for name in experiments(plan):
        path = kept / f"{name}.json"
        if path.exists():
            found = json.loads(path.read_text("utf-8"))
            by_machine.setdefault(found["measured"], []).append(name)
            sections += [Section.from_dict(section) for section in found["sections"]]
    measured = [f"- {', '.join(names)}: {machine}" for machine, names in by_machine.items()]
    return render("\n".join([plan.introduction, "", *measured]), sections)


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
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(experiments(FULL)),
        help="the experiments; of the others the report says what was measured last (default all)",
    )
    parser.add_argument("--rounds", type=int, help="how often each command runs")
    chosen = parser.parse_args(arguments)
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error("--rounds must be at least 1")
    plan = QUICK if chosen.quick else FULL
    data: Path = chosen.data
    output = chosen.output or (data / "RESULTS-quick.md" if chosen.quick else FOLDER / "RESULTS.md")
    kept = data / ("batch-quick" if chosen.quick else "batch")
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="run-", dir=data) as scratch:
            rounds = chosen.rounds or plan.rounds
            bench = Bench(Path(scratch) / "out", data / "byte_code", rounds, _say)
            run(plan, data, bench, chosen.only or list(experiments(plan)), kept)
        output.write_text(report(plan, kept), encoding="utf-8")
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
