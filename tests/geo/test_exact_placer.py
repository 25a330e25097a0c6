import numpy as np
import pytest
import shapely
from geo_reference import Reference, hard_points

from geo.exact import ExactPlacer
from geo.index import default_boundaries


@pytest.fixture(scope="module")
def placer():
    return ExactPlacer(default_boundaries())


def test_exact_placer_agrees_with_plain_shapely(placer):
    reference = Reference.of_france()
    x, y = hard_points(reference, 500, seed=1)
    said = np.arange(len(x)) % 2 == 0
    assert (placer.place(x, y, None) == reference.locate(x, y)).all()
    assert (placer.place(x, y, said) == reference.locate(x, y, said)).all()


def test_distance_to_pieces_is_the_distance_to_the_region_to_the_last_bit(placer):
    reference = Reference.of_france()
    x, y = hard_points(reference, 500, seed=2)
    (point, piece), found = placer._piece_tree.query_nearest(
        shapely.points(x, y), max_distance=0.07, return_distance=True, all_matches=False
    )
    regions = np.array(reference.regions, dtype=object)[placer._piece_owners[piece]]
    expected = shapely.distance(regions, shapely.points(x[point], y[point]))
    outside = expected > 0
    assert outside.sum() > 500
    assert (found[outside] == expected[outside]).all()


def test_no_points_are_placed_nowhere(placer):
    assert placer.place(np.zeros(0), np.zeros(0), None).tolist() == []
