"""Places points by the polygons themselves: slow, and the last word on every point."""

from __future__ import annotations

from typing import Final

import numpy as np
import shapely

from geo.boundaries import Boundaries

NONE: Final = -1
# A ring is cut into pieces of this many edges, so that the distance to a near piece is enough.
PIECE_EDGES: Final = 4


class ExactPlacer:
    """Places points by GEOS's exact predicates and its plane distance.

    Args:
        boundaries: What to place points in.
    """

    def __init__(self, boundaries: Boundaries) -> None:
        self._owners = boundaries.owners
        self._tolerance = boundaries.tolerance
        self._polygons = np.array(boundaries.polygons, dtype=object)
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        pieces: list[shapely.LineString] = []
        piece_owners: list[int] = []
        for polygon, owner in zip(boundaries.polygons, self._owners.tolist(), strict=True):
            if owner != NONE:
                cut = _pieces(polygon)
                pieces += cut
                piece_owners += [owner] * len(cut)
        self._piece_owners = np.array(piece_owners, dtype=np.int32)
        self._piece_tree = shapely.STRtree(np.array(pieces, dtype=object))

    def cover(self, longitudes: np.ndarray, latitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the region that covers each point, and whether a neighbouring country does.

        Args:
            longitudes: Degrees, finite.
            latitudes: Degrees, finite.

        Returns:
            The number of the first region by code that covers the point (borders included) or
            -1; and whether a neighbouring country covers it.
        """
        n = len(longitudes)
        point, polygon = self._tree.query(shapely.points(longitudes, latitudes))
        hit = shapely.intersects_xy(self._polygons[polygon], longitudes[point], latitudes[point])
        point, owner = point[hit], self._owners[polygon[hit]]
        abroad = np.zeros(n, dtype=bool)
        abroad[point[owner == NONE]] = True
        inside = owner != NONE
        return _first(n, point[inside], owner[inside]), abroad

    def nearest(self, longitudes: np.ndarray, latitudes: np.ndarray) -> np.ndarray:
        """Find the nearest region within the tolerance of points that no region covers.

        Args:
            longitudes: Degrees, finite.
            latitudes: Degrees, finite.

        Returns:
            The number of the region (the first by code of those equally near) or -1.
        """
        n = len(longitudes)
        if not self._tolerance or not n:
            return np.full(n, NONE, dtype=np.int32)
        (point, piece), distance = self._piece_tree.query_nearest(
            shapely.points(longitudes, latitudes),
            # The search is cut off by boxes, so it gets a margin; the rule is applied below.
            max_distance=self._tolerance * 1.001,
            return_distance=True,
            all_matches=True,
        )
        within = distance <= self._tolerance
        return _first(n, point[within], self._piece_owners[piece[within]])

    def place(
        self, longitudes: np.ndarray, latitudes: np.ndarray, said_in_france: np.ndarray | None
    ) -> np.ndarray:
        """Place points by the rules of `RegionIndex.locate`.

        Args:
            longitudes: Degrees, finite.
            latitudes: Degrees, finite.
            said_in_france: Whether the message says that its country is France.

        Returns:
            The number of each point's region, or -1.
        """
        region, abroad = self.cover(longitudes, latitudes)
        open_ground = region == NONE
        open_ground &= ~abroad if said_in_france is None else ~abroad | said_in_france
        rest = np.flatnonzero(open_ground)
        region[rest] = self.nearest(longitudes[rest], latitudes[rest])
        return region


def _first(n: int, point: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """The smallest owner of each of n points, -1 where there is none."""
    region = np.full(n, NONE, dtype=np.int32)
    # The last write wins, so the smallest owner is written last.
    order = np.argsort(-owner, kind="stable")
    region[point[order]] = owner[order]
    return region


def _pieces(polygon: shapely.Polygon) -> list[shapely.LineString]:
    pieces = []
    for ring in (polygon.exterior, *polygon.interiors):
        points = np.asarray(ring.coords)[:, :2]
        pieces += [
            shapely.LineString(points[start : start + PIECE_EDGES + 1])
            for start in range(0, len(points) - 1, PIECE_EDGES)
        ]
    return pieces
