"""Reads the command line of the main job."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from connectors.bigquery.uri import is_bigquery
from connectors.bigquery.uri import parse as parse_dataset
from connectors.output_error import OutputError
from connectors.secrets import shown
from pipelines.option_table import OPTIONS, SAMPLE, Option
from pipelines.runner_names import check_runner, check_savepoint, with_full_name
from pipelines.startup import LOCAL_RUNNERS
from schemas.message_formats import open_formats

__all__ = [
    "OPTIONS",
    "SAMPLE",
    "Option",
    "UsageError",
    "check_beam_options",
    "parse_options",
]

QUEUES = ("kafka://", "pubsub://")
"""How the outputs begin that are no folders."""


class UsageError(Exception):
    """The command line cannot be understood; the message is one sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Reads the command line.

    Args:
        arguments: without the program's name.

    Returns:
        The values of `OPTIONS`, and the arguments that are Beam's, with the runner's full name.

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
                settings["default"] = argparse.SUPPRESS
                if option.default:
                    settings["help"] += f" (default: {' '.join(_shown(option.default))})"
        parser.add_argument(f"--{option.name}", **settings)
    values, rest = parser.parse_known_args(list(arguments))
    for option in OPTIONS:
        if option.many and not hasattr(values, option.name):
            setattr(values, option.name, list(option.default))
    values.output, values.reports = _outputs(values.output)
    if values.dead_letters is not None and not values.dead_letters.startswith(QUEUES):
        msg = (
            f"--dead_letters is {shown(values.dead_letters)!r}, not a queue: {' or '.join(QUEUES)}…"
        )
        raise UsageError(msg)
    try:
        open_formats(values.message_format)
    except ValueError as error:
        msg = f"--message_format: {error}"
        raise UsageError(msg) from error
    words = [word for word in rest if not word.startswith("-")]
    if rest and rest[0] in words:
        msg = f"unexpected argument {rest[0]!r}; inputs are named by --input"
        raise UsageError(msg)
    return values, with_full_name(rest)


def check_beam_options(rest: Sequence[str]) -> None:
    """Refuses options that nobody knows; for runners elsewhere, that runner decides.

    Raises:
        UsageError: an option is neither the job's nor Beam's.
    """
    from apache_beam.options.pipeline_options import PipelineOptions  # noqa: PLC0415 - slow

    from pipelines.flink_options import given_options  # noqa: PLC0415

    parser = _Parser(allow_abbrev=False, add_help=False, conflict_handler="resolve")
    for options in _subclasses(PipelineOptions):
        if "_add_argparse_args" in vars(options):
            options._add_argparse_args(parser)
    values, unknown = parser.parse_known_args(list(rest))
    named = [word.split("=")[0] for word in unknown if word.startswith("-")]
    workers = getattr(values, "direct_num_workers", None)
    if workers is not None and workers < 0:
        msg = f"--direct_num_workers must be 0 (all cores) or more, not {workers}"
        raise UsageError(msg)
    runner = getattr(values, "runner", None)
    try:
        if runner:
            check_runner(runner, getattr(values, "job_endpoint", None))
        check_savepoint(runner, given_options(rest))
    except ValueError as error:
        raise UsageError(str(error)) from error
    if getattr(values, "direct_running_mode", None) == "multi_threading":
        msg = (
            "--direct_running_mode=multi_threading is refused: with it Beam now and then breaks "
            "what it groups; leave it out, and all cores are used"
        )
        raise UsageError(msg)
    if not unknown or (runner or "FnApiRunner") not in LOCAL_RUNNERS:
        return
    wrong = named[0] if named else unknown[0]
    ours = [f"--{option.name}" for option in OPTIONS]
    known = [*ours, *(name for action in parser._actions for name in action.option_strings)]
    close = difflib.get_close_matches(wrong, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; --help lists the options"
    msg = f"unknown option {wrong}{hint}"
    raise UsageError(msg)


def _outputs(outputs: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The store, a folder or a dataset of BigQuery, and the queues.

    Raises:
        UsageError: there are two stores, or an output is neither.
    """
    queues = tuple(dict.fromkeys(each for each in outputs if each.startswith(QUEUES)))
    folders = list(dict.fromkeys(_folder(each) for each in outputs if each not in queues))
    if len(folders) > 1:
        what = "store" if any(map(is_bigquery, folders)) else "folder"
        msg = f"one {what} holds the results, not {' and '.join(folders)}"
        raise UsageError(msg)
    return (folders or ["results"])[0], queues


def _folder(output: str) -> str:
    """The folder, or the dataset, that an output names.

    Raises:
        UsageError: it names none.
    """
    if is_bigquery(output):
        try:
            return parse_dataset(output).uri
        except OutputError as error:
            raise UsageError(str(error)) from error
    path = output.removeprefix("file://") if output.startswith("file:///") else output
    if not path or "://" in path:
        known = " or ".join(("bigquery://", *QUEUES))
        msg = (
            f"the output {shown(output)!r} is neither a folder, nor a dataset or a queue: {known}…"
        )
        raise UsageError(msg)
    return path


def _subclasses(options: Any) -> Iterable[Any]:
    for subclass in options.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _shown(values: Iterable[str]) -> list[str]:
    return ["the packaged sample" if value == str(SAMPLE) else value for value in values]
