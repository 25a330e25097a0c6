"""The experiments: which commands run on which files, and what their times are compared with."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import check_counts, check_means, read_means
from benchmarks.files import DataFile
from benchmarks.measure import Measurement, measure, measure_in_turn, median
from benchmarks.report import Section, Target

__all__ = [
    "EVERYTHING",
    "MEANS_ONLY",
    "VERSIONS",
    "Bench",
    "costs_of",
    "ratios_of",
    "seconds_of",
    "size_of",
    "spread",
]

NO_BYTE_CODE = "PYTHONDONTWRITEBYTECODE"
MEANS_ONLY = ("--duplicates", "keep", "--archive", "none")
"""The job that does the most of what the peers do: every reading counts, none is archived."""

VERSIONS = ("--archive", "none")
"""Also of each reading the newest version counts, in this run and in those to come."""

EVERYTHING = ()
"""The job as it is by default: versions, and the archive of readings."""

HOURLY = "SELECT region_code, hour, count, mean FROM hourly_means"


def seconds_of(taken: Sequence[Measurement]) -> float:
    """The median time."""
    return median([one.seconds for one in taken])


def ratios_of(taken: Sequence[Measurement], base: Sequence[Measurement]) -> list[float]:
    """How many times as long as the base, round by round."""
    return [one.seconds / other.seconds for one, other in zip(taken, base, strict=True)]


def spread(values: Sequence[float]) -> str:
    """The median with its range."""
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def costs_of(taken: Sequence[Measurement]) -> list[str]:
    """Median time, median processor time and greatest memory, as cells of a table."""
    return [
        f"{seconds_of(taken):.2f}",
        f"{median([one.cpu_seconds for one in taken]):.2f}",
        f"{max(one.peak_bytes for one in taken) / 1e6:,.0f}",
    ]


def size_of(file: DataFile) -> str:
    """The file's size as a person says it."""
    size = file.recipe.size
    return f"{size / 1e9:g} GB" if size >= 1e9 else f"{size / 1e6:g} MB"


@dataclass(frozen=True)
class Bench:
    """Runs the experiments.

    Args:
        scratch: a folder for what the commands write; emptied again and again.
        byte_code: a folder for Python's byte code, kept.
        rounds: how often each command runs; medians are reported.
        say: told what is going on.
    """

    scratch: Path
    byte_code: Path
    rounds: int
    say: Callable[[str], None]

    @property
    def _environment(self) -> dict[str, str]:
        """As on any machine where the programs ran before: their byte code is kept.

        It is kept in a folder of its own, so that the first run does not depend on what else ran,
        and the installation stays as it is.
        """
        kept = {name: value for name, value in os.environ.items() if name != NO_BYTE_CODE}
        return kept | {"PYTHONPYCACHEPREFIX": str(self.byte_code)}

    def measure(self, command: Sequence[str]) -> Measurement:
        """Runs a command."""
        return measure(command, self._environment)

    def in_turn(
        self, commands: Mapping[str, Sequence[str]], files: Mapping[str, DataFile], rounds: int
    ) -> dict[str, list[Measurement]]:
        """Runs the commands in turn, so many rounds, each from an empty scratch folder."""
        return measure_in_turn(
            commands, rounds, lambda name: self.prepare(files[name]), self._environment
        )

    def warm_up(self, file: DataFile) -> None:
        """Runs every program once, so that the byte code of all is there."""
        self.say("a first run of everything, not measured")
        self.check_answers(file)
        self.measure(self.beam(file))

    def job(self, file: DataFile, options: Sequence[str] = MEANS_ONLY) -> list[str]:
        """The main job: hourly and sliding, dead letters, store; and what the options add."""
        command = [sys.executable, "-m", "pipelines.regional_means", "--input", str(file.path)]
        return [*command, "--output", str(self.scratch / "job"), "--format", "json", *options]

    def script(self, file: DataFile, *options: str, name: str = "duckdb_script") -> list[str]:
        """A peer that uses DuckDB."""
        command = [sys.executable, "-m", f"benchmarks.peers.{name}", str(file.path)]
        return [*command, str(self.scratch / "script.csv"), *options]

    def beam(self, file: DataFile) -> list[str]:
        """The peer that uses Beam element by element."""
        command = [sys.executable, "-m", "benchmarks.peers.beam_rows", str(file.path)]
        return [*command, str(self.scratch / "beam")]

    def prepare(self, file: DataFile) -> None:
        """An empty scratch folder, and the file in the page cache, for every run alike."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        with file.path.open("rb") as content:
            while content.read(1 << 24):
                pass

    def check_summary(self, file: DataFile, taken: Sequence[Measurement]) -> None:
        """Compares what each run of the job counted with what the generator made.

        Raises:
            AnswersDifferError: a number differs.
        """
        for one in taken:
            summary: dict[str, Any] = json.loads(one.output)
            check_counts(file.counts, summary["balance"]["read"], summary["rejected"])

    def check_answers(self, file: DataFile) -> None:
        """The job's hourly means against the script's, which places by the job's rule here.

        Raises:
            AnswersDifferError: they are not the same.
        """
        self.prepare(file)
        self.check_summary(file, [self.measure(self.job(file))])
        query = [sys.executable, "-m", "pipelines.query", "--format", "csv", HOURLY]
        job = self.measure([*query, "--output", str(self.scratch / "job")]).output
        self.measure(self.script(file, "--nearest"))
        with (self.scratch / "script.csv").open(newline="", encoding="utf-8") as script:
            check_means(read_means(job.splitlines()), read_means(script))

    def against_script(self, files: Sequence[DataFile]) -> Section:
        """The job and the expert's script, in turn, on files of several sizes."""
        rows, targets = [], []
        for file in files:
            self.say(f"job and DuckDB scripts on {size_of(file)}")
            commands = {
                "job": self.job(file),
                "plain": self.script(file, name="plain_script"),
                "tuned": self.script(file),
            }
            taken = self.in_turn(commands, dict.fromkeys(commands, file), self.rounds)
            self.check_summary(file, taken["job"])
            self.check_answers(file)
            ratios = {name: ratios_of(taken["job"], taken[name]) for name in ("plain", "tuned")}
            for name, label in {"job": "job", "plain": "script", "tuned": "tuned script"}.items():
                relative = spread(ratios[name]) if name in ratios else ""
                rows.append([f"{size_of(file)}, {label}", *costs_of(taken[name]), relative])
            peak = max(one.peak_bytes for one in taken["job"]) / 1e9
            targets = [
                Target(
                    f"Time on {size_of(file)}, relative to an expert's DuckDB script",
                    median(ratios["plain"]),
                    1.5,
                ),
                Target(f"Peak memory on {size_of(file)}", peak, 2.0, unit="GB"),
            ]
        return Section(
            "The job and an expert's DuckDB script",
            "The script (`benchmarks/peers/plain_script.py`) parses with DuckDB, places by "
            "polygon with shapely and groups by hour, one after the other; the tuned script "
            "(`duckdb_script.py`) does the same overlapped in threads, the fastest of all forms "
            "that were tried. The job also computes minimum, maximum, standard deviation and "
            "sliding means (60 minutes every 5), places what lies just off a coast, keeps what it "
            "rejects and writes its store; as in the scripts every reading counts, and there is "
            f"no archive (`{' '.join(MEANS_ONLY)}`). All are whole commands, start included "
            "(Python's byte code is there from a run before), on the same file in the page cache, "
            f"in turn, {self.rounds} rounds: medians, and the ratio from round to round with its "
            "range. Memory is the greatest sum over all processes of any round. The job's hourly "
            "means were checked to be the tuned script's within 1e-9; for that check alone the "
            "script also places points off the coast, by the same rule.",
            ["File and program", "s", "CPU s", "Peak MB", "Job, relative to it"],
            rows,
            targets,
        )

    def _job_table(
        self, files: Sequence[DataFile], names: Sequence[str]
    ) -> tuple[list[list[str]], list[float]]:
        """One row a file with its cost relative to the first; and the median ratios."""
        by_name = dict(zip(names, files, strict=True))
        commands = {name: self.job(file) for name, file in by_name.items()}
        taken = self.in_turn(commands, by_name, self.rounds)
        rows, medians = [], []
        for name, file in by_name.items():
            self.check_summary(file, taken[name])
            ratios = ratios_of(taken[name], taken[names[0]])
            rows.append([name, *costs_of(taken[name]), spread(ratios)])
            medians.append(median(ratios))
        return rows, medians

    def over_days(self, files: Sequence[DataFile]) -> Section:
        """The job on the same number of readings over more days, in time order and shuffled."""
        self.say("job over days and orders")
        names = [
            f"{file.recipe.days} {'day' if file.recipe.days == 1 else 'days'} "
            f"{'shuffled' if file.recipe.shuffled else 'in time order'}"
            for file in files
        ]
        rows, medians = self._job_table(files, names)
        most_days = max(file.recipe.days for file in files)
        targets = [
            Target(
                f"Time for {name}, relative to {names[0]}",
                ratio,
                3.0 if file.recipe.shuffled else 1.5,
            )
            for name, ratio, file in zip(names, medians, files, strict=True)
            if file.recipe.days == most_days
        ]
        for file in files:
            if file.recipe.days == most_days:
                self.check_answers(file)
        return Section(
            "Days and order",
            f"The job on the same number of readings ({files[0].recipe.records:,}, "
            f"{size_of(files[0])}), spread over more days, in time order and shuffled: more "
            "windows, and batches that touch more of them.",
            ["Readings", "Job, s", "CPU s", "Peak MB", "Relative to 1 day in time order"],
            rows,
            targets,
        )

    def with_bad_records(self, files: Sequence[DataFile]) -> Section:
        """The job on files with more and more bad records."""
        self.say("job with bad records")
        names = [f"{file.recipe.bad:.0%}" for file in files]
        rows, medians = self._job_table(files, names)
        worst = medians.index(max(medians))
        return Section(
            "Bad records",
            f"The job on {files[0].recipe.records:,} records of which a share is bad, of all "
            "kinds that a file can hold; each is kept with its reason and its text. In every run "
            "the rejected were as many, reason by reason, as the generator had made.",
            ["Bad", "Job, s", "CPU s", "Peak MB", "Relative to 0%"],
            rows,
            [
                Target(
                    f"Time with {names[worst]} bad records, relative to none", medians[worst], 2.5
                )
            ],
        )

    def against_beam_rows(self, small: DataFile, large: DataFile, whole: DataFile) -> Section:
        """Element-by-element Beam on two small files, extrapolated to the whole one."""
        self.say("Beam element by element")
        files = {"small": small, "large": large, "job": whole}
        commands = {
            "small": self.beam(small),
            "large": self.beam(large),
            "job": self.job(whole),
        }
        taken = self.in_turn(commands, files, min(self.rounds, 3))
        base, more = seconds_of(taken["small"]), seconds_of(taken["large"])
        each = (more - base) / (large.recipe.records - small.recipe.records)
        expected = more + each * (whole.recipe.records - large.recipe.records)
        job = seconds_of(taken["job"])
        rows = [
            [f"Beam by element, {size_of(small)}", f"{small.recipe.records:,}", f"{base:.1f}"],
            [f"Beam by element, {size_of(large)}", f"{large.recipe.records:,}", f"{more:.1f}"],
            [
                f"Beam by element, {size_of(whole)}, extrapolated",
                f"{whole.recipe.records:,}",
                f"{expected:.0f}",
            ],
            [f"Job, {size_of(whole)}", f"{whole.recipe.records:,}", f"{job:.1f}"],
        ]
        return Section(
            "The job and Beam element by element",
            "`benchmarks/peers/beam_rows.py` is written as Beam's guides teach: a line is an "
            "element, `json.loads`, prepared polygons, `Mean.PerKey` over hourly and sliding "
            "windows, on the same in-process runner. Its time for the large file is "
            "extrapolated along the line through the two measured ones, so that its start counts "
            "once.",
            ["Program and file", "Readings", "s"],
            rows,
            [Target("Times faster than Beam element by element", expected / job, 100, True)],
        )

    def remembering(self, rate: int) -> Section:
        """What a stream's memory of versions costs; in a process of its own."""
        self.say("versions in a stream")
        words = ["--rate", str(rate), "--bundle", str(min(100_000, 1200 * rate))]
        command = [sys.executable, "-m", "benchmarks.stream_versions", *words]
        return Section.from_dict(json.loads(self.measure(command).output))

    def stream_steps(self, ordered: DataFile) -> Section:
        """What each step of a stream costs a reading; in a process of its own."""
        self.say("steps of a stream")
        command = [sys.executable, "-m", "benchmarks.stream_steps", str(ordered.path)]
        command += ["--most", str(ordered.counts["readings"])]
        return Section.from_dict(json.loads(self.measure(command).output))

    def steps(self, good: DataFile, bad: DataFile) -> list[Section]:
        """The cost of single steps a reading, and of placing points; in a process of its own."""
        self.say("single steps")
        command = [sys.executable, "-m", "benchmarks.steps", str(good.path), str(bad.path)]
        return [Section.from_dict(section) for section in json.loads(self.measure(command).output)]
