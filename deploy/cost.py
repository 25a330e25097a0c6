"""Estimates what a month costs: `python -m deploy.cost --readings_per_day 12000000`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from deploy.arguments import Parser, amount, rounded
from deploy.cost_model import WAYS, Item, Volume, items_of, price_file, sizing

__all__ = ["main"]

PRESETS = {
    # 220 KB each 10 s, one response a message.
    "system_a": Volume(
        readings_per_day=8640 * 220_000 / 154, readings_per_message=1429, messages_per_request=1
    ),
    "gigabyte_a_minute": Volume(readings_per_day=1440 * 1e9 / 154),
}
HELP = {
    "bytes_per_reading": "bytes of JSON text of a reading",
    "readings_per_message": "readings in a message of the queue",
    "messages_per_request": "messages that are published together; Pub/Sub bills 1,000 bytes a "
    "request at least",
    "keep_days": "how many days of readings BigQuery keeps",
    "raw_days": "how many days of raw messages Cloud Storage keeps",
    "queries_per_day": "questions to the views, each about a day",
    "reconciled_days": "days of readings that are reconciled each day",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0; 2 for wrong usage ends the process.
    """
    parser = Parser(
        prog="python -m deploy.cost",
        description="Estimate what a month of the pipeline costs at list prices.",
        epilog=f"{price_file()['note']} Work of people is not in it.",
        allow_abbrev=False,
    )
    volumes = parser.add_mutually_exclusive_group(required=True)
    volumes.add_argument("--readings_per_day", type=amount, metavar="N")
    volumes.add_argument(
        "--system",
        choices=("A",),
        help="a preset: A is 220 KB each 10 s, in one message",
    )
    volumes.add_argument(
        "--gigabyte_a_minute", action="store_true", help="a preset: 1 GB of JSON each minute"
    )
    for name, text in HELP.items():
        parser.add_argument(
            f"--{name}",
            type=amount,
            metavar="N",
            help=f"{text} (default: {Volume(1).__dict__[name]:g})",
        )
    parser.add_argument(
        "--region", choices=price_file()["regions"], default=price_file()["regions"][0]
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    options = parser.parse_args(arguments)
    volume = _volume(options)
    bills = {way: items_of(way, volume, options.region) for way in WAYS}
    print(_as_json(volume, bills) if options.format == "json" else _as_text(volume, bills, options))
    return 0


def _volume(options: argparse.Namespace) -> Volume:
    if options.gigabyte_a_minute:
        base = PRESETS["gigabyte_a_minute"]
    elif options.system:
        base = PRESETS[f"system_{options.system.lower()}"]
    else:
        base = Volume(options.readings_per_day)
    given = {name: getattr(options, name) for name in HELP}
    values = {each.name: getattr(base, each.name) for each in fields(Volume)}
    values.update({name: value for name, value in given.items() if value is not None})
    return Volume(**values)


def _as_json(volume: Volume, bills: dict[str, list[Item]]) -> str:
    document: dict[str, Any] = {
        "volume": vars(volume),
        "prices_of": price_file()["date"],
        "note": price_file()["note"],
        "ways": {
            way: {
                "title": WAYS[way][0],
                "dollars_a_month": round(sum(item.cost for item in items), 2),
                "items": [{**vars(item), "dollars": round(item.cost, 2)} for item in items],
            }
            for way, items in bills.items()
        },
        "sizing": sizing(),
    }
    return json.dumps(document, indent=2)


def _as_text(volume: Volume, bills: dict[str, list[Item]], options: argparse.Namespace) -> str:
    lines = [
        f"{volume.readings_per_day:,.0f} readings a day, {volume.per_second:,.0f} a second",
        f"{volume.bytes_per_day / 1e9:,.1f} GB of JSON a day",
        f"{options.region}, list prices of {price_file()['date']}",
    ]
    for way, items in bills.items():
        lines += ["", f"{WAYS[way][0]}: about ${rounded(sum(i.cost for i in items))} a month"]
        for item in sorted(items, key=lambda item: -item.cost):
            said = f"{rounded(item.amount)} {item.unit} at ${item.price:g}"
            lines.append(f"  ${rounded(item.cost):>9}  {item.name}: {said}")
    lines += ["", "sized by:"]
    lines += [f"  {name} {each['value']:,}: {each['from']}" for name, each in sizing().items()]
    lines += ["", price_file()["note"], "Work of people is not in it."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
