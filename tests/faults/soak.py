"""Streams with random faults: `python -m tests.faults.soak --runs 20 --seed 1`.

They run one after the other. Each line says the seed, the faults with the second in which each
began, how long the run took and whether its results are equal to those of a batch run. The exit
code is 1 if one differs.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.faults.plan import Plan
from tests.faults.play import SECONDS, play
from tests.faults.servers import servers

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the soak.

    Args:
        arguments: those of the command line.

    Returns:
        0 where all results are equal, else 1.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description="Run streams with random faults on Flink."
    )
    parser.add_argument("--runs", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run (default: 1)")
    options = parser.parse_args(arguments)
    wrong = 0
    with servers() as (cluster, broker), tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seed, options.seed + options.runs):
            began, plan = time.monotonic(), Plan.of(seed, SECONDS)
            place = Path(folder) / f"run-{seed}"
            try:
                play(plan, place, cluster, broker, strict=True)
                said = "equal"
            except Exception as error:
                wrong += 1
                said = f"NOT EQUAL: {error}"
                traceback.print_exc()
            took = time.monotonic() - began
            print(f"seed {seed}, {plan}, {took:.0f} s: {said}", flush=True)
            cluster.start()
            broker.start()
            shutil.rmtree(place, ignore_errors=True)
    print(f"{options.runs - wrong} of {options.runs} runs are equal to a run without faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
