"""What the store must hold after all messages of a run: known before, from the blocks alone."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.answers import AnswersDifferError, check_means
from benchmarks.streaming.template import CORRECTION, ORIGINAL, REPEAT, Block
from connectors.local_store import LocalStore
from geo import RegionIndex

__all__ = ["Sent", "check_store"]

Integers = npt.NDArray[np.int64]

HOUR = 3600
HOURLY = """
SELECT region_code, epoch(hour)::BIGINT, count, mean FROM hourly_means
WHERE quantity = 'temperature'
"""
VERSIONS = """
SELECT count(DISTINCT hash(id, longitude, latitude, value))
FROM read_parquet(?, hive_partitioning = false)
"""


class _Sums:
    """Count and sum of the values of a block's rows, by kind and region."""

    def __init__(self, block: Block, index: RegionIndex) -> None:
        said = block.said
        regions = index.locate(said.longitudes, said.latitudes, said.in_france)
        rows = {
            kind: np.flatnonzero(block.kinds == kind) for kind in (ORIGINAL, REPEAT, CORRECTION)
        }
        self.rows = {kind: len(numbers) for kind, numbers in rows.items()}

        def sums(numbers: Integers) -> Integers:
            mine = numbers[regions[numbers] >= 0]
            found = np.zeros((len(index.codes), 2), np.int64)
            np.add.at(found[:, 0], regions[mine], 1)
            np.add.at(found[:, 1], regions[mine], said.values[mine])
            return found

        self.of = {kind: sums(numbers) for kind, numbers in rows.items()}
        self.corrected = sums(block.about[rows[CORRECTION]])


@dataclass
class Sent:
    """What has been sent.

    Args:
        blocks: the blocks that messages are made of.
        every_message: every message counts (`--duplicates keep`), repeats and corrections, too.

    Attributes:
        messages: how many were sent.
        readings: how many they hold.
        distinct: how many readings there are, whichever of their versions.
        repeats: messages' readings that say the same as one before.
        corrections: new versions of readings.
        bytes: of the messages.
    """

    blocks: Sequence[Block]
    every_message: bool = False
    messages: int = 0
    readings: int = 0
    distinct: int = 0
    repeats: int = 0
    corrections: int = 0
    bytes: int = 0
    _hours: dict[int, Integers] = field(default_factory=dict)
    _corrected: set[int] = field(default_factory=set)
    _sums: list[_Sums] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Places the readings of the blocks."""
        self._codes = RegionIndex.default().codes
        self._sums = [_Sums(block, RegionIndex.default()) for block in self.blocks]

    def add(self, number: int, second: int, before: tuple[int, int]) -> None:
        """Counts a block, as `Block.texts` takes it; an earlier one's number may be below 0."""
        place = number % len(self.blocks)
        sums, block = self._sums[place], self.blocks[place]
        self.messages += block.messages
        self.readings += len(block)
        self.bytes += block.bytes
        self._into(second, sums.of[ORIGINAL])
        earlier, moment = before
        self.distinct += sums.rows[ORIGINAL]
        if self.every_message or (earlier < 0 and earlier not in self._corrected):
            # What was never sent is no repeat.
            self._into(moment, sums.of[REPEAT] + sums.of[CORRECTION])
            self.distinct += sums.rows[REPEAT] + sums.rows[CORRECTION]
        elif earlier in self._corrected:
            self.repeats += sums.rows[REPEAT] + sums.rows[CORRECTION]
        else:
            self._into(moment, sums.of[CORRECTION] - sums.corrected)
            self.repeats += sums.rows[REPEAT]
            self.corrections += sums.rows[CORRECTION]
        self._corrected.add(earlier)

    def _into(self, second: int, sums: Integers) -> None:
        hour = second // HOUR * HOUR
        self._hours[hour] = self._hours.get(hour, np.zeros_like(sums)) + sums

    def as_dict(self) -> dict[str, Any]:
        """What `check_store` compares with, for JSON."""
        means = [
            [code, hour, int(count), int(total)]
            for hour, sums in sorted(self._hours.items())
            for code, (count, total) in zip(self._codes, sums.tolist(), strict=True)
            if count
        ]
        names = ("messages", "readings", "distinct", "repeats", "corrections", "bytes")
        return {**{name: getattr(self, name) for name in names}, "hourly": means}


def check_store(folder: Path, sent: Mapping[str, Any], *, archived: bool) -> dict[str, int]:
    """Compares what a store holds with what was sent.

    Args:
        folder: the store's.
        sent: `Sent.as_dict`.
        archived: the archive was on.

    Returns:
        What was counted: readings in France, and rows and versions of the archive.

    Raises:
        AnswersDifferError: a count or a mean differs.
        StoreError: the store cannot be read.
    """
    store = LocalStore(folder)
    with store.connect() as connection:
        rows = connection.execute(HOURLY).fetchall()
        found = {"counted": sum(row[2] for row in rows)}
        check_means(
            {(code, _text(hour)): (count, mean) for code, hour, count, mean in rows},
            {
                (code, _text(hour)): (count, total / count / 1e6 if count else math.nan)
                for code, hour, count, total in sent["hourly"]
            },
        )
    if archived:
        found["archived"] = sum(file.rows for file in store.manifest().files["readings"])
        found["versions"] = _versions(store)
        wanted = sent["readings"], sent["distinct"] + sent["corrections"]
        if (found["archived"], found["versions"]) != wanted:
            msg = (
                f"the archive holds {found['archived']:,} rows and {found['versions']:,} versions, "
                f"sent were {wanted[0]:,} and {wanted[1]:,}"
            )
            raise AnswersDifferError(msg)
    return found


def _versions(store: LocalStore) -> int:
    """Different rows of the archive, whenever they arrived, by 64-bit hashes."""
    import duckdb  # noqa: PLC0415 - it takes its time

    paths = [str(store.folder / file.path) for file in store.manifest().files["readings"]]
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        # A list of files is a parameter like any other.
        found = connection.execute(VERSIONS, [paths]).fetchall()
    return int(found[0][0])


def _text(hour: int) -> str:
    return f"{datetime.datetime.fromtimestamp(hour, datetime.UTC):%Y-%m-%d %H}"
