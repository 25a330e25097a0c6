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

__all__ = ["Bench"]

NO_BYTE_CODE = "PYTHONDONTWRITEBYTECODE"
HOURLY = "SELECT region_code, hour, count, mean FROM hourly_means"


def _seconds(taken: Sequence[Measurement]) -> float:
    return median([one.seconds for one in taken])


def _ratios(taken: Sequence[Measurement], base: Sequence[Measurement]) -> list[float]:
    """How many times as long as the base, round by round."""
    return [one.seconds / other.seconds for one, other in zip(taken, base, strict=True)]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _costs(taken: Sequence[Measurement]) -> list[str]:
    return [
        f"{_seconds(taken):.2f}",
        f"{median([one.cpu_seconds for one in taken]):.2f}",
        f"{max(one.peak_bytes for one in taken) / 1e6:,.0f}",
    ]


def _size(file: DataFile) -> str:
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

    def _measure(self, command: Sequence[str]) -> Measurement:
        return measure(command, self._environment)

    def _in_turn(
        self, commands: Mapping[str, Sequence[str]], files: Mapping[str, DataFile], rounds: int
    ) -> dict[str, list[Measurement]]:
        return measure_in_turn(
            commands, rounds, lambda name: self._prepare(files[name]), self._environment
        )

    def warm_up(self, file: DataFile) -> None:
        """Runs every program once, so that the byte code of all is there."""
        self.say("a first run of everything, not measured")
        self.check_answers(file)
        self._measure(self._beam(file))

    def _job(self, file: DataFile) -> list[str]:
        """The main job as a person runs it: hourly and sliding, dead letters, store."""
        command = [sys.executable, "-m", "pipelines.regional_means", "--input", str(file.path)]
        return [*command, "--output", str(self.scratch / "job"), "--format", "json"]

    def _script(self, file: DataFile, *options: str) -> list[str]:
        command = [sys.executable, "-m", "benchmarks.peers.duckdb_script", str(file.path)]
        return [*command, str(self.scratch / "script.csv"), *options]

    def _beam(self, file: DataFile) -> list[str]:
        command = [sys.executable, "-m", "benchmarks.peers.beam_rows", str(file.path)]
        return [*command, str(self.scratch / "beam")]

    def _prepare(self, file: DataFile) -> None:
        """An empty scratch folder, and the file in the page cache, for every run alike."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        with file.path.open("rb") as content:
            while content.read(1 << 24):
                pass

    def _check_summary(self, file: DataFile, taken: Sequence[Measurement]) -> None:
        for one in taken:
            summary: dict[str, Any] = json.loads(one.output)
            check_counts(file.counts, summary["balance"]["read"], summary["rejected"])

    def check_answers(self, file: DataFile) -> None:
        """The job's hourly means against the script's, which places by the job's rule here.

        Raises:
            AnswersDifferError: they are not the same.
        """
        self._prepare(file)
        self._check_summary(file, [self._measure(self._job(file))])
        query = [sys.executable, "-m", "pipelines.query", "--format", "csv", HOURLY]
        job = self._measure([*query, "--output", str(self.scratch / "job")]).output
        self._measure(self._script(file, "--nearest"))
        with (self.scratch / "script.csv").open(newline="", encoding="utf-8") as script:
            check_means(read_means(job.splitlines()), read_means(script))

    def against_script(self, files: Sequence[DataFile]) -> Section:
        """The job and the expert's script, in turn, on files of several sizes."""
        rows, targets = [], []
        for file in files:
            self.say(f"job and DuckDB script on {_size(file)}")
            commands = {"job": self._job(file), "script": self._script(file)}
            taken = self._in_turn(commands, dict.fromkeys(commands, file), self.rounds)
            self._check_summary(file, taken["job"])
            self.check_answers(file)
            ratios = _ratios(taken["job"], taken["script"])
            readings = f"{file.recipe.records:,}"
            costs = [*_costs(taken["job"]), *_costs(taken["script"])]
            rows.append([_size(file), readings, *costs, _spread(ratios)])
            peak = max(one.peak_bytes for one in taken["job"]) / 1e9
            targets = [
                Target(
                    f"Time on {_size(file)}, relative to the DuckDB script", median(ratios), 1.5
                ),
                Target(f"Peak memory on {_size(file)}", peak, 2.0, unit="GB"),
            ]
        return Section(
            "The job and an expert's DuckDB script",
            "The script (`benchmarks/peers/duckdb_script.py`) parses, places by polygon and groups "
            "by hour; the job also computes minimum, maximum, standard deviation and sliding means "
            "(60 minutes every 5), places what lies just off a coast, keeps what it rejects and "
            "writes its store. Both are whole commands, start included (Python's byte code is "
            "there from a run before), on the same file in the page cache, in turn, "
            f"{self.rounds} rounds: medians, and the ratio from round to round with its range. "
            "Memory is the greatest sum over all processes of any round. The job's hourly means "
            "were checked to be the script's within 1e-9; for that check alone the script also "
            "places points off the coast, by the same rule.",
            [
                *["File", "Readings", "Job, s", "CPU s", "Peak MB"],
                *["Script, s", "CPU s", "Peak MB", "Job / script"],
            ],
            rows,
            targets,
        )

    def _job_table(
        self, files: Sequence[DataFile], names: Sequence[str]
    ) -> tuple[list[list[str]], list[float]]:
        """One row a file with its cost relative to the first; and the median ratios."""
        by_name = dict(zip(names, files, strict=True))
        commands = {name: self._job(file) for name, file in by_name.items()}
        taken = self._in_turn(commands, by_name, self.rounds)
        rows, medians = [], []
        for name, file in by_name.items():
            self._check_summary(file, taken[name])
            ratios = _ratios(taken[name], taken[names[0]])
            rows.append([name, *_costs(taken[name]), _spread(ratios)])
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
            f"{_size(files[0])}), spread over more days, in time order and shuffled: more windows, "
            "and batches that touch more of them.",
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
            "small": self._beam(small),
            "large": self._beam(large),
            "job": self._job(whole),
        }
        taken = self._in_turn(commands, files, min(self.rounds, 3))
        base, more = _seconds(taken["small"]), _seconds(taken["large"])
        each = (more - base) / (large.recipe.records - small.recipe.records)
        expected = more + each * (whole.recipe.records - large.recipe.records)
        job = _seconds(taken["job"])
        rows = [
            [f"Beam by element, {_size(small)}", f"{small.recipe.records:,}", f"{base:.1f}"],
            [f"Beam by element, {_size(large)}", f"{large.recipe.records:,}", f"{more:.1f}"],
            [
                f"Beam by element, {_size(whole)}, extrapolated",
                f"{whole.recipe.records:,}",
                f"{expected:.0f}",
            ],
            [f"Job, {_size(whole)}", f"{whole.recipe.records:,}", f"{job:.1f}"],
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

    def steps(self, good: DataFile, bad: DataFile) -> list[Section]:
        """The cost of single steps a reading, and of placing points; in a process of its own."""
        self.say("single steps")
        command = [sys.executable, "-m", "benchmarks.steps", str(good.path), str(bad.path)]
        return [Section.from_dict(section) for section in json.loads(self._measure(command).output)]
