"""A stream that begins with a savepoint of Flink goes on as the run that the savepoint is of.

The sums in its state are those of that run. Under a name of its own it would count them once more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence

from connectors.local_sink import Run
from connectors.local_store import LocalStore
from connectors.local_store.records import RUNNING, STREAM, RunRecord
from pipelines.flink_options import given_options
from pipelines.job import Job
from transforms.statistics import STATISTICS

__all__ = ["SAVEPOINT", "STATE_VERSION", "from_savepoint", "state_layout"]

SAVEPOINT = "savepoint_path"
STATE_VERSION = 2
"""Raised with a change of what steps keep in state that does not show in `state_layout`."""


def state_layout(job: Job) -> str:
    """A word for what the state of a job looks like: one of another layout cannot be read.

    Args:
        job: a stream.
    """
    columns = sorted(
        (name, limbs) for kind in STATISTICS.values() for name, limbs in kind().columns.items()
    )
    windows = sorted((window.size, window.period) for window in job.windows)
    shards = (job.shards, job.series_shards)
    steps = (job.duplicates, job.group_by, job.archive, *shards, len(job.reports))
    text = json.dumps([STATE_VERSION, columns, windows, steps])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def from_savepoint(
    store: LocalStore,
    job: Job,
    run: Run,
    arguments: Sequence[str],
    say: Callable[[str], None],
) -> tuple[Run, list[str]]:
    """The run as it begins, and Beam's options for it.

    Where the options name no savepoint, they and the run stay as they are. Where they name one, the
    run goes on under the name of the one that was stopped. If its state cannot be taken over, the
    user is told, and the run begins without it where the store is.

    Args:
        store: the store.
        job: what is done.
        run: the run, new.
        arguments: Beam's options as the user gave them.
        say: tells the user a sentence.
    """
    run = dataclasses.replace(run, state=state_layout(job))
    if given_options(arguments).get(SAVEPOINT) is None:
        return run, list(arguments)
    stopped = _stopped(store.manifest().runs, run)
    if stopped is None:
        why = f"no stream of {', '.join(run.inputs)} into this store was stopped by one"
    elif stopped.state != run.state:
        why = "this version of the program, or these options, keep another state"
    else:
        return dataclasses.replace(run, run_id=stopped.run_id), list(arguments)
    say(
        f"--{SAVEPOINT} is left out, for {why}: the stream goes on where the store is; run "
        "`python -m pipelines.reconcile` when it has caught up"
    )
    return run, _without(arguments)


def _stopped(runs: Sequence[RunRecord], run: Run) -> RunRecord | None:
    """The run that a savepoint was taken of: of those that could be it, the last to commit."""
    possible = [
        past
        for past in runs
        if past.kind == STREAM and past.status == RUNNING and past.inputs == list(run.inputs)
    ]
    return max(possible, key=lambda past: past.finished_at, default=None)


def _without(arguments: Sequence[str]) -> list[str]:
    """The options without the savepoint."""
    left: list[str] = []
    skipped = False
    for word in arguments:
        if skipped:
            skipped = False
        elif word == f"--{SAVEPOINT}":
            skipped = True
        elif not word.startswith(f"--{SAVEPOINT}="):
            left.append(word)
    return left
