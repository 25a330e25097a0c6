"""The cost of single steps a reading, without Beam: `python -m benchmarks.steps GOOD BAD`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.format_messages import KINDS, make_block
from benchmarks.measure import median
from benchmarks.report import Section, Target
from geo import RegionIndex
from transforms.assign_regions import assign_regions
from transforms.parse_block import BlockParser
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.windows import HOURLY, SLIDING, slice_seconds

__all__ = ["main"]

BLOCK = 8 << 20
BLOCKS = 8
ROUNDS = 5
SHARDS = 16
MESSAGES = 40_000
BAD_SHARES = (0.0, 0.01, 0.1, 0.5, 1.0)


def _blocks(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        blocks = [file.read(BLOCK) + file.readline() for _ in range(BLOCKS)]
    return [block for block in blocks if block]


def _in_any_order(blocks: Sequence[bytes]) -> list[bytes]:
    """The same records, the keys of each in an order of its own."""
    draw = random.Random(1)
    mixed = []
    for block in blocks:
        records = (list(json.loads(line).items()) for line in block.splitlines())
        lines = [json.dumps(dict(draw.sample(items, len(items)))) for items in records]
        mixed.append("\n".join(lines).encode())
    return mixed


def _parse(blocks: Sequence[bytes], *, hash_raw: bool = True) -> tuple[int, list[pa.RecordBatch]]:
    parser = BlockParser(hash_raw=hash_raw)
    parsed = [parser.parse(block, "benchmark") for block in blocks]
    return sum(one.read for one in parsed), [batch for one in parsed for batch in one.readings]


def _reduce(placed: Sequence[pa.RecordBatch]) -> None:
    slices = SliceAccumulator(
        slice_seconds((HOURLY, SLIDING)), [statistic() for statistic in STATISTICS.values()]
    )
    for batch in placed:
        slices.add(batch)
    slices.flush(SHARDS)


def _nanoseconds(step: Callable[[], Any], readings: int) -> float:
    """The median processor time of a step, for one reading."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        step()
        taken.append(time.process_time() - start)
    return median(taken) / readings * 1e9


def single_steps(good: Path, bad: Path) -> Section:
    """Times parsing, placing and reducing.

    Args:
        good: a file of good readings.
        bad: a file of bad records only.
    """
    blocks, bad_blocks = _blocks(good), _blocks(bad)
    mixed_blocks = _in_any_order(blocks[:2])
    index = RegionIndex.default()
    read, batches = _parse(blocks)
    placed = [assign_regions(batch, index) for batch in batches]
    costs = {
        "Parse, good records": _nanoseconds(lambda: _parse(blocks), read),
        "Parse, good records, keys of each in another order": _nanoseconds(
            lambda: _parse(mixed_blocks), _parse(mixed_blocks)[0]
        ),
        "Parse, bad records only": _nanoseconds(lambda: _parse(bad_blocks), _parse(bad_blocks)[0]),
        "Parse, bad records only, for a sink that hashes later": _nanoseconds(
            lambda: _parse(bad_blocks, hash_raw=False), _parse(bad_blocks)[0]
        ),
        "Assign regions": _nanoseconds(
            lambda: [assign_regions(batch, index) for batch in batches], read
        ),
        "Reduce to 5-minute slices, all statistics": _nanoseconds(lambda: _reduce(placed), read),
    }
    ratio = costs["Parse, bad records only"] / costs["Parse, good records"]
    return Section(
        "Single steps",
        f"Processor time of the vectorised functions under the transforms, on up to {BLOCKS} "
        f"blocks of {BLOCK >> 20} MiB of the files above; medians of {ROUNDS} rounds.",
        ["Step", "ns a reading", "Million readings/s of one core"],
        [[step, f"{cost:.0f}", f"{1e3 / cost:.1f}"] for step, cost in costs.items()],
        [Target("Parsing bad records only, relative to good ones", ratio, 2.5)],
    )


def message_formats(messages: int = MESSAGES) -> Section:
    """Times parsing messages of every format, recognised by themselves, by share of bad ones.

    Args:
        messages: how many of each.
    """
    rows, rates, sizes = [], {}, {}
    for kind in KINDS:
        costs = []
        for share in BAD_SHARES:
            block = [make_block(kind, messages, share)]
            parser = BlockParser()
            read = parser.parse(block[0], "benchmark").read
            cost = _nanoseconds(lambda: parser.parse(block[0], "benchmark"), read)  # noqa: B023
            costs.append(cost)
            if not share:
                rates[kind], sizes[kind] = 1e9 / cost, 1e3 * len(block[0]) / (cost * read)
        rows.append([kind, f"{sizes[kind]:.0f}", *(f"{cost:.0f}" for cost in costs)])
    first = next(iter(KINDS))
    slowest = min(min(rates[kind] / rates[first], sizes[kind] / sizes[first]) for kind in KINDS)
    return Section(
        "Message formats",
        f"Processor time of parsing {messages:,} messages of each format, `--message_format auto`. "
        "An entry of an `air_quality` message is a reading.",
        ["Messages", "MB/s, all good", *(f"ns, {100 * share:g} % bad" for share in BAD_SHARES)],
        rows,
        [Target("The time of the slowest kind, relative to `regional`", 1 / slowest, 2.0)],
    )


def places() -> Section:
    """Times placing points by several mixes of places."""
    from benchmarks import geo_index  # noqa: PLC0415 - its cost must not fall on the steps above

    rows = geo_index.rows()
    header = list(rows[0])
    return Section(
        "Placing points",
        "`RegionIndex` on one core, for points of several kinds of places.",
        header,
        [[str(row[column]) for column in header] for row in rows],
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("good", type=Path)
    parser.add_argument("bad", type=Path)
    chosen = parser.parse_args()
    sections = [single_steps(chosen.good, chosen.bad), message_formats(), places()]
    print(json.dumps([dataclasses.asdict(section) for section in sections]))


if __name__ == "__main__":
    main()
