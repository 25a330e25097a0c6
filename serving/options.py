"""The options of the service."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from serving.admission import Limits

__all__ = ["parse_options"]

RAW_TOPIC = "raw_messages"
SIZE = re.compile(r"(\d{1,12})([kKmM]i?[bB]?)?", re.ASCII)
SECONDS = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", re.ASCII)
UNITS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

EPILOG = """\
The interactive documentation is at /docs. /health says that the process lives, /ready that the
queue does.

exit codes: 0 after it was told to stop, 1 where the queue cannot be reached or did not confirm
everything at the end, 2 where the command line is wrong or the port is taken
"""


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The values of the options, and `limits` made of some.

    Raises:
        SystemExit: an argument is wrong, or help was asked for.
    """
    usual = Limits()
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Receive messages of devices over HTTP and put them on a queue.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    add("--port", type=_port, default=8080, help="the port; 0 takes a free one (default: 8080)")
    add(
        "--output",
        required=True,
        metavar="URI",
        help="where messages go: kafka://HOST:PORT/TOPIC or pubsub://projects/P/topics/T",
    )
    add(
        "--raw_messages",
        nargs="?",
        const=RAW_TOPIC,
        metavar="TOPIC|URI",
        help="keep every message as it came, too: in this topic beside the output "
        f"(default: {RAW_TOPIC}), or elsewhere",
    )
    add(
        "--kafka_option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the Kafka client; NAME=env:VARIABLE for what is secret",
    )
    add(
        "--max_in_flight",
        type=_count,
        default=usual.in_flight,
        metavar="N",
        help="messages that wait for the queue at a time; beyond: 429 (default: %(default)s)",
    )
    add(
        "--max_body",
        type=_size,
        default=usual.body,
        metavar="SIZE",
        help="of a request's body, such as 500k or 2M (default: 1M)",
    )
    add(
        "--confirm_within",
        type=_seconds,
        default=usual.confirm_within,
        metavar="TIME",
        help="how long the queue has to confirm; beyond: 503 (default: 10s)",
    )
    add(
        "--max_future",
        type=_seconds,
        default=float(usual.max_future),
        metavar="TIME",
        help="how far a timestamp may lie ahead of the message's arrival (default: 5m)",
    )
    add(
        "--log_level",
        choices=("info", "warning"),
        default="info",
        help="info: a line a request; warning: only what went wrong (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    options.limits = Limits(
        in_flight=options.max_in_flight,
        in_flight_bytes=max(usual.in_flight_bytes, 2 * options.max_body),
        body=options.max_body,
        confirm_within=options.confirm_within,
        max_future=int(options.max_future),
    )
    return options


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        msg = f"{text!r} is no port: a number from 0 to 65535"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        msg = f"{text!r} is not a number from 1 to 1000000"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _size(text: str) -> int:
    found = SIZE.fullmatch(text)
    factor = {"k": 1 << 10, "m": 1 << 20}.get((found[2] or "b")[0].lower(), 1) if found else 0
    size = int(found[1]) * factor if found else 0
    if not 1 <= size <= 1 << 28:
        msg = f"{text!r} is no size; write 500k or 2M, at most 256M"
        raise argparse.ArgumentTypeError(msg)
    return size


def _seconds(text: str) -> float:
    found = SECONDS.fullmatch(text)
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0.1 <= seconds <= 86_400:
        msg = f"{text!r} is no length of time from 100ms to 24h; write 10s or 5m"
        raise argparse.ArgumentTypeError(msg)
    return seconds
