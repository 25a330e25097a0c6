import numpy as np
from geo_reference import Reference, hard_points

from geo.build_grid import build_grid
from geo.grid import UNDECIDED
from geo.index import GRID, default_boundaries
from geo.storage import ARRAYS, load_grid, save_grid


def test_embedded_grid_is_the_one_of_the_embedded_boundaries():
    codes, names, stored = load_grid(GRID)
    boundaries = default_boundaries()
    assert (codes, names) == (boundaries.codes, boundaries.names)
    built = build_grid(boundaries)
    assert built.scale == stored.scale
    # Another processor may round a coefficient otherwise, and so number some records otherwise.
    x, y = hard_points(Reference.of_france(), 1_000, seed=3)
    said = np.ones(len(x), dtype=bool)
    for flags in (None, said):
        one, other = np.empty(len(x), dtype=np.int8), np.empty(len(x), dtype=np.int8)
        built.locate(x, y, flags, one)
        stored.locate(x, y, flags, other)
        both = (one != UNDECIDED) & (other != UNDECIDED)
        assert both.mean() > 0.3
        assert (one[both] == other[both]).all()
        assert (one == other).mean() > 0.999


def test_few_points_where_people_live_are_left_undecided():
    *_, grid = load_grid(GRID)
    reference, random = Reference.of_france(), np.random.default_rng(4)
    start, end = reference.edges()
    pick = random.integers(len(start), size=200_000)
    border = start[pick] + random.random((200_000, 1)) * (end[pick] - start[pick])
    for degrees, share in ((0.01, 0.002), (0.1, 0.002)):
        x, y = np.ascontiguousarray((border + random.uniform(-degrees, degrees, border.shape)).T)
        answers = np.empty(len(x), dtype=np.int8)
        grid.locate(x, y, None, answers)
        assert (answers == UNDECIDED).mean() < share


def test_stored_grid_is_read_back_whole(tmp_path):
    codes, names, grid = load_grid(GRID)
    save_grid(tmp_path / "grid.npz", codes, names, grid)
    again_codes, again_names, again = load_grid(tmp_path / "grid.npz")
    assert (again_codes, again_names, again.scale) == (codes, names, grid.scale)
    for name in ("tiles", *ARRAYS):
        one, other = getattr(grid, name), getattr(again, name)
        assert one.dtype == other.dtype
        assert (one == other).all()
