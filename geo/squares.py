"""Squares of the grid while it is built, and the edges of boundaries that matter in each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from geo.boundaries import Boundaries
from geo.grid import NONE, PATCH

# Rounding moves a point by 1e-11 cells at most; squares are taken larger by this, in cells.
MARGIN: Final = 1e-6
# What `Squares.measure` finds out of each pair.
PAIR_MEASURES: Final = ("distance", "crosses", "near")
# Where the world begins, in degrees.
SOUTH_WEST: Final = np.array([-180.0, -90.0])
# Pairs measured at once, in the cache.
MEASURED: Final = 16_384


@dataclass(frozen=True, eq=False)
class Edges:
    """Edges of all boundaries, in cells from the south-west corner of the world."""

    ax: np.ndarray
    ay: np.ndarray
    bx: np.ndarray
    by: np.ndarray
    owner: np.ndarray
    # Edges with the same ends, on the common border of two regions, share their line.
    line: np.ndarray
    scale: int
    tolerance: float

    @classmethod
    def of(cls, boundaries: Boundaries, scale: int) -> Edges:
        """Take the edges of boundaries, sorted by owner, none of them without length."""
        ends, owners = [np.zeros((0, 4))], [np.zeros(0, dtype=np.int64)]
        for polygon, owner in zip(boundaries.polygons, boundaries.owners.tolist(), strict=True):
            for ring in (polygon.exterior, *polygon.interiors):
                points = np.asarray(ring.coords)[:, :2]
                moved = (points[:-1] != points[1:]).any(axis=1)
                points = (points - SOUTH_WEST) * scale
                pairs = np.concatenate([points[:-1], points[1:]], axis=1)[moved]
                ends.append(pairs)
                owners.append(np.full(len(pairs), owner))
        every, owner = np.concatenate(ends), np.concatenate(owners)
        order = np.argsort(owner, kind="stable")
        every, owner = every[order], owner[order]
        turned = (every[:, 0] > every[:, 2]) | (
            (every[:, 0] == every[:, 2]) & (every[:, 1] > every[:, 3])
        )
        key = np.where(turned[:, None], every[:, [2, 3, 0, 1]], every)
        _, line = np.unique(key, axis=0, return_inverse=True)
        ax, ay, bx, by = np.ascontiguousarray(every.T)
        return cls(ax, ay, bx, by, owner, line.ravel(), scale, boundaries.tolerance * scale)

    def foot(self, edge: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The point of each edge that is nearest to a point."""
        ax, ay = self.ax[edge], self.ay[edge]
        dx, dy = self.bx[edge] - ax, self.by[edge] - ay
        length = dx * dx + dy * dy
        along = ((x - ax) * dx + (y - ay) * dy) / np.where(length > 0, length, 1.0)
        along = np.clip(along, 0, 1)
        return ax + along * dx, ay + along * dy

    def cross(self, edge: np.ndarray, x: np.ndarray, y: np.ndarray, half: float) -> np.ndarray:
        """Whether each edge meets the square around a point, `half` to each side."""
        ax, ay = self.ax[edge], self.ay[edge]
        dx, dy = self.bx[edge] - ax, self.by[edge] - ay
        wide, high = np.abs(dx), np.abs(dy)
        # The axes that may separate them: the two of the square, and the edge's normal.
        across = half * (wide + high) + MARGIN * np.hypot(dx, dy)
        meets: np.ndarray = np.abs((x - ax) * dy - (y - ay) * dx) <= across
        meets &= np.abs(ax + dx / 2 - x) <= wide / 2 + half
        meets &= np.abs(ay + dy / 2 - y) <= high / 2 + half
        return meets


def group_extreme(
    ufunc: np.ufunc, groups: np.ndarray, values: np.ndarray, count: int, initial: float
) -> np.ndarray:
    """The extreme of the values of each of `count` groups; `initial` where there are none."""
    result = np.full(count, initial, dtype=values.dtype)
    ufunc.at(result, groups, values)
    return result


@dataclass(eq=False)
class Squares:
    """Squares of one size, and the edges that matter in each.

    Attributes:
        x: West side, in sixteenths of a cell.
        y: South side, in sixteenths of a cell.
        size: Side, in sixteenths of a cell.
        square: For each pair of a square and an edge, the square.
        edge: For each pair, the edge.
    """

    x: np.ndarray
    y: np.ndarray
    size: int
    square: np.ndarray
    edge: np.ndarray
    # Set by `measure`, for pairs:
    distance: np.ndarray = field(init=False)
    crosses: np.ndarray = field(init=False)
    near: np.ndarray = field(init=False)
    # Set by `measure`, for squares:
    crossed: np.ndarray = field(init=False)
    nearest: np.ndarray = field(init=False)
    region: np.ndarray = field(init=False)
    one_region: np.ndarray = field(init=False)

    @property
    def count(self) -> int:
        """How many squares there are."""
        return len(self.x)

    @property
    def reach(self) -> float:
        """The farthest that a point of a square is from its centre, in cells."""
        return self.size / (2 * PATCH) * 2**0.5 + MARGIN

    def centres(self, scale: int, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The longitudes and latitudes of the centres of some squares."""
        x, y = self.centre(which)
        return x / scale - 180, y / scale - 90

    def centre(self, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The centres of some squares, in cells."""
        half = self.size / 2
        return (self.x[square] + half) / PATCH, (self.y[square] + half) / PATCH

    def measure(self, edges: Edges) -> None:
        """Measure from the centres to the edges, and forget the edges that cannot matter."""
        self.distance = np.empty(len(self.edge))
        self.crosses = np.zeros(len(self.edge), dtype=bool)
        for start in range(0, len(self.edge), MEASURED):
            part = slice(start, start + MEASURED)
            x, y = self.centre(self.square[part])
            foot_x, foot_y = edges.foot(self.edge[part], x, y)
            distance = np.sqrt((x - foot_x) ** 2 + (y - foot_y) ** 2)
            inner = np.flatnonzero(distance <= self.reach)
            half = self.size / (2 * PATCH) + MARGIN
            self.distance[part] = distance
            self.crosses[start + inner] = edges.cross(
                self.edge[start + inner], x[inner], y[inner], half
            )
        owner = edges.owner[self.edge]
        own = owner != NONE
        self.nearest = group_extreme(
            np.minimum, self.square[own], self.distance[own], self.count, np.inf
        )
        # Only an edge as near as this can be the nearest of some point of the square.
        limit = np.minimum(self.nearest + 2 * self.reach, edges.tolerance + self.reach)
        self.near = own & (self.distance <= limit[self.square])
        self._keep(self.near | self.crosses)
        owner, square = edges.owner[self.edge[self.near]], self.square[self.near]
        self.crossed = np.zeros(self.count, dtype=bool)
        self.crossed[self.square[self.crosses]] = True
        first = group_extreme(np.minimum, square, owner, self.count, 2**31)
        self.region = group_extreme(np.maximum, square, owner, self.count, NONE)
        self.one_region = first == self.region

    def _keep(self, pairs: np.ndarray) -> None:
        for name in ("square", "edge", *PAIR_MEASURES):
            setattr(self, name, getattr(self, name)[pairs])

    def only(self, which: np.ndarray) -> Squares:
        """Some of the squares, with their pairs."""
        number = np.cumsum(which) - 1
        pairs = which[self.square]
        return Squares(
            self.x[which], self.y[which], self.size, number[self.square[pairs]], self.edge[pairs]
        )

    def split(self) -> Squares:
        """The four quarters of each square."""
        half, n = self.size // 2, self.count
        return Squares(
            np.concatenate([self.x, self.x + half, self.x, self.x + half]),
            np.concatenate([self.y, self.y, self.y + half, self.y + half]),
            half,
            np.concatenate([self.square + quarter * n for quarter in range(4)]),
            np.tile(self.edge, 4),
        )
