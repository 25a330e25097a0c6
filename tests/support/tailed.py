"""A source over files of lines that others append to: no server, but all that a queue does."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

from connectors.input_error import InputError
from connectors.streams.source import Part, Poll
from transforms.payload import join_messages


@dataclasses.dataclass(frozen=True)
class TailedSource:
    """Each file of a folder is a part, each line a message; `*.stored` says what was stored."""

    folder: str
    at_once: int = 1000
    uri: str = "tail://"

    def parts(self, positions: dict[str, int]) -> list[Part]:
        files = sorted(Path(self.folder).glob("*.jsonl"))
        if not files:
            msg = f"no files in {self.folder}"
            raise InputError(msg)
        return [Part(str(file), positions.get(str(file), 0)) for file in files]

    def open(self, part: Part) -> TailedReader:
        return TailedReader(Path(part.name), self.at_once)


class TailedReader:
    def __init__(self, path: Path, at_once: int) -> None:
        self._path, self._at_once = path, at_once
        self._log = path.with_suffix(".stored")

    def poll(self, position: int, timeout: float) -> Poll:
        with self._path.open("rb") as file:
            lines = file.read().split(b"\n")[:-1]
        found = lines[position : position + self._at_once]
        waiting = len(lines) - position - len(found)
        if not found:
            time.sleep(timeout / 10)
            return Poll(position, caught_up=True, lag=0)
        now = np.full(len(found), time.time_ns() // 1000)
        places = np.arange(position, position + len(found))
        payload = join_messages(found, str(self._path), places, now)
        return Poll(position + len(found), payload, len(found), waiting == 0, 0.0, waiting)

    def stored(self, position: int) -> None:
        with self._log.open("a") as log:
            log.write(f"{position}\n")

    def close(self) -> None:
        with self._log.open("a") as log:
            log.write("closed\n")
