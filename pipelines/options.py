"""The options of the main job, each declared once: type, default, help, pattern."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pipelines.startup import LOCAL_RUNNERS
from schemas.message_formats import MESSAGE_FORMATS

__all__ = [
    "OPTIONS",
    "SAMPLE",
    "Option",
    "UsageError",
    "check_beam_options",
    "parse_options",
]

SAMPLE = Path(__file__).parent / "data" / "sample.jsonl.gz"


class UsageError(Exception):
    """The command line cannot be understood; the message is one sentence."""


@dataclass(frozen=True)
class Option:
    """One option of the job.

    Attributes:
        name: without the dashes.
        help: one sentence.
        default: what it is when it is not given.
        many: it takes several values.
        choices: the only values it takes.
        flag: it takes no value.
        metavar: what stands for the value in the help.
    """

    name: str
    help: str
    default: Any = None
    many: bool = False
    choices: tuple[str, ...] | None = None
    flag: bool = False
    metavar: str | None = None


OPTIONS = (
    Option(
        "input",
        "files of readings: paths or globs of .jsonl, .json, .jsonl.gz, .json.gz; or streams: "
        "kafka://HOST:PORT/TOPIC, pubsub://projects/P/subscriptions/S, https://…",
        default=(str(SAMPLE),),
        many=True,
        metavar="URI",
    ),
    Option("output", "the folder of the local store", default="results", metavar="DIR"),
    Option(
        "window",
        "hourly, sliding (60 minutes every 5), or SIZE/PERIOD such as 15m/5m",
        default=("hourly", "sliding"),
        many=True,
        metavar="WINDOW",
    ),
    Option(
        "message_format",
        "how the messages are written",
        default="regional",
        choices=tuple(MESSAGE_FORMATS),
    ),
    Option(
        "duplicates",
        "latest: of each reading the newest version counts; keep: every message counts",
        default="latest",
        choices=("latest", "keep"),
    ),
    Option(
        "archive",
        "on: every version of every reading is kept in the table readings; none: it is not",
        default="on",
        choices=("on", "none"),
    ),
    Option(
        "early_every",
        "streams: how often a window is written before it is complete; 0s: not before",
        default="30s",
        metavar="TIME",
    ),
    Option(
        "late_every",
        "streams: how often corrections of a complete window are written",
        default="30s",
        metavar="TIME",
    ),
    Option(
        "allowed_lateness",
        "streams: how long after its event time a reading may arrive and count at once",
        default="1d",
        metavar="TIME",
    ),
    Option(
        "max_future",
        "streams: how far a reading's event time may lie ahead of its arrival",
        default="5m",
        metavar="TIME",
    ),
    Option(
        "out_of_orderness",
        "streams: how far the watermark stays behind the newest event time",
        default="5m",
        metavar="TIME",
    ),
    Option(
        "idle",
        "streams: what the watermark of a silent part of a source does: it follows the clock, or "
        "holds all windows back",
        default="clock",
        choices=("clock", "hold"),
    ),
    Option(
        "idle_after",
        "streams: how long a part that is read to its end must be silent for that",
        default="1m",
        metavar="TIME",
    ),
    Option(
        "stop_when_idle",
        "streams: end when every source is read to its end and silent for so long; 0s: never",
        default="0s",
        metavar="TIME",
    ),
    Option(
        "remember_versions",
        "streams: how long after its arrival a reading can be replaced by a newer version",
        default="1h",
        metavar="TIME",
    ),
    Option("format", "how the summary is printed", default="table", choices=("table", "json")),
    Option("quiet", "print nothing but errors", flag=True, default=False),
    Option("verbose", "show Beam's log and, when the job fails, where", flag=True, default=False),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Reads the command line.

    Args:
        arguments: without the program's name.

    Returns:
        The values of `OPTIONS`, and the arguments that are Beam's.

    Raises:
        UsageError: an argument is wrong.
        SystemExit: after printing the help.
    """
    parser = _Parser(
        prog="python -m pipelines.regional_means",
        description="Regional means of sensor readings: from files to tables that answer SQL.",
        epilog="Beam's own options (--runner, --direct_num_workers, …) are understood too.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for option in OPTIONS:
        settings: dict[str, Any] = {"default": option.default, "help": option.help}
        if option.flag:
            settings["action"] = "store_true"
        else:
            settings["choices"] = option.choices
            settings["metavar"] = option.metavar
            if option.many:
                settings["nargs"] = "+"
                settings["action"] = "extend"
                settings["default"] = None
                settings["help"] += f" (default: {' '.join(_shown(option.default))})"
        parser.add_argument(f"--{option.name}", **settings)
    values, rest = parser.parse_known_args(list(arguments))
    for option in OPTIONS:
        if option.many and getattr(values, option.name) is None:
            setattr(values, option.name, list(option.default))
    values.output = _folder(values.output)
    words = [word for word in rest if not word.startswith("-")]
    if rest and rest[0] in words:
        msg = f"unexpected argument {rest[0]!r}; inputs are named by --input"
        raise UsageError(msg)
    return values, rest


def check_beam_options(rest: Sequence[str]) -> None:
    """Refuses options that nobody knows; for runners elsewhere, that runner decides.

    Raises:
        UsageError: an option is neither the job's nor Beam's.
    """
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415 - slow

    parser = _Parser(allow_abbrev=False, add_help=False, conflict_handler="resolve")
    for options in _subclasses(PipelineOptions):
        if "_add_argparse_args" in vars(options):
            options._add_argparse_args(parser)
    values, unknown = parser.parse_known_args(list(rest))
    named = [word.split("=")[0] for word in unknown if word.startswith("-")]
    _check_runner(getattr(values, "runner", None), getattr(values, "direct_num_workers", None))
    if not unknown or (getattr(values, "runner", None) or "FnApiRunner") not in LOCAL_RUNNERS:
        return
    wrong = named[0] if named else unknown[0]
    ours = [f"--{option.name}" for option in OPTIONS]
    known = [*ours, *(name for action in parser._actions for name in action.option_strings)]
    close = difflib.get_close_matches(wrong, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; --help lists the options"
    msg = f"unknown option {wrong}{hint}"
    raise UsageError(msg)


def _check_runner(runner: str | None, workers: int | None) -> None:
    from apache_beam.runners.runner import create_runner  # noqa: PLC0415 - slow

    if workers is not None and workers < 0:
        msg = f"--direct_num_workers must be 0 (all cores) or more, not {workers}"
        raise UsageError(msg)
    if runner is None or runner in LOCAL_RUNNERS:
        return
    try:
        create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        msg = f"unknown runner {runner}: {str(error).splitlines()[0]}"
        raise UsageError(msg) from error


def _folder(output: str) -> str:
    """The folder that an output names.

    Raises:
        UsageError: it names none.
    """
    path = output.removeprefix("file://") if output.startswith("file:///") else output
    if not path or "://" in path:
        msg = f"the output {output!r} is not a folder; results are kept in folders only"
        raise UsageError(msg)
    return path


def _subclasses(options: Any) -> Iterable[Any]:
    for subclass in options.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _shown(values: Iterable[str]) -> list[str]:
    return ["the packaged sample" if value == str(SAMPLE) else value for value in values]
