"""Stores a grid in a file that loads fast."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from geo.grid import TILE, Grid

ARRAYS: Final = ("cells", "patches", "lines", "sides", "plain", "said")


def save_grid(path: Path, codes: tuple[str, ...], names: tuple[str, ...], grid: Grid) -> None:
    """Write a grid and the codes and names of its regions.

    Args:
        path: An `.npz` file to write.
        codes: Codes of the regions, in the grid's order.
        names: Names of the regions.
        grid: What to write.
    """
    np.savez_compressed(
        path,
        allow_pickle=False,
        codes=np.array(codes),
        names=np.array(names),
        scale=np.int32(grid.scale),
        tiles=(grid.tiles // (TILE * TILE)).astype(np.uint32),
        **{name: getattr(grid, name) for name in ARRAYS},
    )


def load_grid(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], Grid]:
    """Read what `save_grid` wrote.

    Args:
        path: The `.npz` file.

    Returns:
        Codes, names and grid.
    """
    with np.load(path, allow_pickle=False) as stored:
        grid = Grid(
            scale=int(stored["scale"]),
            tiles=stored["tiles"].astype(np.intp) * (TILE * TILE),
            **{name: stored[name] for name in ARRAYS},
        )
        return tuple(stored["codes"].tolist()), tuple(stored["names"].tolist()), grid
