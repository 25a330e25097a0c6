"""Reads the command line of the benchmarks of streams, and runs what it asks for."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.files import NoSpaceError
from benchmarks.streaming.broker import BrokerError
from benchmarks.streaming.document import document
from benchmarks.streaming.drain import MODES, Drain, drain
from benchmarks.streaming.job import RUNNERS, JobFailedError
from benchmarks.streaming.ladder import Ladder, climb
from benchmarks.streaming.produce import ProduceError
from benchmarks.streaming.results import Result, kept
from benchmarks.streaming.scale import Scale, quick, scale, write_capacity
from benchmarks.streaming.soak import Soak, soak
from benchmarks.streaming.sustained import SHAPES, Sustained, sustain
from connectors.local_store import StoreError

__all__ = ["main"]

FOLDER = Path(__file__).parents[1]
ALL, REPORT = "all", "report"
FITTED = "flink"
"""The runner whose costs `deploy.capacity` goes by."""
Runs = Iterator[Callable[[Path], Result]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        0, or 1 where a run has failed.
    """
    chosen = _parser().parse_args(arguments)
    data: Path = (chosen.data or FOLDER / "data" / _folder(quick=chosen.quick)).absolute()
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        data.mkdir(parents=True, exist_ok=True)
        failed = 0
        for section in SECTIONS if chosen.section == ALL else {chosen.section} & {*SECTIONS}:
            for run in SECTIONS[section](chosen):
                failed += not _ran(run, data)
        if chosen.section in {ALL, REPORT}:
            inside = FOLDER / "RESULTS-streaming.md"
            output = chosen.output or (data / inside.name if chosen.quick else inside)
            output.write_text(document(kept(data)), encoding="utf-8")
            _say(f"wrote {output}")
    except (OSError, ValueError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("interrupted; what was measured before is kept")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    return int(failed > 0)


def _folder(*, quick: bool) -> str:
    """Where results are kept: small runs must not replace large ones."""
    return "streaming-quick" if quick else "streaming"


def _ran(run: Callable[[Path], Result], data: Path) -> bool:
    """Runs one measurement and keeps its result; says whether it could be had."""
    try:
        result = run(data)
        _say(f"wrote {result.keep(data)}")
        if result.section == "scale" and result.name == FITTED and not result.quick:
            write_capacity(result)
    except (
        *(BrokerError, JobFailedError, ProduceError, NoSpaceError, StoreError),
        *(OSError, ValueError),
    ) as error:
        _say(str(error))
        return False
    for target in result.targets:
        met = "met" if target.met else "not met"
        _say(f"{target.promise}: {target.value:.4g} {target.unit}, {met}")
    return True


def _content(chosen: argparse.Namespace) -> dict[str, Any]:
    """What is sent, and how the job is told to read it: alike for all sections of format A."""
    names = ("partitions", "repeats", "corrections", "compression", "quick")
    return {name: getattr(chosen, name) for name in names} | {"options": tuple(chosen.option)}


def _sustained(chosen: argparse.Namespace) -> Runs:
    for runner in chosen.runner:
        for shape in chosen.shape:
            asked = Sustained(
                runner,
                shape,
                chosen.minutes or (0.25 if chosen.quick else 10.0),
                chosen.rate or (2_000.0 if chosen.quick else 110_000.0),
                **_content(chosen),
            )
            yield partial(sustain, asked)


def _drain(chosen: argparse.Namespace) -> Runs:
    for runner in chosen.runner:
        for shape in chosen.shape:
            for mode in chosen.mode:
                asked = Drain(
                    runner,
                    shape,
                    mode,
                    chosen.gigabytes or (0.01 if chosen.quick else 4.0),
                    **_content(chosen),
                    hot=chosen.hot,
                )
                yield partial(drain, asked)


def _ladder(chosen: argparse.Namespace) -> Runs:
    small: dict[str, Any] = {"rates": (2, 50), "sensors": (5,), "seconds": 8.0}
    for runner in chosen.runner:
        for workers in chosen.workers:
            asked = Ladder(runner, workers, options=tuple(chosen.option), quick=chosen.quick)
            if chosen.quick:
                asked = dataclasses.replace(asked, **small)
            if chosen.seconds:
                asked = dataclasses.replace(asked, seconds=chosen.seconds)
            yield partial(climb, asked)


def _soak(chosen: argparse.Namespace) -> Runs:
    for runner in chosen.runner:
        asked = Soak(
            runner,
            chosen.minutes or (0.4 if chosen.quick else 30.0),
            chosen.rate or (1_000.0 if chosen.quick else 20_000.0),
            chosen.partitions,
            tuple(chosen.option),
            chosen.quick,
        )
        yield partial(soak, asked)


def _scale(chosen: argparse.Namespace) -> Runs:
    for runner in chosen.runner:
        asked = Scale(runner, chosen.minutes or 2.0, options=tuple(chosen.option))
        yield partial(scale, quick(asked) if chosen.quick else asked)


SECTIONS: dict[str, Callable[[argparse.Namespace], Runs]] = {
    "sustained": _sustained,
    "drain": _drain,
    "ladder": _ladder,
    "soak": _soak,
    "scale": _scale,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("section", choices=[*SECTIONS, ALL, REPORT])
    parser.add_argument("--runner", nargs="+", choices=[*RUNNERS], default=[*RUNNERS])
    parser.add_argument("--shape", nargs="+", choices=[*SHAPES], default=[*SHAPES])
    parser.add_argument("--minutes", type=float, help="how long messages are sent")
    parser.add_argument("--rate", type=float, help="readings a second")
    parser.add_argument("--mode", nargs="+", choices=[*MODES], default=[*MODES])
    parser.add_argument("--gigabytes", type=float, help="of a backlog (default 4)")
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2], help="of the ladder")
    parser.add_argument("--seconds", type=float, help="of each step of the ladder (default 30)")
    parser.add_argument("--partitions", type=int, default=2, help="of the topic (default 2)")
    parser.add_argument("--repeats", type=float, default=0.02, help="share (default 0.02)")
    parser.add_argument("--corrections", type=float, default=0.02, help="share (default 0.02)")
    parser.add_argument("--hot", type=float, help="of drain: share that lies in one region")
    parser.add_argument("--compression", default="none", help="of messages (default none)")
    parser.add_argument(
        "--option", action="append", default=[], help="of the job: --option=--early_every=5s"
    )
    parser.add_argument("--quick", action="store_true", help="small: it only shows that it works")
    parser.add_argument(
        "--output", type=Path, help="of report (default benchmarks/RESULTS-streaming.md)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of results and samples (default benchmarks/data/streaming)",
    )
    return parser


def _say(text: str) -> None:
    print(f"benchmarks: {text}", file=sys.stderr, flush=True)
