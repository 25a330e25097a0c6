"""Which runners the job knows, and by which names."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence

__all__ = [
    "BUNDLES",
    "DATAFLOW",
    "DIRECT",
    "EMBEDDED",
    "FLINK",
    "IN_PROCESS",
    "PRISM",
    "check_runner",
    "check_savepoint",
    "full_name",
    "has_one_life",
    "is_embedded",
    "is_here",
    "with_full_name",
]

IN_PROCESS, PRISM, BUNDLES = "FnApiRunner", "PrismRunner", "BundleBasedDirectRunner"
FLINK, DATAFLOW, PORTABLE = "FlinkRunner", "DataflowRunner", "PortableRunner"
DIRECT = "DirectRunner"
"""The one of this machine: `IN_PROCESS` for files, `PRISM` for streams."""

KNOWN = (DIRECT, IN_PROCESS, PRISM, BUNDLES, FLINK, DATAFLOW, PORTABLE)
EMBEDDED = ("[local]", "[auto]")
SAVEPOINT = "savepoint_path"
OPTION = "--runner"
BEAMS = "apache_beam."
CLOSE = 0.8
"""How like a known name one must be to be meant. All end alike."""


def full_name(runner: str) -> str:
    """The name as it stands in `KNOWN`; one that is not there stays as it is.

    Beam takes any case, names without `Runner` at their end, and whole paths of its own.
    """
    last = runner.rpartition(".")[2] if runner.startswith(BEAMS) else runner
    for name in KNOWN:
        if last.lower() in {name.lower(), name.lower().removesuffix("runner")}:
            return name
    return runner


def with_full_name(arguments: Sequence[str]) -> list[str]:
    """Beam's options with the runner's full name, by which all that depends on it goes."""
    complete = []
    for before, word in itertools.pairwise(["", *arguments]):
        name, equals, value = word.partition("=")
        if before == OPTION:
            complete.append(full_name(word))
        elif name == OPTION and equals:
            complete.append(f"{name}={full_name(value)}")
        else:
            complete.append(word)
    return complete


def check_runner(runner: str, endpoint: str | None) -> None:
    """Refuses runners that the job does not run on.

    Args:
        runner: its full name.
        endpoint: of a job server that runs; None for none.

    Raises:
        ValueError: the sentence that says why.
    """
    if runner == DATAFLOW:
        msg = (
            f"{DATAFLOW} is given a job by python -m deploy.dataflow.main, which takes the same "
            "options; deploy/dataflow/README.md says what it needs"
        )
        raise ValueError(msg)
    if runner == PORTABLE and endpoint is None:
        msg = f"{PORTABLE} hands the job to a job server: name one by --job_endpoint=HOST:PORT"
        raise ValueError(msg)
    if runner in KNOWN:
        return
    names = {name.lower(): name for name in KNOWN}
    close = difflib.get_close_matches(runner.lower(), names, n=1, cutoff=CLOSE)
    others = [name for name in KNOWN if name not in {DIRECT, PORTABLE}]
    hint = f"did you mean {names[close[0]]}?" if close else f"there are {', '.join(others)}"
    msg = f"unknown runner {runner}; {hint}"
    raise ValueError(msg)


def is_embedded(given: Mapping[str, str | None]) -> bool:
    """Whether Flink runs in the job server that is started for the command.

    Args:
        given: Beam's options with their values.
    """
    master = given.get("flink_master") or EMBEDDED[0]
    return master in EMBEDDED and not {"job_endpoint", "output_executable_path"} & given.keys()


def is_here(runner: str | None, given: Mapping[str, str | None]) -> bool:
    """Whether all that runs a stream is on this machine, and ends with the command.

    Args:
        runner: its full name; None for the default.
        given: Beam's options with their values.
    """
    if "job_endpoint" in given:
        return False
    return runner in {None, DIRECT, PRISM, BUNDLES} or (runner == FLINK and is_embedded(given))


def has_one_life(given: Mapping[str, str | None]) -> bool:
    """Whether a stream that `is_here` has its workers in this process, and ends if one fails.

    Args:
        given: Beam's options with their values.
    """
    others = {"number_of_execution_retries", "savepoint_path"} & given.keys()
    return given.get("environment_type") in {None, "LOOPBACK"} and not others


def check_savepoint(runner: str | None, given: Mapping[str, str | None]) -> None:
    """Refuses a savepoint where no state outlives the command.

    Args:
        runner: its full name; None for the default.
        given: Beam's options with their values.

    Raises:
        ValueError: the sentence that says why.
    """
    if SAVEPOINT not in given:
        return
    if runner != FLINK:
        named = runner or PRISM
        msg = f"--{SAVEPOINT} is for a Flink cluster: {named} keeps no state beyond its command"
        raise ValueError(msg)
    if is_embedded(given):
        msg = (
            f"--{SAVEPOINT} is for a Flink cluster: an embedded Flink ends with its command, and "
            "the same command goes on where the store is"
        )
        raise ValueError(msg)
