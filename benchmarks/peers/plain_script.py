"""What an expert writes in an hour with DuckDB and shapely: hourly means by region as CSV.

One step after the other: DuckDB parses the file, shapely places the points by bounding box, then
prepared polygon, DuckDB groups. No sliding windows, no duplicates, no dead letters (a bad record
ends it with an error), no store. `python -m benchmarks.peers.plain_script INPUT OUTPUT`.

`duckdb_script` does the same as fast as it can be made to.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.peers.duckdb_script import place
from benchmarks.peers.regions import read_regions

__all__ = ["main", "write_hourly_means"]

READ = """
    SELECT "timestamp", lat, lon, temperature
    FROM read_json($path, format = 'newline_delimited', columns = {
        timestamp: 'TIMESTAMP', lat: 'DOUBLE', lon: 'DOUBLE', temperature: 'DOUBLE'})
"""
GROUP = """
    COPY (
        SELECT codes.code AS region_code,
            strftime(date_trunc('hour', "timestamp"), '%Y-%m-%dT%H:%M:%SZ') AS hour,
            count(*) AS count, avg(temperature) AS mean
        FROM placed JOIN codes USING (region)
        GROUP BY ALL ORDER BY ALL
    ) TO $output (HEADER)
"""


def write_hourly_means(path: Path, output: Path) -> None:
    """Writes the hourly means of the readings of a file.

    Args:
        path: JSON lines of message format A, all of them good.
        output: CSV with the columns region_code, hour, count and mean.
    """
    connection = duckdb.connect()
    readings = connection.sql(READ, params={"path": str(path)}).to_arrow_table()
    regions = read_regions()
    numbers = place(readings["lon"].to_numpy(), readings["lat"].to_numpy(), regions)
    connection.register("placed", readings.append_column("region", pa.array(numbers)))
    codes = {"region": np.arange(len(regions.codes)), "code": regions.codes}
    connection.register("codes", pa.table(codes))
    connection.execute(GROUP, {"output": str(output)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.plain_script")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    chosen = parser.parse_args()
    write_hourly_means(chosen.input, chosen.output)


if __name__ == "__main__":
    main()
