"""PlaceDevices: readings without coordinates get the place that a register has for their sensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import transforms.batches  # noqa: F401 - registers the coder of batches
from transforms.balance import count
from transforms.devices import Devices
from transforms.spans import Bools, Floats, Ints

__all__ = [
    "REGISTER",
    "OpenRegister",
    "PlaceDevices",
    "Placed",
    "Register",
    "place_devices",
]

REGISTER = "register"
"""Namespace of the counters."""


class OpenRegister(Protocol):
    """A register in a worker."""

    def devices(self) -> Devices:
        """The devices as they are known now."""
        ...

    def take_counts(self) -> dict[str, int]:
        """What has happened to the register since this was last asked, by the counter's name."""
        ...


class Register(Protocol):
    """A register as the pipeline carries it: pickled, and opened in each worker."""

    def open(self) -> OpenRegister:
        """The register, read."""
        ...


class Placed(NamedTuple):
    """A batch after `place_devices`.

    Attributes:
        batch: the batch.
        placed: how many readings got a place.
        unknown: how many name a sensor that the register has no place for at their time.
    """

    batch: pa.RecordBatch
    placed: int = 0
    unknown: int = 0


def place_devices(batch: pa.RecordBatch, devices: Devices) -> Placed:
    """Gives readings without coordinates the place of their sensor at their event time.

    Coordinates that a message brought stay; half a place is none. Deletions have no place.

    Args:
        batch: of schema `READINGS`; it may have more columns, and metadata, which are kept.
        devices: where the sensors are.

    Returns:
        The batch itself where nothing is to be placed, else one with other coordinates.
    """
    rows = _without_place(batch)
    if not len(rows):
        return Placed(batch)
    sensors = batch.column("sensor_id")
    numbers = np.asarray(sensors.indices.fill_null(0))[rows]
    named = np.zeros(len(sensors.dictionary), bool)
    named[numbers] = True
    entries = np.flatnonzero(named)
    found = np.full(len(named), -1)
    found[entries] = devices.find(sensors.dictionary.take(pa.array(entries)))
    known = found[numbers]
    times = np.asarray(batch.column("event_time").view(pa.int64()).fill_null(0))[rows]
    if known.min() < 0:
        here = known >= 0
        rows_here, stays = rows[here], devices.stays(known[here], times[here])
    else:
        rows_here, stays = rows, devices.stays(known, times)
    if stays.min(initial=0) < 0:
        there = stays >= 0
        rows_here, stays = rows_here[there], stays[there]
    unknown = len(rows) - len(stays)
    if not len(stays):
        return Placed(batch, 0, unknown)
    for name, degrees in (("longitude", devices.longitude), ("latitude", devices.latitude)):
        batch = _with_values(batch, name, rows_here, degrees[stays])
    return Placed(batch, len(stays), unknown)


class PlaceDevices(
    beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[pa.RecordBatch]]
):
    """Places readings that come without coordinates by a register of devices.

    Elements in are batches of schema `READINGS`, elements out the same: between `ParseReadings` and
    `AssignRegions`. A reading whose longitude or latitude is NULL, and whose `sensor_id` the
    register knows at its event time, gets the place from there. All others stay as they are; those
    without a place are counted as `no_place` by whoever counts.

    Of the namespace `register`, the counters `placed` and `unknown` count readings that got a place
    and those that name a sensor without one; `reloaded` and `reload_failed` count what became of
    newer versions of the file.

    Args:
        register: for example `connectors.watched_register.DeviceRegister("devices.csv")`.

    Raises:
        InputError: from the pipeline, when the register cannot be read at its start.
    """

    def __init__(self, register: Register) -> None:
        super().__init__()
        self._register = register

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        return pcoll | "Place" >> beam.ParDo(_Place(self._register)).with_output_types(
            pa.RecordBatch
        )


class _Place(beam.DoFn):
    def __init__(self, register: Register) -> None:
        self._register = register

    def setup(self) -> None:
        self._open = self._register.open()

    def process(self, element: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        # Counted here and not where it happens: a thread of its own belongs to no bundle.
        for name, amount in self._open.take_counts().items():
            count(name, amount, REGISTER)
        placed = place_devices(element, self._open.devices())
        count("placed", placed.placed, REGISTER)
        count("unknown", placed.unknown, REGISTER)
        yield placed.batch


def _without_place(batch: pa.RecordBatch) -> Ints:
    """The rows that lack a coordinate and have a sensor and a time."""
    longitude, latitude = batch.column("longitude"), batch.column("latitude")
    sensors, times = batch.column("sensor_id"), batch.column("event_time")
    if not (longitude.null_count or latitude.null_count) or sensors.null_count == len(sensors):
        return np.zeros(0, np.int64)
    wanted = _nulls(longitude) | _nulls(latitude)
    for column in (sensors, times):
        if column.null_count:
            wanted &= ~_nulls(column)
    deleted = batch.column("deleted")
    if deleted.true_count:
        wanted &= ~deleted.to_numpy(zero_copy_only=False)
    return np.flatnonzero(wanted)


def _nulls(column: pa.Array) -> Bools:
    return pc.is_null(column).to_numpy(zero_copy_only=False)


def _with_values(batch: pa.RecordBatch, name: str, rows: Ints, values: Floats) -> pa.RecordBatch:
    number = batch.schema.get_field_index(name)
    column = batch.column(number)
    if len(rows) == len(column):
        changed = pa.array(values)
    else:
        nulls = _nulls(column)
        filled = column.to_numpy(zero_copy_only=False).copy()
        nulls[rows], filled[rows] = False, values
        changed = pa.array(filled, mask=nulls)
    return batch.set_column(number, batch.schema.field(number), changed)
