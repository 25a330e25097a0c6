"""Writes generated readings: `python -m benchmarks.generate --bytes 1GB --output FILE`."""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.defects import REASONS
from benchmarks.readings import Recipe, make_lines

__all__ = ["generate", "main"]

BLOCK = 16_384  # lines at a time: 3 MB stay in the processor's cache
UNITS = {"": 1, "B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def generate(recipe: Recipe, path: Path) -> dict[str, Any]:
    """Writes the recipe's file; a run that is cut short leaves no file of that name.

    Args:
        recipe: what the file holds.
        path: where to write it; a file that is there is replaced.

    Returns:
        The recipe, `readings` (lines in the file), `good`, `repeats` (lines that show an earlier
        one again, good or bad) and `bad` (by reason of rejection).

    Raises:
        OSError: the file can't be written.
    """
    bad: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        for start in range(0, recipe.records, BLOCK):
            text, counts = make_lines(recipe, start, min(start + BLOCK, recipe.records))
            file.write(text)
            bad.update(counts)
    unfinished.replace(path)
    good = recipe.records - sum(bad.values())
    lines = {"readings": recipe.records, "good": good, "repeats": recipe.repeats}
    return {"recipe": asdict(recipe), **lines, "bad": dict(bad)}


def parse_size(text: str) -> int:
    """A number of bytes from the like of `1GB`, `1.5 MB`, `20000` (units are decimal).

    Raises:
        ValueError: it is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMG]?B|)", text.strip())
    if not match:
        msg = f"not a size like 1GB, 10MB or 20000: {text!r}"
        raise ValueError(msg)
    return round(float(match[1]) * UNITS[match[2]])


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__)
    parser.add_argument("--bytes", default="1GB", help="size: 1GB, 10MB, 20000 (default 1GB)")
    parser.add_argument("--days", type=int, default=1, help="days from 2024-12-01 on (default 1)")
    parser.add_argument("--bad", type=float, default=0.0, help="share of bad records, 0 to 1")
    parser.add_argument("--repeated", type=float, default=0.0, help="share of repeated lines")
    parser.add_argument(
        "--shuffle",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="random order instead of time order",
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed, other readings")
    parser.add_argument("--hot", type=float, help="share in Paris, the others even by region")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    parser.add_argument("--counts", type=Path, help="write what was made here, as JSON")
    chosen = parser.parse_args(arguments)
    try:
        size = parse_size(chosen.bytes)
        recipe = Recipe(
            *(size, chosen.days, chosen.bad, chosen.repeated, chosen.shuffle, chosen.seed),
            hot=chosen.hot,
        )
        made = generate(recipe, chosen.output)
        if chosen.counts:
            chosen.counts.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
