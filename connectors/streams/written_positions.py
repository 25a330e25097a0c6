"""How far sources have been read and written by this process, where no store keeps it.

A runner in one process with the sink, as Prism is here, says that a bundle is final when it holds
its output in memory. What has been written for good only the sink knows, so it says so here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from transforms.payload import Reached
from transforms.reached import farthest

__all__ = ["WrittenPositions", "note_writing", "note_written", "written_positions"]

MOST_NOTED = 1000
HOLD_SECONDS = 1.0
"""How much later than the readings of a bundle its rejected records may come to their sink."""


@dataclass
class _Written:
    """What is written to one output.

    Attributes:
        noted: when, by `time.monotonic`, how far each part had been written.
        told: how far that is safe.
        writing: when each bundle began that is being written.
    """

    noted: list[tuple[float, Mapping[str, int]]] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    writing: dict[object, float] = field(default_factory=dict)


_outputs: dict[str, _Written] = {}
_lock = threading.Lock()


def note_writing(output: str) -> Callable[[], None]:
    """Says that a bundle is being written; gives what says that it is not any more."""
    bundle = object()
    with _lock:
        written = _outputs.setdefault(output, _Written())
        written.writing[bundle] = time.monotonic()

    def ended() -> None:
        with _lock:
            written.writing.pop(bundle, None)

    return ended


def note_written(output: str, reached: Iterable[Reached]) -> None:
    """Says that all readings are written that came up to there."""
    positions = farthest(reached)
    if positions:
        with _lock:
            written = _outputs.setdefault(output, _Written())
            written.noted.append((time.monotonic(), positions))
            if len(written.noted) > MOST_NOTED:
                # Where the reader is in another process, nobody asks.
                (_, first), (at, second) = written.noted[:2]
                written.noted[:2] = [(at, {**first, **second})]


def written_positions(output: str, *, ended: bool) -> dict[str, int]:
    """How far each part is written for good, with the records of it that were rejected.

    Args:
        output: what is written to.
        ended: the pipeline has ended well, and nothing is on its way.
    """
    with _lock:
        written = _outputs.setdefault(output, _Written())
        until = float("inf")
        if not ended:
            until = min([time.monotonic(), *written.writing.values()]) - HOLD_SECONDS
        while written.noted and written.noted[0][0] <= until:
            _, positions = written.noted.pop(0)
            for part, position in positions.items():
                written.told[part] = max(position, written.told.get(part, 0))
        return dict(written.told)


class WrittenPositions:
    """The positions of an output, as `StoredPositions` gives those of a local store.

    Args:
        output: what is written to.
    """

    def __init__(self, output: str) -> None:
        self._output = output

    def read(self) -> dict[str, int]:
        """None: a run that begins goes on where its sources say."""
        return {}

    def recent(self) -> dict[str, int]:
        """How far each part is written for good."""
        return written_positions(self._output, ended=False)
