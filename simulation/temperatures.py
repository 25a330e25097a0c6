"""What sensors measure: curves over the year and the day, and noise that is smooth in time.

All on whole numbers of 1e-4 of the unit, so the same moment gives the same value everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from simulation import chance
from simulation.world import DEGREE, Sensors

__all__ = ["QUANTITIES", "SCALE", "measure"]

Integers = npt.NDArray[np.int64]

SCALE = 10_000
MICROS, MINUTES_A_DAY = 1_000_000, 1_440
SECONDS_A_DAY, SECONDS_AN_HOUR = 86_400, 3_600
ONE = 32_768
"""Curves and noise go from -ONE to ONE."""
NOISE, CORRECTED = 30, 60
WARMEST_MINUTE, WARMEST_DAY, DAYS = 15 * 60, 200, 365
CURVES = {
    length: np.array([round(math.cos(2 * math.pi * i / length) * ONE) for i in range(length)])
    for length in (MINUTES_A_DAY, DAYS)
}


def measure(
    quantity: str, sensors: Sensors, which: Integers, micros: Integers, seed: int
) -> Integers:
    """What sensors measure at some moments.

    Args:
        quantity: one of `QUANTITIES`.
        sensors: all sensors.
        which: the sensors' numbers.
        micros: when, in microseconds since the epoch.
        seed: another seed, other weather.

    Returns:
        Values in 1e-4 of the quantity's unit.
    """
    return QUANTITIES[quantity](sensors, which, micros // MICROS, seed)


def _day(sensors: Sensors, which: Integers, seconds: Integers) -> Integers:
    """The course of the day by the sun: ONE at 15:00, -ONE at 3:00."""
    east = sensors.longitudes[which] * (MINUTES_A_DAY // 360) // DEGREE
    minutes = (seconds // 60 + east - WARMEST_MINUTE) % MINUTES_A_DAY
    return CURVES[MINUTES_A_DAY][minutes]


def _noise(purpose: int, hours: int, which: Integers, seconds: Integers, seed: int) -> Integers:
    """From -ONE to ONE, smooth: new every so many hours, straight lines between."""
    period = hours * SECONDS_AN_HOUR
    knots, within = np.divmod(seconds, period)
    ends = [
        chance.upper(chance.draw(seed, NOISE + purpose, which, knots + step), 2 * ONE) - ONE
        for step in (0, 1)
    ]
    return (ends[0] * (period - within) + ends[1] * within) // period


def _temperature(sensors: Sensors, which: Integers, seconds: Integers, seed: int) -> Integers:
    """In °C: 27 at the equator, some 12 in the middle of France, with summer and winter."""
    latitudes = sensors.latitudes[which]
    north = np.abs(latitudes) // (DEGREE // 100)
    mean = 27 * SCALE - np.maximum(north - 2_000, 0) * 58
    # Half the difference between the seasons grows with the square of the latitude: 8 at 46°.
    season = north * north // 260
    turn = np.where(latitudes < 0, DAYS // 2, 0)
    days = (seconds // SECONDS_A_DAY - WARMEST_DAY + turn) % DAYS
    return (
        mean
        + CURVES[DAYS][days] * season // ONE
        + _day(sensors, which, seconds) * 4 * SCALE // ONE
        + _noise(0, 24, sensors.places[which], seconds, seed) * 4 * SCALE // ONE
        + _noise(1, 1, which, seconds, seed) * SCALE // ONE
    )


def _humidity(sensors: Sensors, which: Integers, seconds: Integers, seed: int) -> Integers:
    """In %: driest when it is warmest."""
    day = _day(sensors, which, seconds) * 14
    noise = _noise(2, 6, which, seconds, seed) * 12
    return np.clip(70 * SCALE + (noise - day) * SCALE // ONE, 5 * SCALE, 100 * SCALE)


def _pressure(sensors: Sensors, which: Integers, seconds: Integers, seed: int) -> Integers:
    """In hPa at sea level."""
    weather = _noise(3, 48, sensors.places[which], seconds, seed) * 15
    return 1_013 * SCALE + (weather + _noise(4, 3, which, seconds, seed)) * SCALE // ONE


def _particles(sensors: Sensors, which: Integers, seconds: Integers, seed: int) -> Integers:
    """P1, particles up to 10 µm, in µg/m³: more in the evening, and in bursts."""
    evening = _day(sensors, which, seconds - 5 * SECONDS_AN_HOUR) * 7
    weather = _noise(5, 12, sensors.places[which], seconds, seed) * 9
    burst = np.maximum(_noise(6, 2, which, seconds, seed) - ONE // 2, 0) * 80
    return np.maximum(22 * SCALE + (evening + weather + burst) * SCALE // ONE, SCALE)


def _fine_particles(sensors: Sensors, which: Integers, seconds: Integers, seed: int) -> Integers:
    """P2, particles up to 2.5 µm: a part of P1."""
    return _particles(sensors, which, seconds, seed) * 6 // 10


def _heart_rate(sensors: Sensors, which: Integers, seconds: Integers, seed: int) -> Integers:
    """In beats a minute."""
    day = _day(sensors, which, seconds) * 8
    return 72 * SCALE + (day + _noise(7, 1, which, seconds, seed) * 14) * SCALE // ONE


QUANTITIES: Mapping[str, Callable[[Sensors, Integers, Integers, int], Integers]] = {
    "temperature": _temperature,
    "humidity": _humidity,
    "pressure": _pressure,
    "P1": _particles,
    "P2": _fine_particles,
    "heart_rate": _heart_rate,
}
"""What can be measured."""
