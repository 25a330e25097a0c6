"""Commits to a store again and again, killed at one step after the other. Usage: FOLDER

A step is a file opened, renamed, synced or removed, as Python's audit hooks tell it. Prints how
many steps there were; exits with 1 if the store was not whole after one of the kills.
"""

from __future__ import annotations

import os
import signal
import sys

from means_rows import TABLE, means_row, means_table

from connectors.local_store import LocalStore, RunRecord

STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "fcntl.flock", "os.listdir"}


def committed(folder):
    manifest = LocalStore(folder).manifest()
    return len(manifest.runs), sum(len(files) for files in manifest.files.values())


def main(folder):
    store = LocalStore(folder)
    store.prepare()
    first = store.write(TABLE, means_table(means_row(0)))
    store.commit(RunRecord("first", 1, "", ""), [first])
    second = store.write(TABLE, means_table(means_row(1)))
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
            store.commit(RunRecord("second", 2, "", ""), [second])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if committed(folder) == (2, 2):
            break
        if os.WIFEXITED(status) or committed(folder) != (1, 1):
            print(f"step {step}: status {status}, {committed(folder)} committed")
            sys.exit(1)
        step += 1
    store.commit(RunRecord("second", 2, "", ""), [second])
    if committed(folder) != (2, 2):
        sys.exit(1)
    print(step)


if __name__ == "__main__":
    main(sys.argv[1])
