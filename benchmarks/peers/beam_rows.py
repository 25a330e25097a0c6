"""Beam as its guides teach it, element by element: hourly and sliding means by region.

A line is an element, `json.loads` parses it, prepared polygons place it, `Mean.PerKey` reduces
each window. No duplicates, no dead letters (a bad record ends it with an error), no store.
`python -m benchmarks.peers.beam_rows INPUT OUTPUT`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import shapely
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.combiners import Mean
from apache_beam.transforms.window import (
    FixedWindows,
    NonMergingWindowFn,
    SlidingWindows,
    TimestampedValue,
)

from benchmarks.peers.regions import Regions, read_regions

__all__ = ["main"]

WINDOWS: dict[str, NonMergingWindowFn] = {
    "hourly": FixedWindows(3_600),
    "sliding": SlidingWindows(3_600, 300),
}


class PlaceReading(beam.DoFn):
    """A line of message format A as (region code, temperature) at its event time."""

    def __init__(self, read: Callable[[], Regions] = read_regions) -> None:
        self._read = read

    def setup(self) -> None:
        """Reads the boundaries once a worker."""
        self.regions = self._read()

    def process(self, line: str) -> Iterator[TimestampedValue]:
        """Yields nothing for a reading outside all regions."""
        reading = json.loads(line)
        longitude, latitude = reading["lon"], reading["lat"]
        for number, (west, south, east, north) in enumerate(self.regions.bounds):
            if not (west <= longitude <= east and south <= latitude <= north):
                continue
            if shapely.intersects_xy(self.regions.polygons[number], longitude, latitude):
                moment = datetime.datetime.fromisoformat(reading["timestamp"])
                seconds = moment.replace(tzinfo=datetime.UTC).timestamp()
                pair = self.regions.codes[number], reading["temperature"]
                yield TimestampedValue(pair, seconds)
                return


def write_row(pair: tuple[str, float], window: Any = beam.DoFn.WindowParam) -> str:
    """(region code, mean) as `region_code,window_start,mean`."""
    code, mean = pair
    return f"{code},{window.start.to_utc_datetime():%Y-%m-%dT%H:%M:%SZ},{mean!r}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.beam_rows")
    parser.add_argument("input")
    parser.add_argument("output", help="prefix of the files to write")
    chosen, beam_options = parser.parse_known_args()
    logging.getLogger().setLevel(logging.ERROR)
    with beam.Pipeline(runner="FnApiRunner", options=PipelineOptions(beam_options)) as pipeline:
        placed = (
            pipeline
            | "Read" >> beam.io.ReadFromText(chosen.input)
            | "Place" >> beam.ParDo(PlaceReading())
        )
        for name, windows in WINDOWS.items():
            (
                placed
                | f"Window {name}" >> beam.WindowInto(windows)
                | f"Mean {name}" >> Mean.PerKey()
                | f"Row {name}" >> beam.Map(write_row)
                | f"Write {name}" >> beam.io.WriteToText(f"{chosen.output}-{name}", ".csv")
            )


if __name__ == "__main__":
    main()
