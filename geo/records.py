"""Records of the grid: squares cut by one or two lines, with a label on each side.

Two lines cut a square into at most four sides, each convex. An edge lies on its line, so no edge
runs through a side, and one point of a side answers for all of it. This holds however the edges
meet, whatever lies beyond their ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from geo.exact import ExactPlacer
from geo.grid import NONE, PATCH, UNDECIDED, UNDECIDED_LABEL
from geo.squares import PAIR_MEASURES, Edges, Squares, group_extreme

# All in cells. The look-up computes in float32, where the error of a·x + b·y + c is under 1e-6.
ROUNDING: Final = 4e-6
# A side is labelled by a point of it that is at least this far from the lines.
CLEAR: Final = 1e-4
# One or two tangents stand for all if the others are nowhere farther out than this.
TANGENT_SLACK: Final = 0.02
# A tangent is used if it leaves undecided at most this part of the square on either side.
TANGENT_BAND: Final = 0.1
# Every point is on its positive side: the second line of records that have one.
NO_LINE: Final = (0.0, 0.0, 1.0, 0.0)
# Squares sampled at once.
SAMPLED: Final = 4_096

Label = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Records:
    """Makes records and keeps them.

    Args:
        exact: Tells what covers a point.
        edges: The edges of all boundaries.
        labels: How many labels there are; the first records stand for them.
    """

    def __init__(self, exact: ExactPlacer, edges: Edges, labels: int) -> None:
        self._exact = exact
        self._edges = edges
        self._count = labels
        self._lines = [np.tile(np.array([*NO_LINE, *NO_LINE], dtype=np.float32), (labels, 1))]
        self._sides = [np.repeat(np.arange(labels), 4).reshape(-1, 4)]

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        """`Grid.lines` and `Grid.sides`."""
        return np.concatenate(self._lines), np.concatenate(self._sides)

    def make(
        self, squares: Squares, which: np.ndarray, outside: np.ndarray, label: Label
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make records of squares no larger than a cell, where they fit.

        Args:
            squares: Squares that have been measured.
            which: The squares to make records of.
            outside: For each square the answer of its points that no polygon covers.
            label: Gives the label of points that no region covers, from the answer outside and
                whether a neighbouring country covers them.

        Returns:
            The value of each of these squares, and whether it has one.
        """
        part = np.zeros(squares.count, dtype=bool)
        part[which] = True
        some, rest = squares.only(part), outside[which]
        for name in PAIR_MEASURES:
            setattr(some, name, getattr(squares, name)[part[squares.square]])
        lines = np.empty((len(which), 2, 4), dtype=np.float32)
        lines[:] = NO_LINE
        counts = self._boundary_lines(some, lines)
        wanted = (rest == UNDECIDED) & squares.one_region[which] & (counts < 2)
        tangent = self._tangents(some, wanted, counts, lines)
        fits = (counts <= 2) & (counts + (tangent != 0) > 0)

        def label_side(square: np.ndarray, side: int, abroad: np.ndarray) -> np.ndarray:
            within = np.where(tangent[square] & side, squares.region[which[square]], NONE)
            return label(np.where(tangent[square] != 0, within, rest[square]), abroad)

        sides = self._label_sides(some, np.flatnonzero(fits), lines, label_side)
        seen = sides != NONE
        good = fits & seen.any(axis=1)
        if squares.size > 1:
            good &= ~(seen & (sides == UNDECIDED_LABEL)).any(axis=1)
        values = np.full(len(which), UNDECIDED_LABEL, dtype=np.int64)
        values[good] = self._count + np.arange(np.count_nonzero(good))
        self._count += int(np.count_nonzero(good))
        self._lines.append(lines[good].reshape(-1, 8))
        self._sides.append(np.where(seen, sides, UNDECIDED_LABEL)[good])
        return values, good

    def _boundary_lines(self, squares: Squares, lines: np.ndarray) -> np.ndarray:
        """Write the lines of the edges that cross, and count them (two are written at most)."""
        edges, pairs = self._edges, np.flatnonzero(squares.crosses)
        stride = len(edges.line) + 1
        key = squares.square[pairs] * stride + edges.line[squares.edge[pairs]]
        key, first = np.unique(key, return_index=True)
        square, edge = key // stride, squares.edge[pairs[first]]
        counts = np.bincount(square, minlength=squares.count)
        rank = np.arange(len(square)) - (np.cumsum(counts) - counts)[square]
        square, edge, rank = square[rank < 2], edge[rank < 2], rank[rank < 2]
        dx, dy = edges.bx[edge] - edges.ax[edge], edges.by[edge] - edges.ay[edge]
        length = np.hypot(dx, dy)
        # An edge so short that its ends coincide here may lie on any line through them.
        dx, length = np.where(length > 0, (dx, length), 1.0)
        a, b = -dy / length, dx / length
        x = edges.ax[edge] - (squares.x[square] >> 4)
        y = edges.ay[edge] - (squares.y[square] >> 4)
        error = np.full(len(a), ROUNDING)
        lines[square, rank] = np.stack([a, b, -(a * x + b * y), error], axis=1)
        return counts

    def _tangents(
        self, squares: Squares, wanted: np.ndarray, counts: np.ndarray, lines: np.ndarray
    ) -> np.ndarray:
        """Write tangents of the curve at the tolerance from the one region that is near.

        The distance d to an edge is convex: at a centre c with the nearest point q it is at least
        its tangent there, d(c) + (c - q)/d(c) · (p - c), and at most that plus |p - c|²/2(d(c) -
        |p - c|). The positive side of a tangent is within the tolerance.

        Returns:
            For each square the bits of its sides that tangents decide; 0 where they do not fit.
        """
        tolerance, reach = self._edges.tolerance, squares.reach
        bits = np.zeros(squares.count, dtype=np.int64)
        if tolerance <= 4 * reach:
            return bits
        pairs = np.flatnonzero(
            wanted[squares.square] & squares.near & (np.abs(squares.distance - tolerance) <= reach)
        )
        square, distance = squares.square[pairs], squares.distance[pairs]
        if not len(pairs):
            return bits
        half = squares.size / (2 * PATCH)
        x, y = squares.centre(square)
        foot_x, foot_y = self._edges.foot(squares.edge[pairs], x, y)
        a, b = (foot_x - x) / distance, (foot_y - y) / distance
        level = tolerance - distance
        corners = np.array([(-half, -half), (half, -half), (-half, half), (half, half)])
        height = level[:, None] + a[:, None] * corners[:, 0] + b[:, None] * corners[:, 1]

        def leader(score: np.ndarray) -> np.ndarray:
            """The pair with the highest score of each square, the first of equals."""
            order = np.lexsort((-score, square))
            first = np.ones(len(order), dtype=bool)
            first[1:] = square[order[1:]] != square[order[:-1]]
            result = np.zeros(squares.count, dtype=np.int64)
            result[square[order[first]]] = order[first]
            return result

        def most(values: np.ndarray) -> np.ndarray:
            return group_extreme(np.maximum, square, values, squares.count, 0.0)

        best = leader(level)
        beyond = (height - height[best[square]]).max(axis=1)
        other = leader(beyond)
        single = most(beyond)
        # For linear functions, what lies under a mean of two lies under the greater of them.
        shares = np.linspace(0, 1, 5)[:, None, None]
        mean = shares * height[best[square]] + (1 - shares) * height[other[square]]
        double = most((height - mean).max(axis=2).min(axis=0))
        one = single <= TANGENT_SLACK
        slack = np.where(one, single, double)
        error = reach * reach / 2 / (tolerance - 2 * reach) + slack + ROUNDING
        needed = np.where(one, 1, 2)
        has = np.zeros(squares.count, dtype=bool)
        has[square] = True
        fits = has & (slack <= TANGENT_SLACK) & (error <= TANGENT_BAND * 2 * half)
        fits &= counts + needed <= 2
        for which, pair, slot in (
            (np.flatnonzero(fits), best, counts),
            (np.flatnonzero(fits & ~one), other, counts + 1),
        ):
            p, s = pair[which], slot[which]
            c = level[p] - a[p] * (x[p] - (squares.x[which] >> 4))
            c -= b[p] * (y[p] - (squares.y[which] >> 4))
            lines[which, s] = np.stack([a[p], b[p], c, error[which]], axis=1)
            bits[which] |= 1 << s
        return bits

    def _label_sides(
        self,
        squares: Squares,
        which: np.ndarray,
        lines: np.ndarray,
        label_side: Callable[[np.ndarray, int, np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Labels of the four sides of each square; NONE where no point of a side was found."""
        sides = np.full((squares.count, 4), NONE, dtype=np.int64)
        steps = 16 if squares.size == PATCH else 8
        inner = (np.arange(steps) + 0.5) / steps * (squares.size / PATCH)
        grid_y, grid_x = (axis.ravel() for axis in np.meshgrid(inner, inner, indexing="ij"))
        for start in range(0, len(which), SAMPLED):
            part = which[start : start + SAMPLED]
            west, south = (squares.x[part] & 15) / PATCH, (squares.y[part] & 15) / PATCH
            x, y = west[:, None] + grid_x, south[:, None] + grid_y
            line = lines[part].astype(np.float64)[:, :, :, None]
            value = line[:, :, 0] * x[:, None] + line[:, :, 1] * y[:, None] + line[:, :, 2]
            clear = (np.abs(value) - line[:, :, 3]).min(axis=1)
            code = (value[:, 0] > 0) + 2 * (value[:, 1] > 0)
            for side in range(4):
                score = np.where(code == side, clear, -1.0)
                best = score.argmax(axis=1)
                row = np.arange(len(part))
                found = np.flatnonzero(score[row, best] > CLEAR)
                square = part[found]
                longitude = (squares.x[square] >> 4) + x[found, best[found]]
                latitude = (squares.y[square] >> 4) + y[found, best[found]]
                scale = self._edges.scale
                owner, abroad = self._exact.cover(longitude / scale - 180, latitude / scale - 90)
                outer = label_side(square, side, abroad)
                sides[square, side] = np.where(owner != NONE, owner + 2, outer)
        return sides
