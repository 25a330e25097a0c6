"""The command line of `pipelines.replay`: where records come from, which, and where they go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from connectors.secrets import shown
from pipelines.options import UsageError, parse_options
from pipelines.store_commands import moment
from schemas.message_formats import open_formats
from schemas.reasons import REASONS

__all__ = [
    "Dataset",
    "File",
    "Folder",
    "Topic",
    "check",
    "destination_name",
    "parse_replay_options",
]

EPILOG = """\
Rejected records are read by the parser once more, and those that it takes now are sent. Rows of
rejected_readings stay; the view open_rejections leaves out what has been sent. Records that came
too late need no replay: they are in the archive, and python -m pipelines.reconcile counts them.

Into a store, a record keeps its place and its arrival, so that it is the same reading however
often it is sent, and does not replace what came after it. Into a topic, it arrives when it is sent.
Other options are those of python -m pipelines.regional_means, where the output is a store.

exit codes: 0 where all that is good now was sent, 1 where it failed, 2 for wrong usage
"""

INPUT = (
    "where the rejected records are: a store's folder, bigquery://PROJECT.DATASET, a dead-letter "
    "topic kafka://HOST:PORT/TOPIC, or its subscription pubsub://projects/P/subscriptions/S "
    "(default: %(default)s)"
)
OUTPUT = (
    "where they go: a store's folder, bigquery://PROJECT.DATASET, a topic kafka://HOST:PORT/TOPIC "
    "or pubsub://projects/P/topics/T, or a new file .jsonl (default: where they come "
    "from)"
)
REASON = f"only of these reasons: {', '.join(REASONS)} (default: all but too_late)"
AS_THERE = "as of the main job"


@dataclass(frozen=True)
class Folder:
    """A local store."""

    path: str

    @property
    def name(self) -> str:
        """As the user is told."""
        return self.path


@dataclass(frozen=True)
class File:
    """A file of JSON lines."""

    path: str

    @property
    def name(self) -> str:
        """As the user is told."""
        return self.path


@dataclass(frozen=True)
class Topic:
    """A topic or subscription of a queue."""

    uri: str

    @property
    def name(self) -> str:
        """As the user is told."""
        return self.uri


@dataclass(frozen=True)
class Dataset:
    """A dataset of BigQuery."""

    uri: str

    @property
    def name(self) -> str:
        """As the user is told."""
        return self.uri


def destination_name(options: argparse.Namespace) -> str:
    """Where the records go, as the user is told."""
    name: str = options.destination.name
    return name


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse_replay_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Reads the command line.

    Args:
        arguments: without the program's name.

    Returns:
        The options, with `origin` and `destination`; and the arguments that are the main job's.

    Raises:
        UsageError: it is wrong.
    """
    parser = _Parser(
        prog="python -m pipelines.replay",
        description="Send rejected records again after a fix.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--input", default="./results", metavar="URI", help=INPUT)
    add("--output", metavar="URI", help=OUTPUT)
    add("--reason", nargs="+", action="extend", choices=REASONS, metavar="REASON", help=REASON)
    add("--since", type=moment, metavar="TIME", help="only rejected then or later")
    add("--until", type=moment, metavar="TIME", help="only rejected before then")
    add("--source", metavar="PATTERN", help="only from sources like this, such as '/data/2019-*'")
    add("--again", action="store_true", help="also what a replay has sent before")
    add("--message_format", default="auto", metavar="FORMAT", help=AS_THERE)
    add("--max_future", default="5m", metavar="TIME", help=AS_THERE)
    add("--kafka_option", nargs="+", action="extend", metavar="NAME=VALUE", help=AS_THERE)
    add("--dry_run", action="store_true", help="count only; send and mark nothing")
    add("--format", choices=("table", "json"), default="table", help="how the outcome is printed")
    options, rest = parser.parse_known_args(list(arguments))
    options.reason, options.kafka_option = options.reason or [], options.kafka_option or []
    if options.since and options.until and options.since >= options.until:
        msg = f"--since {options.since.isoformat()} is not before --until"
        raise UsageError(msg)
    options.origin = _origin(options.input)
    options.destination = _destination(options)
    return options, rest


def check(options: argparse.Namespace, rest: Sequence[str]) -> Any:
    """What else is wrong with the options, before anything is read.

    Returns:
        The main job's options and Beam's, where the output is a store; else None.

    Raises:
        UsageError: an option is wrong.
    """
    from connectors.input_error import InputError  # noqa: PLC0415 - Beam takes a second
    from connectors.kafka_options import KafkaOptions  # noqa: PLC0415
    from transforms.windows import parse_duration  # noqa: PLC0415

    try:
        KafkaOptions.parse(options.kafka_option)
        open_formats(options.message_format)
        parse_duration(options.max_future)
    except (InputError, ValueError) as error:
        raise UsageError(str(error)) from error
    if not isinstance(options.destination, (Folder, Dataset)):
        if rest:
            msg = f"unknown option {rest[0]}; --help lists the options"
            raise UsageError(msg)
        return None
    from pipelines.options import check_beam_options  # noqa: PLC0415

    own = ["--output", options.destination.name, "--message_format", options.message_format]
    main_options, beam = parse_options([*own, "--max_future", options.max_future, *rest])
    if beam:
        check_beam_options(beam)
    if main_options.reports or main_options.dead_letters or main_options.input != _no_input():
        msg = "--input and --output name one place each, and --dead_letters none: send and count"
        raise UsageError(msg)
    return main_options, beam


def _no_input() -> list[str]:
    return parse_options([])[0].input  # type: ignore[no-any-return]


def _origin(uri: str) -> Folder | Topic | Dataset:
    if uri.startswith("bigquery:"):
        return Dataset(uri)
    if uri.startswith(("kafka://", "pubsub://")):
        if uri.startswith("pubsub://") and "/subscriptions/" not in uri:
            msg = f"--input {shown(uri)}: name a subscription of the topic, to read from"
            raise UsageError(msg)
        return Topic(uri)
    return Folder(_path(uri, "--input"))


def _destination(options: argparse.Namespace) -> Folder | Dataset | Topic | File:
    origin, uri = options.origin, options.output
    if uri is None:
        if isinstance(origin, Topic):
            msg = "name an --output: a store, a topic or a file .jsonl"
            raise UsageError(msg)
        return origin
    if uri.startswith("bigquery:"):
        return Dataset(uri)
    if uri.startswith(("kafka://", "pubsub://")):
        if uri == options.input:
            msg = "the records would go back among the dead letters: name another --output"
            raise UsageError(msg)
        return Topic(uri)
    path = _path(uri, "--output")
    if not path.lower().endswith(".jsonl"):
        return Folder(path)
    if options.input.startswith("pubsub://"):
        # A message is acknowledged when its record is safe; a file is safe when it is whole.
        msg = "what a subscription gives goes into a store or a topic, not into a file"
        raise UsageError(msg)
    return File(path)


def _path(uri: str, option: str) -> str:
    location = urlsplit(uri)
    path = location.path if location.scheme == "file" else uri
    if not path or "://" in path:
        msg = f"{option} {shown(uri)!r} is nothing that is known here; --help says what it may be"
        raise UsageError(msg)
    return path
