"""Faults of a worker's process that nothing outside it can make, read from a folder.

On the PYTHONPATH of a process with the environment variable FAULTS: the file `clock` there shifts
its clock by so many seconds; a message of poison makes the parser fail.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
import time
from pathlib import Path

FOLDER = os.environ.get("FAULTS")
LOOK_EVERY = 0.2
POISON = b'"id": "poison"'
PARSER = "transforms.parse_block"


class _Clock:
    """The clock of the machine, and what it is shifted by."""

    def __init__(self, folder: str) -> None:
        self._file = Path(folder) / "clock"
        self._looked, self._shift = -1e9, 0
        self._time, self._time_ns = time.time, time.time_ns

    def time(self) -> float:
        return self._time() + self.shift()

    def time_ns(self) -> int:
        return self._time_ns() + self.shift() * 1_000_000_000

    def shift(self) -> int:
        now = time.monotonic()
        if now - self._looked > LOOK_EVERY:
            self._looked = now
            try:
                self._shift = int(self._file.read_text("ascii") or 0)
            except (OSError, ValueError):
                self._shift = 0
        return self._shift


class _Poisoned(importlib.abc.MetaPathFinder):
    """Has the parser fail at the message, once its module is there."""

    def find_spec(self, name, path=None, target=None):
        if name != PARSER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            parser = module.BlockParser
            by_template = parser._by_template

            def poisoned(self, records, *arguments, **options):
                texts = records.to_arrow().cast("binary").to_pylist()
                if any(POISON in text for text in texts):
                    raise ZeroDivisionError("poisoned")
                return by_template(self, records, *arguments, **options)

            parser._by_template = poisoned

        spec.loader.exec_module = exec_module
        return spec


if FOLDER:
    clock = _Clock(FOLDER)
    time.time, time.time_ns = clock.time, clock.time_ns
    sys.meta_path.insert(0, _Poisoned())
