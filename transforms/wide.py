"""Integers wider than 64 bits, in columns: sums and sums of squares that are exact for any input.

A wide column is a matrix of int64 limbs, n rows by k limbs, the lowest first:
`row[0] + row[1] * 2**32 + row[2] * 2**64`. All limbs but the last lie in [0, 2**32) after
`carried`, so a column may be summed over two billion rows before it must be carried again.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.spans import Ints

__all__ = ["SQUARE_LIMBS", "SUM_LIMBS", "Wide", "carried", "square_sums", "sums", "to_ints"]

Wide: TypeAlias = npt.NDArray[np.int64]

SUM_LIMBS, SQUARE_LIMBS = 2, 3
BITS = 32
MASK = (1 << BITS) - 1
MOST = 2**63 - 1


def carried(limbs: Wide) -> Wide:
    """The same numbers with every limb but the last in [0, 2**32)."""
    result = limbs.copy()
    for limb in range(limbs.shape[1] - 1):
        result[:, limb + 1] += result[:, limb] >> BITS
        result[:, limb] &= MASK
    return result


def sums(values: Ints, starts: Ints) -> Wide:
    """The sum of each group of consecutive values.

    Args:
        values: whole numbers of at most 2**50 in size.
        starts: where each group begins.

    Returns:
        A wide column of two limbs, one row a group.
    """
    if len(values) * int(np.abs(values).max(initial=0)) <= MOST:
        return _widened(np.add.reduceat(values, starts), SUM_LIMBS)
    limbs = np.stack([values & MASK, values >> BITS], axis=1)
    return carried(np.add.reduceat(limbs, starts, axis=0))


def square_sums(values: Ints, starts: Ints) -> Wide:
    """The sum of the squares of each group of consecutive values, as `sums`, of three limbs."""
    size = np.abs(values)
    if len(values) * int(size.max(initial=0)) ** 2 <= MOST:
        return _widened(np.add.reduceat(values * values, starts), SQUARE_LIMBS)
    low, high = (size & MASK).view(np.uint64), size >> BITS
    square = low * low
    middle = 2 * high * low.view(np.int64)
    limbs = np.stack(
        [
            (square & np.uint64(MASK)).view(np.int64),
            (square >> np.uint64(BITS)).view(np.int64) + (middle & MASK),
            high * high + (middle >> BITS),
        ],
        axis=1,
    )
    return carried(np.add.reduceat(limbs, starts, axis=0))


def to_ints(limbs: Wide) -> list[int]:
    """The numbers as Python integers."""
    columns: list[list[int]] = [limbs[:, limb].tolist() for limb in range(limbs.shape[1])]
    total = columns[-1]
    for column in reversed(columns[:-1]):
        total = [(above << BITS) + below for above, below in zip(total, column, strict=True)]
    return total


def _widened(values: Ints, limbs: int) -> Wide:
    wide = np.zeros((len(values), limbs), np.int64)
    wide[:, 0] = values
    return carried(wide)
