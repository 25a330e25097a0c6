"""Where numbers end, and whether they are JSON, for those whose values nobody wants."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transforms.numbers import DOT, MINUS, ONE_FLAG, _flags
from transforms.spans import Bools, Bytes

__all__ = ["number_shapes"]


def number_shapes(text: Bytes, stop: int) -> tuple[Bools, npt.NDArray[np.uint8]]:
    """Looks at the plain decimal number at the beginning of every row, up to a `stop` byte.

    Args:
        text: n rows of 16 bytes, one after another in memory.
        stop: the byte that ends the numbers.

    Returns:
        Whether it is exact JSON syntax, and the length of each text. What is not plain (an
        exponent, say) is no JSON here; a length of 16 says that no end was found.
    """
    digits = text ^ np.uint8(0x30)
    minus = digits[:, 0] == MINUS
    others = _flags(digits > 9) ^ minus
    first = others & (~others + ONE_FLAG)
    dot = first & _flags(digits == DOT)
    # Where the first mark is a dot, the second one is the end.
    others ^= dot
    end = others & (~others + ONE_FLAG)
    lengths = np.bitwise_count(end - ONE_FLAG)
    point = np.minimum(np.bitwise_count(dot - ONE_FLAG), lengths)
    whole = point - minus
    is_json = ((end & _flags(text == stop)) != 0) & (whole != 0)
    if dot.any():
        is_json &= (point == lengths) | (lengths - point > 1)
    leading = np.where(minus, digits[:, 1], digits[:, 0]) if minus.any() else digits[:, 0]
    is_json &= (leading != 0) | (whole == 1)
    return is_json, lengths
