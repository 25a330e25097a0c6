"""The whole benchmark, on small files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.files import make_files
from benchmarks.generate import BLOCK
from benchmarks.readings import Recipe

ROOT = Path(__file__).parents[2]


def test_files_are_kept_and_used_again(tmp_path: Path) -> None:
    recipes = [Recipe(20_000), Recipe(20_000, bad=0.5)]
    first = make_files(tmp_path, recipes)
    times = [file.path.stat().st_mtime_ns for file in first]
    again = make_files(tmp_path, [*recipes, Recipe(30_000)])
    assert again[:2] == first
    assert [file.path.stat().st_mtime_ns for file in again[:2]] == times
    assert len({file.path for file in again}) == 3
    assert again[1].counts["readings"] == again[1].recipe.records < BLOCK


def test_a_file_without_its_counts_is_made_again(tmp_path: Path) -> None:
    (file,) = make_files(tmp_path, [Recipe(20_000)])
    file.path.with_suffix(".json").unlink()
    file.path.write_text("cut short")
    (again,) = make_files(tmp_path, [Recipe(20_000)])
    assert again == file
    assert again.path.stat().st_size > 19_000


@pytest.mark.slow
def test_a_quick_run_writes_a_report_without_paths(tmp_path: Path) -> None:
    output = tmp_path / "RESULTS.md"
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--data", tmp_path / "data"]
    done = subprocess.run(
        [*command, "--output", output], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = output.read_text()
    for heading in (
        "Targets",
        "DuckDB script",
        "element by element",
        "Days and order",
        "Bad",
        "stream costs",
    ):
        assert heading in text
    assert str(tmp_path) not in text
    assert str(ROOT) not in text
    kept = {path.name for path in (tmp_path / "data").iterdir() if path.is_dir()}
    assert kept == {"byte_code", "batch-quick"}
    (tmp_path / "data" / "batch-quick" / "days.json").unlink()
    done = subprocess.run(
        [*command, "--output", output, "--only", "remembering"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "steps of a stream" not in done.stderr
    again = output.read_text()
    assert "Days and order" not in again
    assert again.split("## What a step of")[1] == text.split("## What a step of")[1]


@pytest.mark.slow
def test_a_failing_command_ends_the_run_with_its_stderr(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--data", tmp_path / "data"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "data" in done.stderr
