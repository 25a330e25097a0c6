"""Builds the grid of `geo.grid` from boundaries, by splitting squares until each is decided.

A square of half diagonal h whose centre is d away from the nearest edge of a region holds only
points between d - h and d + h away from it: that alone decides most squares. Those that an edge or
the curve of the tolerance crosses are split down to cells, then become records (`geo.records`), or
patches of smaller squares where more than two lines meet.

Lengths here are in cells, from the south-west corner of the world; squares are placed by whole
sixteenths of a cell, so that nothing is rounded.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from geo.boundaries import Boundaries
from geo.exact import ExactPlacer
from geo.grid import NONE, PATCH, TILE, UNDECIDED, UNDECIDED_LABEL, Grid, tile_counts
from geo.records import Records
from geo.squares import MARGIN, Edges, Squares

FINEST_SCALE: Final = 128
COARSEST_SCALE: Final = 8
# Cells of at most this many tiles are kept: 32 MB in two bytes a cell.
MOST_TILES: Final = 4_096
# At most this many pairs of a tile and an edge are measured: under 1 GB while the grid is built.
MOST_PAIRS: Final = 8_000_000
TILE_UNITS: Final = TILE * PATCH
# The label after UNDECIDED_LABEL; that of region i is i + 2.
NONE_LABEL: Final = 1


def build_grid(boundaries: Boundaries) -> Grid:
    """Build the grid that places points as `ExactPlacer.place` does.

    Args:
        boundaries: What to place points in.

    Returns:
        The grid, with the finest cells (1/128° at best) that keep it small.
    """
    scale = FINEST_SCALE
    while scale > COARSEST_SCALE and not _is_small(Edges.of(boundaries, scale)):
        scale //= 2
    return _Builder(boundaries, scale).build()


def _is_small(edges: Edges) -> bool:
    columns, rows = _tile_ranges(edges)[2:]
    return bool((columns * rows).sum() <= MOST_PAIRS and len(_tiles_near(edges)[0]) <= MOST_TILES)


def _tile_ranges(edges: Edges) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The first column and row of the tiles that each edge may concern, and how many."""
    reach = np.where(edges.owner == NONE, 0.0, edges.tolerance) + MARGIN
    low = np.stack([np.minimum(edges.ax, edges.bx), np.minimum(edges.ay, edges.by)]) - reach
    high = np.stack([np.maximum(edges.ax, edges.bx), np.maximum(edges.ay, edges.by)]) + reach
    last = np.array([[360], [180]]) * edges.scale // TILE
    first_column, first_row = np.clip(low // TILE, 0, last).astype(np.int64)
    last_column, last_row = np.clip(high // TILE, 0, last).astype(np.int64)
    return first_column, first_row, last_column - first_column + 1, last_row - first_row + 1


def _tiles_near(edges: Edges) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tiles that an edge may concern.

    Returns:
        The tiles (row * 65,536 + column); and pairs of a position in them and an edge.
    """
    first_column, first_row, columns, rows = _tile_ranges(edges)
    counts = columns * rows
    edge = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    tile = (first_row[edge] + step // columns[edge]) << 16
    tile += first_column[edge] + step % columns[edge]
    tiles, position = np.unique(tile, return_inverse=True)
    return tiles, position, edge


class _Builder:
    """The grid while it grows."""

    def __init__(self, boundaries: Boundaries, scale: int) -> None:
        n = len(boundaries.codes)
        self._scale = scale
        self._boundaries = boundaries
        self._exact = ExactPlacer(boundaries)
        self._edges = Edges.of(boundaries, scale)
        # Labels: undecided; none; region i; none but region i if said; none but undecided if said.
        numbers = np.arange(n)
        dtype = np.min_scalar_type(-max(n, 1))
        none = np.full(n, NONE)
        self._plain = np.concatenate([[UNDECIDED, NONE], numbers, none, [NONE]]).astype(dtype)
        self._said = np.concatenate([[UNDECIDED, NONE], numbers, numbers, [UNDECIDED]]).astype(
            dtype
        )
        self._records = Records(self._exact, self._edges, len(self._plain))
        self._patch_of_cell: dict[str, np.ndarray] = {}
        self._fills: list[tuple[Squares, np.ndarray]] = []

    def build(self) -> Grid:
        tiles, block, edge = _tiles_near(self._edges)
        squares = Squares(
            (tiles & 0xFFFF) * TILE_UNITS, (tiles >> 16) * TILE_UNITS, TILE_UNITS, block, edge
        )
        while squares.count:
            squares.measure(self._edges)
            values, decided = self._decide(squares)
            self._fills.append((squares.only(decided), values[decided]))
            squares = squares.only(~decided).split()
        return self._assemble(tiles)

    def _decide(self, squares: Squares) -> tuple[np.ndarray, np.ndarray]:
        """The values of squares, and which of them have one (others must be split)."""
        values = np.full(squares.count, UNDECIDED_LABEL, dtype=np.int64)
        outside = self._outside(squares)
        whole = np.flatnonzero(~squares.crossed)
        region, abroad = self._exact.cover(*squares.centres(self._scale, whole))
        values[whole] = np.where(region != NONE, region + 2, self._label(outside[whole], abroad))
        decided = np.zeros(squares.count, dtype=bool)
        decided[whole] = (region != NONE) | (outside[whole] != UNDECIDED)
        if squares.size <= PATCH:
            open_squares = np.flatnonzero(~decided)
            made, good = self._records.make(squares, open_squares, outside, self._label)
            values[open_squares[good]] = made[good]
            decided[open_squares[good]] = True
        if squares.size == 1:
            decided[:] = True
        return values, decided

    def _outside(self, squares: Squares) -> np.ndarray:
        """The answer of the points of a square that no polygon covers, or UNDECIDED."""
        tolerance = self._edges.tolerance
        if not tolerance:
            return np.full(squares.count, NONE, dtype=np.int64)
        within = (squares.nearest + squares.reach < tolerance) & squares.one_region
        return np.where(
            squares.nearest - squares.reach > tolerance,
            NONE,
            np.where(within, squares.region, UNDECIDED),
        )

    def _label(self, outside: np.ndarray, abroad: np.ndarray) -> np.ndarray:
        """The label of points that no region covers."""
        n = len(self._boundaries.codes)
        at_home = np.where(outside == UNDECIDED, UNDECIDED_LABEL, outside + 2)
        away = np.where(outside == UNDECIDED, 2 * n + 2, outside + 2 + n)
        return np.where(outside == NONE, NONE_LABEL, np.where(abroad, away, at_home))

    def _assemble(self, tiles: np.ndarray) -> Grid:
        lines, sides = self._records.tables()
        first_patch = len(sides)
        patched = [fill for fill in self._fills if fill[0].size < PATCH]
        cells_patched = np.unique(
            np.concatenate(
                [np.zeros(0, dtype=np.int64)]
                + [(squares.y >> 4 << 32) | (squares.x >> 4) for squares, _ in patched]
            )
        )
        dtype = np.uint16 if first_patch + len(cells_patched) < 65_536 else np.uint32
        patches = np.zeros(len(cells_patched) * PATCH * PATCH, dtype=dtype)
        for squares, values in patched:
            patch = np.searchsorted(cells_patched, (squares.y >> 4 << 32) | (squares.x >> 4))
            start = (patch * PATCH + (squares.y & 15)) * PATCH + (squares.x & 15)
            _fill(patches, start, squares.size, PATCH, values)

        # Tiles of one label share one constant tile.
        whole, labels = self._fills[0]
        whole_tiles = (whole.y // TILE_UNITS << 16) | (whole.x // TILE_UNITS)
        inner, inner_labels = self._inner_tiles()
        constant = np.unique(np.concatenate([[NONE_LABEL], inner_labels, labels]))
        mixed = np.setdiff1d(tiles, whole_tiles)
        cells = np.zeros((len(constant) + len(mixed)) * TILE * TILE, dtype=dtype)
        cells[: len(constant) * TILE * TILE] = np.repeat(constant, TILE * TILE)
        mixed_cells = cells[len(constant) * TILE * TILE :]
        for squares, values in self._fills[1:]:
            if squares.size >= PATCH:
                place = _cell_place(squares.x >> 4, squares.y >> 4, mixed)
                _fill(mixed_cells, place, squares.size // PATCH, TILE, values)
        place = _cell_place(cells_patched & 0xFFFFFFFF, cells_patched >> 32, mixed)
        mixed_cells[place] = first_patch + np.arange(len(cells_patched))

        columns, rows = tile_counts(self._scale)
        table = np.full(columns * rows, np.searchsorted(constant, NONE_LABEL), dtype=np.intp)
        for some, number in (
            (inner, np.searchsorted(constant, inner_labels)),
            (whole_tiles, np.searchsorted(constant, labels)),
            (mixed, len(constant) + np.arange(len(mixed))),
        ):
            table[(some >> 16) * columns + (some & 0xFFFF)] = number
        table *= TILE * TILE
        return Grid(
            scale=self._scale,
            tiles=table,
            cells=cells,
            patches=patches,
            lines=lines,
            sides=sides.astype(dtype).ravel(),
            plain=self._plain,
            said=self._said,
        )

    def _inner_tiles(self) -> tuple[np.ndarray, np.ndarray]:
        """Tiles in the boxes of the regions' polygons, and the labels of their centres.

        They matter where no edge comes near, deep in a large region.
        """
        tile_degrees = TILE / self._scale
        found = [np.zeros(0, dtype=np.int64)]
        for polygon, owner in zip(
            self._boundaries.polygons, self._boundaries.owners.tolist(), strict=True
        ):
            if owner != NONE:
                west, south, east, north = polygon.bounds
                columns = np.arange((west + 180) // tile_degrees, (east + 180) // tile_degrees + 1)
                rows = np.arange((south + 90) // tile_degrees, (north + 90) // tile_degrees + 1)
                tile = (rows.astype(np.int64)[:, None] << 16) | columns.astype(np.int64)
                found.append(tile.ravel())
        tiles = np.unique(np.concatenate(found))
        region, _ = self._exact.cover(
            ((tiles & 0xFFFF) + 0.5) * tile_degrees - 180, ((tiles >> 16) + 0.5) * tile_degrees - 90
        )
        return tiles, np.where(region == NONE, NONE_LABEL, region + 2)


def _cell_place(column: np.ndarray, row: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """Where cells lie among those of the mixed tiles."""
    tile = np.searchsorted(mixed, (row // TILE << 16) | (column // TILE))
    place: np.ndarray = (tile * TILE + row % TILE) * TILE + column % TILE
    return place


def _fill(
    target: np.ndarray, start: np.ndarray, size: int, columns: int, values: np.ndarray
) -> None:
    """Write values into squares of a side of `size` in rows of `columns`."""
    within = (np.arange(size)[:, None] * columns + np.arange(size)).ravel()
    target[start[:, None] + within] = values[:, None]
