"""The generated files that are measured, kept from one run to the next."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.readings import Recipe

__all__ = ["DataFile", "NoSpaceError", "make_files"]

ROOT = Path(__file__).parents[1]
SOURCES = (
    *("benchmarks/generate.py", "benchmarks/readings.py", "benchmarks/defects.py"),
    *("simulation/places.py", "simulation/chance.py", "simulation/byte_columns.py"),
)
RESERVE = 3_000_000_000  # bytes for the results of the job


class NoSpaceError(Exception):
    """The disk has too little room for the files."""


@dataclass(frozen=True)
class DataFile:
    """A generated file.

    Attributes:
        recipe: what it holds.
        path: where it is.
        counts: what the generator says that it made.
    """

    recipe: Recipe
    path: Path
    counts: dict[str, Any]

    @property
    def megabytes(self) -> float:
        """Its size in millions of bytes."""
        return self.path.stat().st_size / 1e6


def _generator() -> str:
    """Changes when the generator changes, so that its old files are not taken for new ones."""
    text = b"".join((ROOT / name).read_bytes() for name in SOURCES)
    return hashlib.sha256(text).hexdigest()[:16]


def _path(folder: Path, recipe: Recipe) -> Path:
    order = "shuffled" if recipe.shuffled else "ordered"
    shares = f"{recipe.bad:g}bad-{recipe.repeated:g}repeated"
    shares += "" if recipe.hot is None else f"-{recipe.hot:g}hot"
    name = f"{recipe.size}B-{recipe.days}d-{order}-{shares}-seed{recipe.seed}"
    return folder / f"{name}-{_generator()}.jsonl"


def _load(path: Path, recipe: Recipe) -> DataFile | None:
    counts = path.with_suffix(".json")
    if not (path.exists() and counts.exists()):
        return None
    return DataFile(recipe, path, json.loads(counts.read_text(encoding="utf-8")))


def make_files(folder: Path, recipes: Sequence[Recipe]) -> list[DataFile]:
    """The recipes' files; those that are not in the folder yet are generated.

    Args:
        folder: where files are kept; made if it is absent.
        recipes: what they hold.

    Returns:
        One file for each recipe, in their order.

    Raises:
        NoSpaceError: the disk has too little room for the missing files and for results.
        subprocess.CalledProcessError: the generator failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [recipe for recipe in recipes if _load(_path(folder, recipe), recipe) is None]
    wanted = sum(recipe.size for recipe in missing) + RESERVE
    free = shutil.disk_usage(folder).free
    if missing and free < wanted:
        msg = f"{wanted / 1e9:.1f} GB needed for generated files, {free / 1e9:.1f} GB free"
        raise NoSpaceError(msg)
    for recipe in missing:
        path = _path(folder, recipe)
        # In a process of its own: see `measure` on the memory of the process that measures.
        command = [sys.executable, "-m", "benchmarks.generate", "--output", str(path)]
        command += ["--counts", str(path.with_suffix(".json"))]
        command += ["--bytes", str(recipe.size), "--days", str(recipe.days)]
        command += ["--bad", str(recipe.bad), "--repeated", str(recipe.repeated)]
        command += ["--seed", str(recipe.seed)]
        command += [] if recipe.hot is None else ["--hot", str(recipe.hot)]
        command += ["--shuffle" if recipe.shuffled else "--no-shuffle"]
        subprocess.run(command, check=True)
    files = [_load(_path(folder, recipe), recipe) for recipe in recipes]
    return [file for file in files if file is not None]
