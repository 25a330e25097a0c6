"""DeviceRegister: a register of devices in a worker, read again whenever its file has changed.

A thread looks at the file's size and time of change every so often and reads it where they differ.
So no reading waits for it, and none is placed by half a file. Why it is no side input stands in
docs/decisions/0011.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems

from connectors.device_register import read_devices
from connectors.input_error import InputError
from transforms.devices import Devices

__all__ = ["DeviceRegister", "WatchedRegister"]

LOG = logging.getLogger(__name__)
TRIES = 3
"""How often a file is read that changes meanwhile."""

Mark: TypeAlias = tuple[object, ...]
"""What differs between two versions of a file: size, time of change, and on a disk its inode."""


@dataclass(frozen=True)
class DeviceRegister:
    """A file of devices, as `PlaceDevices` takes it.

    Attributes:
        path: CSV or Parquet, local or of any file system that Beam knows (`gs://…`).
        every: seconds after which the file is looked at again; None: it is read once.
    """

    path: str
    every: float | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be."""
        if self.every is not None and self.every <= 0:
            msg = f"a register can be looked at every so many seconds, not every {self.every:g}"
            raise ValueError(msg)

    def open(self) -> WatchedRegister:
        """The register, as new as the file; all who use it in a process share one.

        Raises:
            InputError: the file cannot be read, or something in it is wrong; where it is looked at
                again and again, only if this process has not read a good version of it.
        """
        with _lock:
            opened = _open.get(self)
            if opened is None:
                opened = _open[self] = WatchedRegister(self.path)
            elif self.every is None:
                opened.refresh()
            else:
                # A stream goes on with the last good version when its runner makes a step anew.
                opened.look()
            if self.every is not None:
                opened.keep_looking(self.every)
            return opened


class WatchedRegister:
    """A register that was read, and is kept up to date.

    Args:
        path: as for `DeviceRegister`.

    Raises:
        InputError: the file cannot be read, or something in it is wrong.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mark, self._devices = _read(path)
        self._failed: tuple[Mark | None, str] | None = None
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._thread: threading.Thread | None = None

    def devices(self) -> Devices:
        """The devices of the newest version of the file that could be read."""
        return self._devices

    def take_counts(self) -> dict[str, int]:
        """How often the file was `reloaded`, and how often that failed, since the last call."""
        if not self._counts:
            return {}
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)

    def refresh(self) -> None:
        """Reads the file if it has changed.

        Raises:
            InputError: it cannot be read. What was read before stays.
        """
        with self._looking:
            if _mark(self._path) != self._mark:
                self._mark, self._devices = _read(self._path)

    def look(self) -> None:
        """Reads the file if it has changed.

        If that fails, it is counted and logged, once for each version of the file and reason, and
        tried again at the next look: it may have been the network.
        """
        with self._looking:
            mark = None
            try:
                mark = _mark(self._path)
                if mark != self._mark:
                    self._mark, self._devices = _read(self._path)
                    self._note("reloaded")
                    LOG.info("%s was read again: %d devices", self._path, len(self._devices))
                self._failed = None
            except Exception as error:
                # Of any kind: else the thread would end, and nothing be read again, ever.
                known = isinstance(error, InputError)
                self._fail(mark, str(error) if known else f"{type(error).__name__}: {error}")

    def keep_looking(self, every: float) -> None:
        """Looks every so many seconds, in a thread that ends with this object."""
        if self._thread is None or not self._thread.is_alive():
            stop = threading.Event()
            weakref.finalize(self, stop.set)
            arguments = (weakref.ref(self), every, stop)
            self._thread = threading.Thread(
                target=_keep_looking, args=arguments, name="device register", daemon=True
            )
            self._thread.start()

    def _fail(self, mark: Mark | None, why: str) -> None:
        if self._failed != (mark, why):
            self._failed = mark, why
            self._note("reload_failed")
            LOG.warning("%s; the devices that were read before stay in use", why)

    def _note(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1


def _keep_looking(
    watched: weakref.ref[WatchedRegister], every: float, stop: threading.Event
) -> None:
    while not stop.wait(every):
        register = watched()
        if register is None:
            return
        register.look()
        del register


def _read(path: str) -> tuple[Mark, Devices]:
    """The devices of a file that did not change while it was read."""
    for _ in range(TRIES):
        mark = _mark(path)
        try:
            devices = read_devices(path)
        except InputError:
            if _mark(path) == mark:
                raise
            continue
        if _mark(path) == mark:
            return mark, devices
    msg = (
        f"{path} changes while it is read; write the register under another name and then rename it"
    )
    raise InputError(msg)


def _mark(path: str) -> Mark:
    try:
        if "://" not in path:
            status = Path(path).stat()
            return status.st_ino, status.st_size, status.st_mtime_ns
        found = FileSystems.match([path])[0].metadata_list
    except (BeamIOError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        msg = f"{path} cannot be read: {reason}"
        raise InputError(msg) from error
    if len(found) != 1:
        msg = f"{path} names {len(found)} files; a register of devices is one"
        raise InputError(msg)
    return found[0].size_in_bytes, found[0].last_updated_in_seconds


_open: weakref.WeakValueDictionary[DeviceRegister, WatchedRegister] = weakref.WeakValueDictionary()
_lock = threading.Lock()
