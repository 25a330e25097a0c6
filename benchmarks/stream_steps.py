"""What each step of a stream costs a reading: `python -m benchmarks.stream_steps FILE`.

Drives the steps of the main job as a worker would, bundle by bundle and into a real store, without
a runner and without a queue: a runner's shuffles and state come on top.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp

from benchmarks.report import Section
from benchmarks.stream_versions import REMEMBER, SHARDS, State
from connectors.local_archive import WriteArchive
from connectors.local_rows import Run
from connectors.local_store import LocalStore, StoredFile
from connectors.local_store.records import RUNNING, STREAM
from connectors.local_writers import WriteEntries
from connectors.streams.event_times import EventTimes
from geo import RegionIndex
from schemas.groupings import REGION
from transforms.assign_regions import assign_regions
from transforms.check_arrival import ArrivalRule
from transforms.latest_in_stream import RememberVersions
from transforms.numbers import MICROS
from transforms.pack_by_identity import PackByIdentity
from transforms.parse_block import BlockParser
from transforms.payload import Payload, join_messages
from transforms.slice_changes import ReduceSlices
from transforms.statistics import STATISTICS
from transforms.windows import HOURLY, SLIDING, slice_seconds

__all__ = ["main", "stream_steps"]

BUNDLES = (500, 5_000, 50_000)
"""Readings in a bundle: at so many a second a bundle of half a second holds half of them."""

READINGS = 1_000_000
FEWEST_BUNDLES, MOST_BUNDLES = 10, 100
ARRIVES_AFTER = 10 * MICROS
DAY = 86_400
SERIES_SHARDS = 4
STEPS = {
    "join": "Join the messages of a poll",
    "watermark": "Find their newest event time, for the watermark",
    "parse": "Parse",
    "place": "Assign regions",
    "archive": "Write the archive (Parquet, zstd, fsync)",
    "pack": "Pack by identity, for the shuffle",
    "remember": "Decide about versions and remember them",
    "index": "Write the index of identities",
    "reduce": "Reduce to 5-minute slices, all statistics",
    "commit": "Commit to the store, once a second of 110,000 readings",
}


class Stopwatch:
    """Adds up the processor time of steps."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(STEPS, 0.0)

    def __call__(self, step: str, work: Callable[[], Any]) -> Any:
        """Does a step's work; gives what it gives."""
        began = time.process_time()
        done = work()
        self.spent[step] += time.process_time() - began
        return done


class Worker:
    """The steps between a poll and the store, as one worker does them.

    Args:
        folder: the store's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._run = Run(
            "benchmark",
            LocalStore(folder).next_revision(),
            datetime.datetime.now(datetime.UTC),
            ("kafka://benchmark",),
            windows=tuple((window.size, window.period) for window in (HOURLY, SLIDING)),
        )
        self._event_times = EventTimes("auto", 300)
        self._parser = BlockParser("auto", hash_raw=False, arrival_rule=ArrivalRule(DAY, 300))
        self._index = RegionIndex.default()
        self._pack: Any = PackByIdentity(SHARDS, REGION)
        self._remember: Any = RememberVersions(REMEMBER, 300)
        self._remember.setup()
        statistics = [statistic() for statistic in STATISTICS.values()]
        self._reduce: Any = ReduceSlices(
            slice_seconds((HOURLY, SLIDING)), statistics, REGION, SERIES_SHARDS
        )
        self._archive: Any = WriteArchive(self._folder, self._run.run_id)
        self._archive.setup()
        self._entries: Any = WriteEntries(self._folder, self._run)
        self._states = [State() for _ in range(SHARDS)]
        self._files: list[StoredFile] = []

    def bundle(self, texts: Sequence[bytes], arrivals: np.ndarray, watch: Stopwatch) -> None:
        """A poll of messages, from the queue to files."""
        payload: Payload = watch("join", lambda: _joined(texts, arrivals))
        watch("watermark", lambda: self._event_times.newest(payload))
        parsed = watch("parse", lambda: self._parser.parse_payload(payload))
        placed = watch(
            "place", lambda: [assign_regions(batch, self._index) for batch in parsed.readings]
        )
        self._files += watch("archive", lambda: _files(_through(self._archive, placed)))
        packed = watch("pack", lambda: _through(self._pack, placed, Timestamp(0)))
        decided = watch("remember", lambda: self._decide(packed))
        entries, weighted = _told_apart(decided)
        self._files += watch("index", lambda: _files(_through(self._entries, entries)))
        watch("reduce", lambda: _through(self._reduce, weighted))

    def commit(self) -> None:
        """Makes the files count."""
        files, self._files = self._files, []
        record = self._run.record(files, STREAM, RUNNING, duplicates="latest")
        LocalStore(self._folder).commit(record, files)

    def _decide(self, packed: Sequence[Any]) -> list[Any]:
        self._remember.start_bundle()
        given: list[Any] = []
        for piece in packed:
            state = self._states[piece[0]]
            given += self._remember.process(
                piece, MIN_TIMESTAMP, state.small, *state.bags, state.timer
            )
        return [*given, *self._remember.finish_bundle()]


def _through(step: Any, elements: Sequence[Any], *more: Any) -> list[Any]:
    """What a step gives for a bundle, without timestamps."""
    step.start_bundle()
    given = [one for element in elements for one in step.process(element, *more) or ()]
    return [getattr(one, "value", one) for one in (*given, *(step.finish_bundle() or ()))]


def _files(written: Sequence[Any]) -> list[StoredFile]:
    return [each for each in written if isinstance(each, StoredFile)]


def _told_apart(decided: Sequence[Any]) -> tuple[list[pa.RecordBatch], list[pa.RecordBatch]]:
    """The entries and the weighted readings among what `RememberVersions` gives."""
    entries = [one.value.value for one in decided if hasattr(one, "tag")]
    return entries, [one.value for one in decided if not hasattr(one, "tag")]


def _joined(texts: Sequence[bytes], arrivals: np.ndarray) -> Payload:
    return join_messages(texts, "kafka://benchmark/0", np.arange(len(texts)), arrivals)


def _polls(path: Path, size: int, readings: int) -> Iterator[tuple[list[bytes], np.ndarray]]:
    """Messages of a file of readings and their arrivals, so many at once."""
    parser = BlockParser("auto", hash_raw=False)
    with path.open("rb") as file:
        for _ in range(readings // size):
            texts = [line.rstrip(b"\n") for _, line in zip(range(size), file, strict=False)]
            batches = parser.parse(b"\n".join(texts), "benchmark").readings
            times = np.concatenate(
                [np.asarray(batch.column("event_time").view(pa.int64())) for batch in batches]
            )
            yield texts, times + ARRIVES_AFTER


def costs(path: Path, size: int, readings: int) -> dict[str, float]:
    """Nanoseconds of processor time a reading of each step; the first tenth is not timed."""
    with tempfile.TemporaryDirectory(prefix="stream-steps-") as folder:
        worker, watch = Worker(Path(folder) / "store"), Stopwatch()
        done = committed = timed = 0
        for texts, arrivals in _polls(path, size, readings):
            if done < readings // 10:
                watch = Stopwatch()
                timed = done + len(texts)
            worker.bundle(texts, arrivals, watch)
            done += len(texts)
            if done - committed >= min(110_000, readings // 4):
                watch("commit", worker.commit)
                committed = done
        return {step: 1e9 * spent / (done - timed) for step, spent in watch.spent.items()}


def stream_steps(path: Path, most: int = READINGS) -> Section:
    """Times the steps of a stream.

    Args:
        path: a file of good readings in the order of time.
        most: how many of them at most.
    """
    readings = min(most, READINGS)
    bundles = [size for size in BUNDLES if FEWEST_BUNDLES * size <= readings]
    measured = [costs(path, size, min(readings, MOST_BUNDLES * size)) for size in bundles]
    rows = [[text, *(f"{each[step]:,.0f}" for each in measured)] for step, text in STEPS.items()]
    sums = [f"{sum(each.values()):,.0f}" for each in measured]
    return Section(
        "What a step of a stream costs a reading",
        "Processor time in ns a reading, by readings in a bundle, without a runner: what Beam and "
        "the runner cost an element is paid once a bundle, so batches keep it small. "
        f"Up to {MOST_BUNDLES} bundles and {readings:,} readings, all new, into a store on disk.",
        ["Step", *(f"{size:,}" for size in bundles)],
        [*rows, ["All", *sums]],
    )


def main() -> None:
    """Prints the section as JSON."""
    parser = argparse.ArgumentParser(description="Time the steps of a stream.")
    parser.add_argument("file", type=Path, help="good readings in the order of time")
    parser.add_argument("--most", type=int, default=READINGS, help="how many of them at most")
    options = parser.parse_args()
    section = stream_steps(options.file, options.most)
    print(json.dumps(dataclasses.asdict(section)))


if __name__ == "__main__":
    main()
