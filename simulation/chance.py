"""Random numbers that are hashes of what they are for: the same on any machine, in any order.

Every number is a hash (SplitMix64: Steele et al. 2014) of the seed, a purpose and the number of
the reading or sensor it is drawn for, and all arithmetic is on integers. So a block of readings
can be made without those before it, and no version of NumPy makes others.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = ["draw", "exponential", "happens", "lower", "mix", "scatter", "upper"]

Integers = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
QUANTILES = np.array([round(-math.log((i + 0.5) / 65_536) * 1e6) for i in range(65_536)], np.int64)


def mix(values: Hashes) -> Hashes:
    """SplitMix64's finalizer, a bijection of 64-bit integers."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def draw(seed: int, purpose: int, numbers: Integers, more: Integers | None = None) -> Hashes:
    """Random 64-bit integers, others for each purpose.

    Args:
        seed: 0 to 2^64 - 1.
        purpose: what they are for, a small number.
        numbers: one is drawn for each of these.
        more: where given, one is drawn for each pair of a number and one of these.
    """
    base = mix(np.array([seed], np.uint64)) + np.uint64(purpose)
    drawn = mix(mix(base) + numbers.astype(np.uint64) * GOLDEN)
    return drawn if more is None else mix(drawn + more.astype(np.uint64) * GOLDEN)


def upper(drawn: Hashes, below: int) -> Integers:
    """The upper half of a draw as an integer from 0 to `below` - 1."""
    return (((drawn >> np.uint64(32)) * np.uint64(below)) >> np.uint64(32)).astype(np.int64)


def lower(drawn: Hashes, below: int) -> Integers:
    """The lower half of a draw as an integer from 0 to `below` - 1."""
    return upper(drawn << np.uint64(32), below)


def happens(drawn: Hashes, share: float) -> npt.NDArray[np.bool_]:
    """Whether what has this share happens, by the upper half of a draw."""
    return np.asarray(upper(drawn, 2**32) < int(Fraction(str(share)) * 2**32))


def exponential(drawn: Hashes, mean: int, most: int) -> Integers:
    """Exponentially distributed whole numbers, by the upper half of a draw.

    Args:
        drawn: one draw a number.
        mean: their mean, below 9e12 / `most` of it.
        most: no number is greater than this.
    """
    # In two steps: the product of a million and a day in microseconds does not fit.
    whole, rest = np.divmod(QUANTILES[upper(drawn, 65_536)], 1_000_000)
    return np.minimum(whole * mean + rest * (mean // 1_000) // 1_000, most)


def scatter(drawn: Hashes, radius: Integers) -> Integers:
    """A distance within the radius either way, denser towards 0: the product of two uniforms."""
    side = upper(drawn, 2**32) - 2**31
    return (((side * lower(drawn, 2**31)) >> 31) * radius) >> 31
