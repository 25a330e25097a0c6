"""The readers that are open in this process, whichever of the pipeline's steps opened them.

A runner may process a part by another copy of the same step each time. The reader is not copied: it
holds connections, and messages that are not acknowledged yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.streams.source import Reader

__all__ = ["OpenReader", "finish_reading", "open_reader"]


@dataclass
class OpenReader:
    """A reader in this process.

    Attributes:
        reader: the reader.
        busy: when it last found something, by `time.monotonic`.
        arrived: when the newest message that it found had arrived, in seconds since the epoch; None
            where it has found none.
    """

    reader: Reader
    busy: float
    arrived: float | None = None


_open: dict[tuple[str, str], OpenReader] = {}
_lock = threading.Lock()


def open_reader(pipeline: str, part: str, make: Callable[[], Reader]) -> OpenReader:
    """The reader of a part, opened if there is none.

    Args:
        pipeline: tells one pipeline's readers from another's.
        part: the part's name.
        make: opens it.

    Raises:
        InputError: it cannot be opened.
    """
    with _lock:
        opened = _open.get((pipeline, part))
    if opened is None:
        # Connecting takes time, and only one bundle at a time reads a part.
        opened = OpenReader(make(), time.monotonic())
        with _lock:
            _open[pipeline, part] = opened
    return opened


def finish_reading(pipeline: str, positions: Mapping[str, int]) -> None:
    """Closes all readers of a pipeline that has ended; what is stored is acknowledged before.

    Args:
        pipeline: as for `open_reader`.
        positions: how far each part is stored.
    """
    with _lock:
        ended = {key: _open.pop(key) for key in list(_open) if key[0] == pipeline}
    for (_, part), opened in ended.items():
        try:
            if part in positions:
                opened.reader.stored(positions[part])
        finally:
            opened.reader.close()
