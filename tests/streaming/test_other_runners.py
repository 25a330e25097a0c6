"""What streams come to on other runners: the last row of every window is the batch's.

Which panes come when is tested where they come exactly as written. Here it is the end that counts:
random stories of late readings, versions that move to other hours, regions and out of France,
deletions, repeats and a watermark that runs ahead or stands still, each as one stream.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.coders import BytesCoder
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue

from geo import RegionIndex
from tests.support import streams
from tests.support.prism import prism_address
from tests.support.streams import AT_SEA, PARIS, TOULOUSE, Stream, at, deletion, reading
from transforms import AssignRegions, KeepLatestVersion, RegionalMeans
from transforms.assign_regions import assign_regions
from transforms.batches import BatchCoder, batch_rows, rows_of, stamped
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS
from transforms.triggers import Triggers
from transforms.versions import entries_of, newest
from transforms.window_means import window_rows
from transforms.windows import HOURLY, SLIDING, slice_seconds

WINDOWS = [HOURLY, SLIDING]
PLACES = (PARIS, TOULOUSE, AT_SEA)
FLINK_JAR = "FLINK_JOB_SERVER_JAR"
BUILT = Path(__file__).parents[2] / ".cache" / "flink"


def story(seed):
    """Batches of rows, and how far the watermark goes after each, in minutes."""
    chance = random.Random(seed)
    batches, watermark = [], 0
    for _ in range(chance.randrange(4, 9)):
        rows = []
        for _ in range(chance.randrange(1, 6)):
            name, version = f"r{chance.randrange(6)}", chance.randrange(1, 5)
            if chance.random() < 0.15:
                rows.append(deletion(name, version))
                continue
            minutes = chance.randrange(0, 180)
            value = chance.randrange(-20, 40) + chance.randrange(1000) / 1000
            rows.append(reading(name, minutes, value, version, chance.choice(PLACES)))
        watermark = max(watermark, watermark + chance.choice([0, 0, 30, 70]))
        batches.append((rows, watermark))
        if chance.random() < 0.3:
            batches.append((rows, watermark))
    return batches


def as_stream(batches):
    """The story as a stream of bytes: what all runners can take."""
    events = TestStream(coder=BytesCoder()).with_output_types(bytes)
    stream, reached = Stream(events), 0
    for rows, watermark in batches:
        stream.elements(BatchCoder().encode(batch_rows(rows)), minutes=reached)
        stream.wait()
        if watermark > reached:
            stream.watermark(watermark)
        reached = watermark
    return stream.end()


def without_a_clock(batches):
    """The same for a runner whose tests cannot set the clock."""
    events, reached = TestStream(coder=BytesCoder()).with_output_types(bytes), 0
    events.advance_watermark_to(at(0).timestamp())
    for rows, watermark in batches:
        encoded = BatchCoder().encode(batch_rows(rows))
        events.add_elements([TimestampedValue(encoded, at(reached).timestamp())])
        if watermark > reached:
            events.advance_watermark_to(at(watermark).timestamp())
        reached = watermark
    return events.advance_watermark_to_infinity()


def last_rows(stream, options, runner=None, triggers=None):
    """The last row of each window, with what it says."""
    label = f"story-{random.SystemRandom().random()}"
    pipeline = beam.Pipeline(runner=runner, options=options)
    means = (
        pipeline
        | "Stream" >> stream
        | "Batches" >> beam.Map(lambda data: stamped(BatchCoder().decode(data)))
        | AssignRegions()
        | KeepLatestVersion(remember_versions=86_400)
        | RegionalMeans(WINDOWS, triggers=triggers)
    )
    means | "See" >> beam.ParDo(streams._See(label))
    pipeline.run().wait_until_finish()
    found = {}
    for batch in streams._outputs.pop(label, []):
        for row in rows_of(batch):
            found[key(row)] = row
    return {name: said(row) for name, row in found.items() if row["count"]}


def batch_of(batches):
    """What a batch makes of all rows of the story."""
    rows = [row for some, _ in batches for row in some]
    statistics = [make() for make in STATISTICS.values()]
    placed = assign_regions(batch_rows(rows), RegionIndex.default())
    slices = SliceAccumulator(slice_seconds(WINDOWS), statistics)
    slices.add(newest(entries_of(placed, "region")).entries)
    pieces = [piece for _, piece in slices.flush(1)]
    if not pieces:
        return {}
    found = window_rows(pieces, WINDOWS, slice_seconds(WINDOWS), statistics).to_pylist()
    return {key(row): said(row) for row in found}


def key(row):
    return row["region_code"], row["window_size"], row["window_start"]


def said(row):
    """A minimum that has left may be unknown in a stream, but is never another one."""
    return tuple(row[name] for name in ("count", "mean", "stddev", "min", "max"))


def agree(found, expected):
    assert found.keys() == expected.keys()
    for name, (*sums, least, most) in expected.items():
        *others, lowest, highest = found[name]
        assert others == sums, name
        assert lowest in {None, least}
        assert highest in {None, most}


@pytest.fixture(scope="module")
def prism():
    with prism_address() as address:
        yield [f"--job_endpoint={address}", "--runner=PrismRunner"]


@pytest.fixture(scope="module")
def flink():
    jar = os.environ.get(FLINK_JAR) or next(iter(map(str, BUILT.glob("beam-*.jar"))), None)
    if not jar:
        pytest.skip(f"no Flink: run `make flink-job-server`, or name one by {FLINK_JAR}")
    return [
        *("--runner=FlinkRunner", f"--flink_job_server_jar={jar}", "--flink_version=1.19"),
        *("--flink_master=[local]", "--max_bundle_size=1", "--number_of_execution_retries=0"),
    ]


def streaming(arguments):
    options = PipelineOptions([*arguments, "--environment_type=LOOPBACK"])
    options.view_as(StandardOptions).streaming = True
    return options


@pytest.mark.parametrize("seed", range(4))
def test_a_story_comes_to_what_a_batch_makes_of_it(seed):
    batches = story(seed)
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    found = last_rows(as_stream(batches), options, streams.BundleBasedDirectRunner())
    agree(found, batch_of(batches))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_so_it_does_on_prism(prism, seed):
    batches = story(seed)
    agree(last_rows(as_stream(batches), streaming(prism)), batch_of(batches))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_so_it_does_on_flink(flink, seed):
    batches = story(seed)
    at_once = Triggers(early_every=None, late_every=0)
    found = last_rows(without_a_clock(batches), streaming(flink), triggers=at_once)
    agree(found, batch_of(batches))
