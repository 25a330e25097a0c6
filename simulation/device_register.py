"""The register of a simulation's devices: where each of those that are known stands."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from simulation import chance
from simulation.world import DEGREE, Sensors

__all__ = ["registered_devices", "write_register"]

REGISTERED = 90


def registered_devices(sensors: Sensors, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which sensors a register knows."""
    return chance.happens(chance.draw(seed, REGISTERED, np.arange(len(sensors))), share)


def write_register(path: str, sensors: Sensors, registered: npt.NDArray[np.bool_]) -> None:
    """Writes a CSV file: `device_id, latitude, longitude, from, to`; all stay where they are.

    Raises:
        OSError: the file cannot be written.
    """
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["device_id", "latitude", "longitude", "from", "to"])
        for number in np.flatnonzero(registered).tolist():
            latitude = sensors.latitudes[number] / DEGREE
            longitude = sensors.longitudes[number] / DEGREE
            rows.writerow([number + 1, f"{latitude:.7f}", f"{longitude:.7f}", "", ""])
