"""Looks points up in a grid of labelled cells: the hot path, NumPy alone.

The world is cut into square tiles of 64 by 64 cells. What a cell holds is one of
- a label: every point of the cell has the same answer;
- a record: one or two lines cut the cell, and each of their up to four sides has a label;
- a patch: 16 by 16 smaller cells, each with a label or a record.

A line is the line through an edge of a boundary, or the tangent of the curve of points that lie
exactly the tolerance away from a region. A point too near to a line for the side to be certain, or
on a side whose answer is not the same everywhere, is left to `geo.exact`. So the grid is never
wrong, only sometimes undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

TILE_BITS: Final = 6
TILE: Final = 1 << TILE_BITS
PATCH: Final = 16
# Answers that are not numbers of regions.
NONE: Final = -1
UNDECIDED: Final = -2
# The label whose answer is UNDECIDED, whatever the message says.
UNDECIDED_LABEL: Final = 0
# Points looked up at once: more would leave the L2 cache, fewer would pay more for each call.
CHUNK: Final = 32_768


def tile_counts(scale: int) -> tuple[int, int]:
    """How many columns and rows of tiles the world has, 180° E and 90° N included."""
    return 360 * scale // TILE + 1, 180 * scale // TILE + 1


@dataclass(frozen=True, eq=False)
class Grid:
    """Labelled cells over the whole world.

    A value below `len(plain)` is a label; below `len(lines)` a record; above, a patch. The first
    records stand for the labels themselves, so that both are looked up alike.

    Attributes:
        scale: Cells a degree, a power of two.
        tiles: For each tile, row by row from the south-west, where its cells begin.
        cells: Values of cells, tile by tile, row by row.
        patches: Values of the cells of patches, 256 a patch.
        lines: For each record two lines (a, b, c, e): a point (x, y) of the cell, whose sides are 1
            long, lies on a side if a·x + b·y + c is beyond ±e.
        sides: For each record the labels of its four sides: bit 0 is set on the positive side of
            the first line, bit 1 on that of the second.
        plain: For each label the number of the region, NONE or UNDECIDED.
        said: The same for points whose message says that its country is France.
    """

    scale: int
    tiles: np.ndarray
    cells: np.ndarray
    patches: np.ndarray
    lines: np.ndarray
    sides: np.ndarray
    plain: np.ndarray
    said: np.ndarray

    def locate(
        self,
        longitudes: np.ndarray,
        latitudes: np.ndarray,
        said_in_france: np.ndarray | None,
        out: np.ndarray,
    ) -> None:
        """Write the answer of each point: a region's number, NONE or UNDECIDED.

        Args:
            longitudes: Degrees, float64; anything, NaN and infinities too.
            latitudes: Degrees, float64; anything.
            said_in_france: Booleans, or nothing.
            out: Takes the answers; of the type of `plain`.
        """
        for start in range(0, len(out), CHUNK):
            part = slice(start, start + CHUNK)
            x, y, answers = longitudes[part], latitudes[part], out[part]
            said = None if said_in_france is None else said_in_france[part]
            # NaN makes each comparison of the extremes false.
            if x.min() >= -180 and x.max() <= 180 and y.min() >= -90 and y.max() <= 90:
                self._answer(self._labels(x, y), said, answers)
            else:
                good = (np.abs(x) <= 180) & (np.abs(y) <= 90)
                labels = self._labels(np.where(good, x, 0.0), np.where(good, y, 0.0))
                self._answer(labels, said, answers)
                answers[~good] = NONE

    def _answer(self, labels: np.ndarray, said: np.ndarray | None, answers: np.ndarray) -> None:
        self.plain.take(labels, mode="clip", out=answers)
        if said is not None:
            np.copyto(answers, self.said.take(labels, mode="clip"), where=said)

    def _labels(self, longitudes: np.ndarray, latitudes: np.ndarray) -> np.ndarray:
        x = longitudes + 180.0
        x *= self.scale
        y = latitudes + 90.0
        y *= self.scale
        column, row = x.astype(np.int32), y.astype(np.int32)
        tile = row >> TILE_BITS
        tile *= tile_counts(self.scale)[0]
        tile += column >> TILE_BITS
        position = self.tiles.take(tile, mode="clip")
        row &= TILE - 1
        row <<= TILE_BITS
        column &= TILE - 1
        row += column
        position += row
        values = self.cells.take(position, mode="clip")
        rest = np.flatnonzero(values >= len(self.plain))
        if rest.size:
            values[rest] = self._resolve(values.take(rest), x.take(rest), y.take(rest))
        return values

    def _resolve(self, values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The labels of points in cells that hold records or patches."""
        x -= np.floor(x)
        y -= np.floor(y)
        patched = np.flatnonzero(values >= len(self.lines))
        if patched.size:
            place = (values.take(patched) - len(self.lines)).astype(np.intp) * PATCH
            place += (y.take(patched) * PATCH).astype(np.intp)
            place *= PATCH
            place += (x.take(patched) * PATCH).astype(np.intp)
            values[patched] = self.patches.take(place)
        near_x, near_y = x.astype(np.float32), y.astype(np.float32)
        line = self.lines.take(values, axis=0, mode="clip")
        side = values.astype(np.intp)
        side <<= 2
        unsure = np.zeros(len(values), dtype=bool)
        for first, bit in ((0, 1), (4, 2)):
            height = line[:, first] * near_x
            height += line[:, first + 1] * near_y
            height += line[:, first + 2]
            side += (height > 0).view(np.int8) * np.int8(bit)
            unsure |= np.abs(height, out=height) <= line[:, first + 3]
        labels = self.sides.take(side, mode="clip")
        np.copyto(labels, UNDECIDED_LABEL, where=unsure)
        return labels
