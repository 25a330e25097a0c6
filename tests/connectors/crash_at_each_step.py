"""Commits to a store again and again, killed at one step after the other. Usage: FOLDER KIND

A step is a file opened, renamed, synced or removed, as Python's audit hooks tell it. Prints how
many steps there were; exits with 1 if the store was not whole after one of the kills, or if the
commit that was tried again did not give the views of one run over all readings.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from store_runs import WINDOWS, Reading, Stream, batch, prepared, shown

from connectors.local_store import LocalStore
from transforms.windows import SlidingWindow

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock", "os.listdir"}
FIRST = [Reading(number, 1, 7 * number, number) for number in range(8)]
SECOND = [
    *FIRST[:3],
    Reading(3, 2, 200, 9),
    Reading(4, 2, deleted=True),
    Reading(5, 0, 10, 50),
    Reading(20, 1, 30, 5, "11"),
]
MORE_WINDOWS = (*WINDOWS, SlidingWindow(900, 300))


def second_batch(store):
    """A batch that shares readings with the first, and brings a new kind of windows."""
    run, files = prepared(store, "second", SECOND, MORE_WINDOWS)
    return lambda: store.commit(run, files)


def second_stream(store):
    """A stream's second commit."""
    stream = Stream(store, "second", MORE_WINDOWS)
    stream.commit([*stream.read(SECOND[:4]), *stream.pane()])
    files = [*stream.read(SECOND[4:]), *stream.pane()]
    return lambda: stream.commit(files, finished=True)


def fail(step, reason):
    print(f"step {step}: {reason}")
    sys.exit(1)


def main(folder, kind):
    store = LocalStore(folder / "store")
    # Enough small runs before it that this commit merges files.
    for number, reading in enumerate(FIRST):
        batch(store, f"first-{number}", [reading], MORE_WINDOWS[: 1 + number % 2])
    commit = {"batch": second_batch, "stream": second_stream}[kind](store)
    one = LocalStore(folder / "one")
    batch(one, "one", [*FIRST, *SECOND], MORE_WINDOWS)
    old, new = shown(store), shown(one)
    step = 0
    while True:
        child = os.fork()
        if child == 0:
            left = [step]

            def kill(event, _arguments, left=left):
                if event in STEPS:
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    left[0] -= 1

            sys.addaudithook(kill)
            commit()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        now = shown(store)
        store.verify()
        if now == new:
            commit()
            if shown(store) != new:
                fail(step, "the same commit again changed something")
        elif now != old:
            fail(step, f"status {status}, neither the old state nor the new")
        elif os.WIFEXITED(status):
            fail(step, f"status {status}, and nothing was committed")
        if os.WIFEXITED(status):
            break
        step += 1
    batch(store, "again", SECOND, MORE_WINDOWS)
    if shown(store) != new:
        fail(step, "the same readings again changed something")
    print(step)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
