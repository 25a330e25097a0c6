"""What a stream of some size needs: `python -m deploy.capacity --gigabytes_per_minute 1 10 100`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from deploy.arguments import Parser, amount, rounded
from deploy.capacity_model import WORKER_VCPUS, Need, measured
from deploy.cost_model import Volume, items_of, price_file
from transforms.windows import parse_duration

__all__ = ["main"]

WAYS = ("flink", "dataflow")
SIZES = (1.0, 10.0, 100.0)
BYTES = Volume(1).bytes_per_reading


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0; 2 for wrong usage ends the process.
    """
    parser = Parser(
        prog="python -m deploy.capacity",
        description="What a stream needs at some sizes: processors, memory, state, shuffle, money.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--gigabytes_per_minute", nargs="+", type=amount, default=list(SIZES), metavar="N",
        help="of JSON text, 154 bytes a reading (default: 1 10 100)",
    )  # fmt: skip
    parser.add_argument(
        "--remember_versions", type=_seconds, default=3600, metavar="TIME",
        help="as of the job (default: 1h)",
    )  # fmt: skip
    parser.add_argument(
        "--series", type=amount, default=18.0, metavar="N",
        help="regions or sensors, times quantities (default: 18)",
    )  # fmt: skip
    parser.add_argument("--region", choices=price_file()["regions"])
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args(arguments)
    capacity, source = measured()
    region = options.region or price_file()["regions"][0]
    rows = []
    for size in options.gigabytes_per_minute:
        rate = size * 1e9 / 60 / BYTES
        need = capacity.need(rate, options.remember_versions, options.series)
        volume = Volume(rate * 86_400, least_vcpus=need.workers * WORKER_VCPUS)
        bills = {way: sum(item.cost for item in items_of(way, volume, region)) for way in WAYS}
        rows.append((size, need, bills))
    if options.format == "json":
        print(json.dumps({"measured": source, "sizes": [_as_json(*row) for row in rows]}, indent=2))
    else:
        print(_as_text(rows, source, region))
    return 0


def _as_json(size: float, need: Need, bills: dict[str, float]) -> dict[str, Any]:
    dollars = {f"dollars_a_month_{way}": round(bill, 2) for way, bill in bills.items()}
    return {"gigabytes_per_minute": size, **asdict(need), **dollars}


def _as_text(
    rows: Sequence[tuple[float, Need, dict[str, float]]], source: dict[str, Any], region: str
) -> str:
    lines = []
    for size, need, bills in rows:
        lines += [
            f"{size:g} GB a minute, {need.rate:,.0f} readings a second",
            f"  processors busy      {need.cores:,.1f}",
            f"  workers              {need.workers:,} of {WORKER_VCPUS} vCPU",
            f"  memory               {_bytes(need.memory)}",
            f"  versions on disk     {_bytes(need.disk)}",
            f"  state of the runner  {_bytes(need.state)}",
            f"  shuffled             {_bytes(need.shuffled)} a second",
            *(f"  {way:<20} about ${rounded(bill)} a month" for way, bill in bills.items()),
            "",
        ]
    lines.append(f"{region}, list prices of {price_file()['date']}; {source['note']}")
    return "\n".join(lines)


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:,.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"


def _seconds(text: str) -> float:
    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
