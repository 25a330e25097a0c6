"""Doubles as whole millionths of their unit, which is how values are kept."""

from __future__ import annotations

import decimal

import numpy as np

from transforms.spans import Floats, Ints

__all__ = ["MICROS", "float_to_micros"]

MICROS = 1_000_000
"""Values are kept as whole millionths of their unit."""


def float_to_micros(values: Floats) -> Ints:
    """Whole millionths of each double's shortest decimal form, a tie to the even one.

    Args:
        values: doubles; those not finite or beyond ±9.2e12 give 0.
    """
    result = np.zeros(len(values), np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = values * MICROS
        usable = np.abs(scaled) < 9.2e18
        scaled = np.where(usable, scaled, 0.0)
        nearest = np.rint(scaled)
        result[:] = nearest
        # Near a tie the product's own rounding could decide; there the decimal digits do.
        doubt = np.abs(np.abs(scaled - nearest) - 0.5) <= np.abs(scaled) * 2.0**-50
        doubt |= np.abs(scaled) > 2.0**49
        # Whole numbers are their own shortest decimals.
        large = np.flatnonzero(doubt & usable & (values == np.rint(values)))
        result[large] = values[large].astype(np.int64) * MICROS
        doubt[large] = False
    for row in np.flatnonzero(doubt & usable).tolist():
        exact = decimal.Decimal(repr(float(values[row]))) * MICROS
        result[row] = int(exact.to_integral_value(decimal.ROUND_HALF_EVEN))
    return result
