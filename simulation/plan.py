"""A simulation as its options say it: the sensors, the clock, and all messages in their order."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulation.batch import Batch, make_batches
from simulation.device_register import registered_devices, write_register
from simulation.messages import Writing
from simulation.schedule import Clock, Faults, schedule
from simulation.world import Sensors, make_sensors

__all__ = ["Plan", "make_plan"]

FIRST_DAY = 1_733_011_200_000_000  # 2024-12-01
TEN_MINUTES = 600_000_000
SECONDS_BETWEEN = 10
"""Seconds between two measurements of a sensor, if nothing else is said."""
BLOCK = 16_384
PACED_SECONDS = 0.05
"""So many seconds of messages are made in one go where they are sent as time goes by."""
FAULTS = ("late", "too_late", "future", "duplicates", "corrections", "deletions", "bad",
          "extra_fields", "delay", "allowed_lateness", "max_future")  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """A simulation.

    Attributes:
        sensors: all sensors.
        registered: which of them the device register knows; None where there is none.
        clock: when they measure.
        faults: what goes wrong.
        speed: simulated seconds a second.
        is_paced: messages are sent when they are due; else as fast as possible.
        measurements: how many there are; None: as many as `messages` allow.
        messages: how many there are; None: no limit.
        began: when the simulated time was that of the clock's start, by `time.monotonic`; None
            where the simulated time is not that of now, and begins with the first message.
    """

    sensors: Sensors
    registered: npt.NDArray[np.bool_] | None
    clock: Clock
    faults: Faults
    speed: float
    is_paced: bool
    measurements: int | None
    messages: int | None
    began: float | None = None

    @property
    def end(self) -> int | None:
        """The simulated time after the last measurement; None where it is not known."""
        if self.measurements is None:
            return None
        return int(self.clock.at(np.array([self.measurements]))[0])

    def batches(self, name: str, seed: int, *, json_only: bool) -> Iterator[Batch]:
        """All messages in the order in which they are sent.

        Args:
            name: their format.
            seed: of values and faults.
            json_only: bad messages are JSON, too.
        """
        block = BLOCK
        if self.is_paced:
            slice_of = PACED_SECONDS * self.speed * 1e9 / self.clock.step
            block = max(1, min(BLOCK, int(slice_of)))
        scheduled = schedule(self.clock, self.faults, seed, block, self.measurements, self.messages)
        writing = Writing(self.sensors, seed, self.clock.turn, self.faults.extra_fields)
        return make_batches(name, scheduled, writing, self.registered, json_only=json_only)


def make_plan(options: argparse.Namespace, *, is_file: bool) -> Plan:
    """Plans what the options say, and writes the device register if there is to be one.

    Args:
        options: of `simulation.options`.
        is_file: messages go into a file, for which nobody waits.

    Raises:
        ValueError: options that do not go together.
        OSError: the device register cannot be written.
    """
    rate = options.rate
    if rate is None:
        rate = 0 if is_file else options.sensors / SECONDS_BETWEEN
    duration, messages = options.duration, options.messages
    if not rate and duration is None and messages is None:
        duration = TEN_MINUTES
    step = _step(rate, options.speed, options.sensors, duration, messages)
    start, began = options.start, None
    if start is None and rate:
        # Until the output is open some time passes: what is due in it is sent at once then.
        start, began = time.time_ns() // 1_000, time.monotonic()
    elif start is None:
        start = FIRST_DAY
    measurements = None
    if duration is not None and (rate or messages is None):
        measurements = max(1, round(duration * 1_000 * options.speed / step))
    faults = Faults(**{name: getattr(options, name) for name in FAULTS})
    sensors = make_sensors(options.sensors, options.outside, options.seed)
    registered = None
    if options.devices:
        registered = registered_devices(sensors, options.registered, options.seed)
        write_register(options.devices, sensors, registered)
    clock = Clock(start, step, options.sensors)
    paced = bool(rate)
    return Plan(
        sensors, registered, clock, faults, options.speed, paced, measurements, messages, began
    )


def _step(
    rate: float, speed: float, sensors: int, duration: int | None, messages: int | None
) -> int:
    """From one measurement to the next, in nanoseconds of event time."""
    if rate:
        found = 1e9 * speed / rate
    elif duration is not None and messages is not None:
        found = duration * 1e3 * speed / messages
    else:
        found = 1e9 * speed * SECONDS_BETWEEN / sensors
    if not 1 <= found <= 1e16:
        msg = "this rate and speed are too far apart: one event time a nanosecond is the most"
        raise ValueError(msg)
    return round(found)
