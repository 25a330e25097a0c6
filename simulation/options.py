"""The options of a simulation, each declared once."""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

from simulation.batch import MIXED
from simulation.messages import FORMATS
from simulation.world import MOST_SENSORS

__all__ = ["parse_options"]

MICROS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
LENGTH = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
EPILOG = """\
examples:
  python -m pipelines.simulate --messages 100000 --output readings.jsonl --counts sent.json
  python -m pipelines.simulate --format mixed --rate 100 --late 0.1 --bad 0.01
  python -m pipelines.simulate --rate 1000 --output kafka://127.0.0.1:9092/readings --partitions 4
  python -m pipelines.simulate --serve 8000 --api_key_env SIMULATED_KEY
"""


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line; times are in microseconds, moments in those since the epoch.

    Raises:
        SystemExit: an argument is wrong (2), or the help was asked for (0).
    """
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.simulate",
        description="Sends readings of sensors that are not there, and says what it sent.",
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_what(parser)
    _add_when(parser)
    _add_faults(parser)
    _add_where(parser)
    options = parser.parse_args(arguments)
    if options.serve is not None and options.output != "-":
        parser.error("--serve answers requests and --output sends: give one of them")
    if options.registered is None:
        options.registered = 0.9
    elif not options.devices:
        parser.error("--registered is the share of devices in the register: name it by --devices")
    return options


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is measured")
    group.add_argument(
        "--format",
        choices=(*FORMATS, "mixed"),
        default="regional",
        help=f"how messages are written; mixed: {', '.join(MIXED)} (default: regional)",
    )
    group.add_argument(
        "--sensors",
        type=_whole(1, MOST_SENSORS),
        default=1440,
        metavar="N",
        help="how many sensors there are; each stays in its place (default: 1440)",
    )
    group.add_argument(
        "--outside",
        type=_share,
        default=0.01,
        metavar="SHARE",
        help="the share of sensors at sea or abroad (default: 0.01)",
    )
    group.add_argument(
        "--devices",
        metavar="FILE",
        help="write a register of the places of devices, whose messages hold none, as CSV",
    )
    group.add_argument(
        "--registered",
        type=_share,
        metavar="SHARE",
        help="the share of devices that the register knows (default: 0.9)",
    )
    group.add_argument(
        "--seed",
        type=_whole(0, 2**64 - 1),
        default=1,
        metavar="N",
        help="another seed, other sensors, values and faults (default: 1)",
    )


def _add_when(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("when")
    group.add_argument(
        "--rate",
        type=_number(0, 1e7),
        metavar="N",
        help="measurements a second; 0: as fast as possible "
        "(default: 0 into a file, else each sensor once in ten seconds)",
    )
    group.add_argument(
        "--duration",
        type=_length,
        metavar="TIME",
        help="for how long sensors measure, such as 10m (default: for ever; 10m where --rate is 0)",
    )
    group.add_argument(
        "--messages",
        type=_whole(1, 2**40),
        metavar="N",
        help="how many messages are sent in all; at --rate 0 spread over --duration",
    )
    group.add_argument(
        "--start",
        type=_moment,
        metavar="TIMESTAMP",
        help="event time of the first measurement (default: now; 2024-12-01 where --rate is 0)",
    )
    group.add_argument(
        "--speed",
        type=_number(1e-3, 1e6),
        default=1.0,
        metavar="N",
        help="seconds of event time that pass in a second (default: 1)",
    )


def _add_faults(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("faults: shares of the measurements, 0 to 1 (default: 0)")
    for name, says in (
        ("late", "are sent after a delay, so out of order"),
        ("too_late", "are older than --allowed_lateness when they are sent"),
        ("future", "come from a clock that is ahead by more than --max_future"),
        ("duplicates", "are sent twice"),
        ("corrections", "are followed by a version with another value, half of them elsewhere"),
        ("deletions", "are followed by a message that takes them back"),
        ("bad", "are no readings: wrong types, missing fields, nulls, text cut off"),
        ("extra_fields", "have fields that nobody asked for, and are good"),
    ):
        group.add_argument(f"--{name}", type=_share, default=0.0, metavar="SHARE", help=says)
    for name, default, says in (
        ("delay", "5m", "the mean of the delays, which are distributed exponentially"),
        ("allowed_lateness", "1d", "as the pipeline has it"),
        ("max_future", "5m", "as the pipeline has it"),
    ):
        group.add_argument(
            f"--{name}",
            type=_length,
            default=default,
            metavar="TIME",
            help=f"{says} (default: {default})",
        )


def _add_where(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where to")
    group.add_argument(
        "--output",
        default="-",
        metavar="URI",
        help="- (standard output, the default), a file (.jsonl, .jsonl.gz), "
        "kafka://HOST:PORT/TOPIC, pubsub://projects/P/topics/T, or http://HOST:PORT of a service "
        "that takes messages of devices",
    )
    group.add_argument(
        "--serve",
        type=_whole(0, 65_535),
        metavar="PORT",
        help="answer GET / with the readings of the last interval instead; 0: any free port",
    )
    group.add_argument(
        "--host", default="127.0.0.1", help="where --serve listens (default: 127.0.0.1)"
    )
    group.add_argument(
        "--interval",
        type=_length,
        default="10s",
        metavar="TIME",
        help="the interval of --serve (default: 10s)",
    )
    group.add_argument(
        "--api_key_env",
        metavar="NAME",
        help="the environment variable with the key that --serve asks for in X-API-Key",
    )
    group.add_argument(
        "--partitions",
        type=_whole(0, 100_000),
        default=0,
        metavar="N",
        help="make the Kafka topic with so many partitions if it is not there",
    )
    group.add_argument(
        "--kafka_option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of librdkafka; NAME=env:VARIABLE for what is secret",
    )
    group.add_argument("--counts", metavar="FILE", help="write what was sent here, as JSON")
    group.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _share(text: str) -> float:
    return _number(0, 1)(text)


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not least <= found <= most:
            msg = f"{text!r} is no number from {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(msg)
        return found

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,20}", text) or not least <= int(text) <= most:
            msg = f"{text!r} is no whole number from {least} to {most}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return read


def _length(text: str) -> int:
    found = LENGTH.fullmatch(text)
    if not found or not int(found[1]):
        msg = f"unknown length of time {text!r}: write a number and ms, s, m, h or d, such as 30s"
        raise argparse.ArgumentTypeError(msg)
    return int(found[1]) * MICROS[found[2]]


def _moment(text: str) -> Any:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no time: write 2024-12-01 or 2024-12-01T14:00:00Z"
        raise argparse.ArgumentTypeError(msg) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    micros = (found - EPOCH) // datetime.timedelta(microseconds=1)
    if not 0 <= micros < 32_503_680_000_000_000:
        msg = f"{text!r} is not between the years 1970 and 3000"
        raise argparse.ArgumentTypeError(msg)
    return micros
