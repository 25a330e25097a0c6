"""Whether something grows: a straight line through samples, and what can be said of its slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Trend", "trend_of"]

PIECES = 20
SURE = 3.0
"""Standard errors from which on a slope is no chance (18 degrees of freedom: p < 0.008)."""


@dataclass(frozen=True)
class Trend:
    """A straight line through samples.

    Attributes:
        slope: a second.
        error: the standard error of the slope.
        mean: of the samples.
        seconds: from the first sample to the last.
    """

    slope: float
    error: float
    mean: float
    seconds: float

    @property
    def growth(self) -> float:
        """By how much the line rises from the first sample to the last."""
        return self.slope * self.seconds

    def rises(self, least: float) -> bool:
        """Whether it surely rises, and by more than it matters.

        Args:
            least: a smaller rise over the whole time does not matter.
        """
        return self.growth > least and self.slope > SURE * self.error


def trend_of(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Fits a line to the means of pieces of the time.

    Samples that follow each other are alike; so a line through all of them would seem surer than it
    is. The means of twenty pieces are nearly independent.

    Args:
        times: seconds, rising.
        values: one a time.

    Raises:
        ValueError: there are fewer than three samples.
    """
    if len(times) < 3:
        msg = f"a line needs three samples, and there are {len(times)}"
        raise ValueError(msg)
    x, y = np.asarray(times, float), np.asarray(values, float)
    pieces = min(PIECES, len(x))
    cuts = np.linspace(0, len(x), pieces + 1).astype(int)[:-1]
    sizes = np.diff([*cuts.tolist(), len(x)])
    middle, height = np.add.reduceat(x, cuts) / sizes, np.add.reduceat(y, cuts) / sizes
    away = middle - middle.mean()
    spread = float((away**2).sum())
    slope = float((away * height).sum()) / spread
    rest = height - height.mean() - slope * away
    error = float(np.sqrt((rest**2).sum() / max(1, pieces - 2) / spread))
    return Trend(slope, error, float(y.mean()), float(x[-1] - x[0]))
