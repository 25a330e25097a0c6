"""What the commands that look after a store have in common: their options, and how they begin."""

from __future__ import annotations

import argparse
import datetime
import io
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from connectors.local_store import LocalStore, StoreError
from connectors.local_store.manifest import MANIFEST
from pipelines.console import fail

__all__ = ["add_options", "length", "moment", "run_command"]

LENGTH = re.compile(r"(\d{1,6})([hdw])", re.ASCII)
HOURS = {"h": 1, "d": 24, "w": 168}


def add_options(
    parser: argparse.ArgumentParser,
    formats: Sequence[str],
    output: str = "folder that jobs write their results to",
) -> None:
    """Adds `--output`, with what it may be, and `--format`."""
    parser.add_argument(
        "--output",
        default="./results",
        metavar="URI",
        help=f"{output} (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=tuple(formats),
        default=formats[0],
        help="how the answer is printed (default: %(default)s)",
    )


def length(text: str) -> datetime.timedelta:
    """A length of time from the command line, such as `90d`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = LENGTH.fullmatch(text)
    if not found or not int(found[1]):
        msg = f"{text!r} is no length of time; write hours, days or weeks, such as 48h, 90d or 12w"
        raise argparse.ArgumentTypeError(msg)
    return datetime.timedelta(hours=int(found[1]) * HOURS[found[2]])


def moment(text: str) -> datetime.datetime:
    """A time from the command line, in UTC where it says no zone.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no time; write it as 2019-02-19T14:00:00Z or 2019-02-19"
        raise argparse.ArgumentTypeError(msg) from error
    if found.tzinfo is None:
        return found.replace(tzinfo=datetime.UTC)
    return found.astimezone(datetime.UTC)


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace, LocalStore], int],
) -> int:
    """Reads the command line, opens the store and runs the command.

    Args:
        parser: has the options of `add_options`.
        arguments: without the program's name; those of the process by default.
        command: what to do with options and store; gives the exit code.

    Returns:
        The exit code: 1 where the store cannot be read or written, 2 for wrong usage, 130 where the
        user interrupted it.
    """
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    location = urlsplit(options.output)
    if location.scheme not in {"", "file"} or not location.path:
        parser.error(f"--output is {options.output!r}, but this works on local folders only")
    folder = Path(location.path if location.scheme else options.output)
    try:
        if not (folder / MANIFEST).exists():
            msg = (
                f"there are no results in {folder}; run a job into it first, "
                f"python -m pipelines.regional_means --output {folder}"
            )
            raise StoreError(msg)
        return command(options, LocalStore(folder))
    except StoreError as error:
        return fail(str(error))
    except OSError as error:
        return fail(f"{error.filename or folder}: {error.strerror or error}")
    except KeyboardInterrupt:
        return fail("interrupted; the store is whole", 130)
