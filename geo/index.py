"""The index of regions: places points, exactly and many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geo.boundaries import Boundaries, read_geojson
from geo.grid import UNDECIDED, Grid
from geo.storage import load_grid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from geo.exact import ExactPlacer

DATA: Final = Path(__file__).with_name("data")
REGIONS: Final = DATA / "regions.geojson.gz"
NEIGHBOURS: Final = DATA / "neighbours.geojson.gz"
GRID: Final = DATA / "grid.npz"
# Natural Earth leaves out small islands and cuts coasts by up to this many degrees.
TOLERANCE: Final = 0.07


class RegionIndex:
    """Places points in regions.

    A point that a region's polygon covers, its border included, belongs to that region; on a common
    border, or where polygons overlap, to the first by code. A point that no polygon covers, nor one
    of a neighbouring country, belongs to the nearest region that is at most the tolerance away (in
    degrees, as on a plane). Longitudes do not wrap around at ±180.

    The answers are those of shapely on the same polygons, for every point. Nearly all come from a
    grid (`geo.grid`); the few next to a border are given to shapely. An index can be shared by
    threads, and be pickled.
    """

    def __init__(
        self,
        codes: Sequence[str],
        names: Sequence[str],
        grid: Grid,
        boundaries: Callable[[], Boundaries],
    ) -> None:
        """Use `default` or `from_geojson` instead."""
        self.codes: tuple[str, ...] = tuple(codes)
        self.names: tuple[str, ...] = tuple(names)
        self._grid = grid
        self._boundaries = boundaries
        self._exact: ExactPlacer | None = None
        self._exact_lock = threading.Lock()
        self._code_or_none = np.array([*self.codes, None], dtype=object)

    @classmethod
    def default(cls) -> RegionIndex:
        """The 18 regions of France, by INSEE code; one index for all callers.

        The tolerance is 0.07°, for the coasts and islands of Natural Earth's boundaries.
        """
        return _default()

    @classmethod
    def from_geojson(
        cls,
        path: str | Path,
        code_property: str = "code",
        name_property: str | None = None,
        tolerance: float = 0.0,
        neighbours: str | Path | None = None,
    ) -> RegionIndex:
        """Make an index of other boundaries; takes seconds for some ten thousand positions.

        Features of the same code are one region. The default tolerance places only what the
        polygons cover: a boundary that is fine enough needs no more, and one without its
        neighbours would draw in places abroad.

        Args:
            path: A GeoJSON FeatureCollection of Polygons and MultiPolygons in WGS 84 degrees, plain
                or gzipped. Polygons must not cross the antimeridian.
            code_property: The property that holds a region's code, a text or a whole number.
            name_property: The property that holds its name; without it the name is the code.
            tolerance: Degrees within which points that no polygon covers go to the nearest region.
            neighbours: A GeoJSON file of the same kind, for the places that the tolerance must not
                draw in; its properties do not matter.

        Raises:
            BoundariesError: A file cannot be used; the message says which and what to do.
        """
        from geo.build_grid import build_grid  # noqa: PLC0415 - imports shapely

        regions = read_geojson(path, code_property, name_property)
        around = read_geojson(neighbours, None) if neighbours is not None else []
        boundaries = Boundaries.from_parts(
            regions, [polygon for *_, polygons in around for polygon in polygons], tolerance
        )
        return cls._of(boundaries, build_grid(boundaries))

    @classmethod
    def _of(cls, boundaries: Boundaries, grid: Grid) -> RegionIndex:
        return cls(boundaries.codes, boundaries.names, grid, lambda: boundaries)

    def assign(
        self,
        longitudes: ArrayLike,
        latitudes: ArrayLike,
        said_in_france: ArrayLike | None = None,
    ) -> np.ndarray:
        """Give the code of each point's region.

        Args:
            longitudes: As for `locate`.
            latitudes: As for `locate`.
            said_in_france: As for `locate`.

        Returns:
            An array of n objects: codes, None for points in no region.
        """
        codes: np.ndarray = self._code_or_none[self.locate(longitudes, latitudes, said_in_france)]
        return codes

    def locate(
        self,
        longitudes: ArrayLike,
        latitudes: ArrayLike,
        said_in_france: ArrayLike | None = None,
    ) -> np.ndarray:
        """Give the number of each point's region: its place in `codes`.

        Args:
            longitudes: n WGS 84 degrees; NaN, infinities and values beyond ±180 are in no region.
            latitudes: n WGS 84 degrees; the same, beyond ±90.
            said_in_france: n booleans, whether the message itself says that its country is France:
                then a point in a neighbouring country, but within the tolerance of a region,
                belongs to the nearest region.

        Returns:
            n numbers, -1 for points in no region; as int8 (int16 for more than 128 regions, int32
            for more than 32,768).

        Raises:
            ValueError: The arrays are not flat, or not of one length.
        """
        x = np.asarray(longitudes, dtype=np.float64)
        y = np.asarray(latitudes, dtype=np.float64)
        said = None if said_in_france is None else np.asarray(said_in_france, dtype=bool)
        if x.ndim != 1 or x.shape != y.shape or (said is not None and said.shape != x.shape):
            shapes = [array.shape for array in (x, y, said) if array is not None]
            msg = f"the coordinates must be flat arrays of one length, not of shapes {shapes}"
            raise ValueError(msg)
        answers = np.empty(len(x), dtype=self._grid.plain.dtype)
        self._grid.locate(x, y, said, answers)
        rest = np.flatnonzero(answers == UNDECIDED)
        if rest.size:
            answers[rest] = self._place_exactly(
                x[rest], y[rest], None if said is None else said[rest]
            )
        return answers

    def _place_exactly(self, x: np.ndarray, y: np.ndarray, said: np.ndarray | None) -> np.ndarray:
        # One thread at a time: GEOS completes its prepared polygons while they are used.
        with self._exact_lock:
            if self._exact is None:
                from geo.exact import ExactPlacer  # noqa: PLC0415 - imports shapely

                self._exact = ExactPlacer(self._boundaries())
            return self._exact.place(x, y, said)

    def __reduce__(self) -> tuple[Callable[..., RegionIndex], tuple[Any, ...]]:
        if self._boundaries is default_boundaries:
            return RegionIndex.default, ()
        return RegionIndex._of, (self._boundaries(), self._grid)

    def __repr__(self) -> str:
        return f"<RegionIndex of {len(self.codes)} regions>"


def default_boundaries() -> Boundaries:
    """Read the embedded boundaries of the 18 regions and of the countries around."""
    neighbours = read_geojson(NEIGHBOURS, "code")
    return Boundaries.from_parts(
        read_geojson(REGIONS, "code", "name"),
        [polygon for *_, polygons in neighbours for polygon in polygons],
        TOLERANCE,
    )


@cache
def _default() -> RegionIndex:
    codes, names, grid = load_grid(GRID)
    return RegionIndex(codes, names, grid, default_boundaries)
