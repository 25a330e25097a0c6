"""`RegionIndex.from_geojson`, and the grid it builds for any boundaries."""

import gzip
import json
import pickle

import numpy as np
import pytest
import shapely
from geo_reference import Reference, hard_points
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo import RegionIndex
from geo.boundaries import Boundaries, read_geojson
from geo.build_grid import build_grid
from geo.index import NEIGHBOURS, REGIONS

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
HOLE = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75], [0.25, 0.25]]


def write(path, *features):
    collection = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": properties,
                "geometry": shapely.geometry.mapping(shape),
            }
            for properties, shape in features
        ],
    }
    path.write_text(json.dumps(collection))
    return path


def box(code, *bounds, **more):
    return {"code": code, **more}, shapely.box(*bounds)


def test_codes_are_sorted_and_names_are_of_the_named_property(tmp_path):
    path = write(
        tmp_path / "b.geojson", box("b", 0, 0, 1, 1, nom="Bé"), box(7, 2, 0, 3, 1, nom="7e")
    )
    index = RegionIndex.from_geojson(path, code_property="code", name_property="nom")
    assert (index.codes, index.names) == (("7", "b"), ("7e", "Bé"))
    assert index.assign([0.5, 2.5, 1.5], [0.5] * 3).tolist() == ["b", "7", None]
    assert RegionIndex.from_geojson(str(path)).names == ("7", "b")


def test_holes_are_outside_and_their_borders_inside(tmp_path):
    path = write(tmp_path / "b.geojson", ({"code": "a"}, shapely.Polygon(SQUARE, [HOLE])))
    index = RegionIndex.from_geojson(path)
    points = [(0.1, 0.1), (0.5, 0.5), (0.25, 0.5), (0.25 + 1e-12, 0.5), (1, 1), (1 + 1e-12, 1)]
    assert index.assign(*zip(*points, strict=True)).tolist() == ["a", None, "a", None, "a", None]


def test_shared_borders_and_overlaps_go_to_the_first_code(tmp_path):
    path = write(
        tmp_path / "b.geojson",
        box("c", 0.5, 0, 1.5, 1),
        box("b", 0, 0, 1, 1),
        box("a", 1.5, 0, 2, 1),
    )
    index = RegionIndex.from_geojson(path)
    assert index.assign([0.25, 0.75, 1.25, 1.5], [0.5] * 4).tolist() == ["b", "b", "c", "a"]


def test_features_of_one_code_are_one_region(tmp_path):
    far = shapely.MultiPolygon([shapely.box(5, 5, 6, 6), shapely.box(7, 5, 8, 6)])
    path = write(
        tmp_path / "b.geojson",
        box("a", 0, 0, 1, 1),
        box("a", 1, 0, 2, 1),
        box("a", 1.5, 0.5, 3, 2),
        ({"code": "a"}, far),
    )
    index = RegionIndex.from_geojson(path)
    assert index.codes == ("a",)
    points = [(0.5, 0.5), (1.0, 0.5), (2.5, 1.5), (5.5, 5.5), (7.5, 5.5), (6.5, 5.5)]
    assert index.assign(*zip(*points, strict=True)).tolist() == ["a"] * 5 + [None]


def test_tolerance_and_neighbours(tmp_path):
    path = write(tmp_path / "b.geojson", box("a", 0, 0, 1, 1), box("b", 1.5, 0, 2.5, 1))
    abroad = write(tmp_path / "n.geojson", ({}, shapely.box(0, 1, 1, 2)))
    exact = RegionIndex.from_geojson(path)
    loose = RegionIndex.from_geojson(path, tolerance=0.25, neighbours=abroad)
    # Binary fractions: distances are exact, and so are ties.
    points = [(1.125, 0.5), (1.25, 0.5), (1.375, 0.5), (0.5, -0.25), (0.5, -0.2501), (0.5, 1.125)]
    longitudes, latitudes = zip(*points, strict=True)
    assert exact.assign(longitudes, latitudes).tolist() == [None] * 6
    assert loose.assign(longitudes, latitudes).tolist() == ["a", "a", "b", "a", None, None]
    assert loose.assign([0.5, 0.5], [1.125, 1.3], [True, True]).tolist() == ["a", None]


def test_gzipped_files_are_read(tmp_path):
    plain = write(tmp_path / "b.geojson", box("a", 0, 0, 1, 1))
    path = tmp_path / "b.geojson.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    assert RegionIndex.from_geojson(path).assign([0.5], [0.5]).tolist() == ["a"]


def test_custom_index_pickles_whole(tmp_path):
    index = RegionIndex.from_geojson(write(tmp_path / "b.geojson", box("a", 0, 0, 1, 1)))
    again = pickle.loads(pickle.dumps(index))  # noqa: S301
    assert again.assign([0.5, 1.0, 2.0], [0.5] * 3).tolist() == ["a", "a", None]


def test_whole_world_and_its_edges(tmp_path):
    path = write(tmp_path / "b.geojson", box("e", 0, -90, 180, 90), box("w", -180, -90, 0, 90))
    index = RegionIndex.from_geojson(path)
    longitudes = [-180, -179.99, -90, 0, 90, 180, 180.1]
    for latitude in (-90, 0, 89.999, 90):
        codes = index.assign(longitudes, [latitude] * 7).tolist()
        assert codes == ["w", "w", "w", "e", "e", "e", None]


@pytest.mark.parametrize(("columns", "dtype"), [(128, np.int8), (130, np.int16)])
def test_positions_have_the_smallest_type_that_holds_them(tmp_path, columns, dtype):
    boxes = [box(f"{i:05}", i / 128, 0, (i + 1) / 128, 1 / 128) for i in range(columns)]
    index = RegionIndex.from_geojson(write(tmp_path / "b.geojson", *boxes))
    x = (np.arange(columns) + 0.5) / 128
    numbers = index.locate(x, np.full(columns, 1 / 256))
    assert numbers.dtype == dtype
    assert numbers.tolist() == list(range(columns))


@pytest.mark.slow
def test_more_regions_than_two_bytes_can_count():
    xs, ys = np.meshgrid(np.arange(200) / 200, np.arange(170) / 200)
    cells = shapely.box(xs.ravel(), ys.ravel(), xs.ravel() + 0.005, ys.ravel() + 0.005)
    parts = [(f"{i:05}", "", [cell]) for i, cell in enumerate(cells)]
    index = RegionIndex._of(boundaries := Boundaries.from_parts(parts), build_grid(boundaries))
    numbers = index.locate(xs.ravel() + 0.0025, ys.ravel() + 0.0025)
    assert numbers.tolist() == list(range(34_000))


def test_polygon_thinner_than_the_grid_can_tell_is_found(tmp_path):
    tiny = 2.0**-51
    thin = shapely.Polygon([(1, 1), (1 + tiny, 1), (1 + tiny, 1 + tiny), (1, 1 + tiny)])
    index = RegionIndex.from_geojson(write(tmp_path / "b.geojson", ({"code": "a"}, thin)))
    longitudes = [1, 1 + tiny, 1 + 2 * tiny, 1 - tiny]
    assert index.assign(longitudes, [1] * 4).tolist() == ["a", "a", None, None]


coordinate = st.floats(-1, 1, allow_nan=False)


@st.composite
def stars(draw):
    """Valid polygons of few corners, some on round numbers, some with a hole."""
    corners = draw(st.integers(3, 9))
    radii = draw(st.lists(st.floats(0.02, 0.6), min_size=corners, max_size=corners))
    turn = draw(st.floats(0, 1))
    angles = (np.arange(corners) + turn) / corners * 2 * np.pi
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(radii)[:, None]
    centre = np.array([draw(coordinate), draw(coordinate)])
    digits = draw(st.sampled_from([1, 2, 15]))
    holes = [np.round(ring * 0.4 + centre, digits)] if draw(st.booleans()) else []
    polygon = shapely.Polygon(np.round(ring + centre, digits), holes)
    return polygon if polygon.is_valid and polygon.area else shapely.box(*centre, *(centre + 0.25))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(stars(), min_size=1, max_size=4),
    st.lists(stars(), max_size=2),
    st.sampled_from([0.0, 0.0, 0.001, 0.0625, 0.07, 0.3]),
    st.sampled_from([(0, 0), (2.5, 46.5), (-178.4, -88.4), (178.4, 88.4)]),
    st.integers(0, 2**32),
)
def test_any_boundaries_agree_with_shapely(regions, neighbours, tolerance, corner, seed):
    regions, neighbours = (
        [shapely.transform(shape, lambda points: points + corner) for shape in shapes]
        for shapes in (regions, neighbours)
    )
    parts = [(f"{i}", "", [shape]) for i, shape in enumerate(regions)]
    boundaries = Boundaries.from_parts(parts, neighbours, tolerance)
    index = RegionIndex._of(boundaries, build_grid(boundaries))
    reference = Reference(regions, neighbours, tolerance)
    x, y = hard_points(reference, 60, seed)
    said = np.random.default_rng(seed).random(len(x)) < 0.5
    for flags in (None, said):
        answers = index.locate(x, y, flags)
        wrong = np.flatnonzero(answers != reference.locate(x, y, flags))
        assert [(x[i], y[i], answers[i]) for i in wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.5])
def test_other_tolerances_agree_with_shapely(tolerance):
    index = RegionIndex.from_geojson(REGIONS, "code", "name", tolerance, NEIGHBOURS)
    reference = Reference.of_france()
    reference.tolerance = tolerance
    x, y = hard_points(reference, 5_000, seed=9)
    assert (index.locate(x, y) == reference.locate(x, y)).all()


@pytest.mark.slow
def test_large_and_crooked_boundaries_agree_with_shapely():
    random = np.random.default_rng(5)
    corners = random.uniform((-170, -80), (170, 80), (300, 2))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.MultiPoint(corners)))
    cells = shapely.intersection(cells, shapely.box(-180, -90, 180, 90))
    crooked = shapely.buffer(shapely.points(corners), 0.3, quad_segs=64)
    parts = [(f"{i:03}", "", [cell]) for i, cell in enumerate([*crooked, *cells])]
    boundaries = Boundaries.from_parts(parts, tolerance=0.07)
    index = RegionIndex._of(boundaries, build_grid(boundaries))
    assert index._grid.scale < 128
    reference = Reference([*crooked, *cells], [], 0.07)
    x, y = hard_points(reference, 1_000, seed=6, scale=index._grid.scale)
    assert (index.locate(x, y) == reference.locate(x, y)).all()


def test_embedded_files_can_be_read_as_any_others():
    parts = read_geojson(REGIONS, "code", "name")
    assert len(parts) == 18
    assert ("53", "Bretagne") in [part[:2] for part in parts]
