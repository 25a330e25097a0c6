import gzip
import json

import pytest
import shapely

from geo import BoundariesError, RegionIndex
from geo.boundaries import Boundaries, dissolve, read_geojson

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}


def feature(geometry=POLYGON, **properties):
    properties = properties or {"code": "a"}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def polygon(*rings):
    return feature({"type": "Polygon", "coordinates": list(rings)})


def read(tmp_path, features, code_property="code", name_property=None):
    path = tmp_path / "b.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return read_geojson(path, code_property, name_property)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ([], "has no features: give a collection of at least one region"),
        (None, "has no features"),
        ([7], "feature 1 of .* is no GeoJSON Feature: give its object the type Feature"),
        ([{"type": "Thing"}], "feature 1 of .* is no GeoJSON Feature"),
        ([feature(name="x")], "'code' of feature 1 of .* is missing: choose .* has 'name'"),
        ([{"type": "Feature", "properties": None}], "is missing: choose .* has none at all"),
        ([feature(), feature(code=None)], "'code' of feature 2 of .* is None: choose"),
        ([feature(code=" ")], "'code' of feature 1 of .* is ' ': choose"),
        ([feature(code=True)], "is True: choose"),
        ([feature(code=1.5)], "is 1.5: choose"),
        ([feature(None)], r"feature 1 \(code 'a'\) of .* has no geometry: give it a Polygon"),
        ([feature("Polygon")], "has no geometry"),
        ([feature({"type": "Point", "coordinates": [0, 0]})], "is a Point: give it a Polygon or"),
        ([feature({"type": "GeometryCollection", "geometries": []})], "is a GeometryCollection"),
        ([feature({"type": "Polygon", "coordinates": []})], "has no coordinates: give it"),
        ([feature({"type": "MultiPolygon", "coordinates": []})], "has no coordinates"),
        ([feature({"type": "Polygon"})], "has no coordinates"),
        ([feature({"type": "MultiPolygon", "coordinates": [[]]})], "a polygon without rings"),
        ([feature({"type": "Polygon", "coordinates": SQUARE})], "no list of positions"),
        ([polygon("ring")], r"no list of positions: write \[longitude, latitude\]"),
        ([polygon([[0, 0], [1, "0"], [1, 1], [0, 0]])], "no list of positions"),
        ([polygon([[0, 0], [1, None], [1, 1], [0, 0]])], "no list of positions"),
        ([polygon([[0, 0], [1], [1, 1], [0, 0]])], "no list of positions"),
        ([polygon([[0, 0], [1, True], [1, 1], [0, 0]])], "no list of positions"),
        ([polygon([])], "not closed or has fewer than four positions: end each ring"),
        ([polygon([[0, 0], [1, 1], [0, 0]])], "not closed or has fewer than four"),
        ([polygon(SQUARE[:-1])], "not closed or has fewer than four"),
        ([polygon([[0, 0], [181, 0], [1, 1], [0, 0]])], r"the position \[181.0, 0.0\], which is"),
        ([polygon([[0, 0], [1, 91], [1, 1], [0, 0]])], r"\[1.0, 91.0\].*convert the file to WGS"),
        ([polygon([[0, 0], [1, float("nan")], [1, 1], [0, 0]])], "nan.*convert the file"),
        ([polygon([[0, 0], [float("inf"), 1], [1, 1], [0, 0]])], "inf.*convert the file"),
        ([polygon([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]])], "Self-intersection.*: repair its"),
        ([polygon([[0, 0], [0, 0], [0, 0], [0, 0]])], "is not valid .*: repair its rings"),
        ([polygon([[0, 0], [1, 1], [2, 2], [0, 0]])], "is not valid .*: repair its rings"),
        ([polygon(SQUARE, [[2, 2], [3, 2], [3, 3], [2, 2]])], "Hole lies outside shell"),
        (
            [feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]})],
            r"feature 1 \(code 'a'\) of .* is not valid",
        ),
    ],
)
def test_features_that_are_no_regions_are_refused_with_what_to_do(tmp_path, features, sentence):
    with pytest.raises(BoundariesError, match=sentence) as caught:
        read(tmp_path, features)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "b.geojson") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not JSON in UTF-8"),
        (b"{", "is not JSON in UTF-8"),
        (b'{"type": "\xff"}', "is not JSON in UTF-8"),
        (b"[" * 100_000, "is not JSON in UTF-8"),
        (b"[]", "is no GeoJSON FeatureCollection .'list' is its type.: give a file whose"),
        (b"null", "'NoneType' is its type"),
        (b'{"features": []}', "None is its type"),
        (b'{"type": "Polygon", "coordinates": []}', "'Polygon' is its type"),
        (b'"FeatureCollection"', "'str' is its type"),
        (gzip.compress(b"{}", mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8bnonsense", "cannot be read"),
        (gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 30, "cannot be read"),
    ],
)
def test_files_that_are_no_geojson_are_refused(tmp_path, content, sentence):
    path = tmp_path / "b.geojson"
    path.write_bytes(content)
    with pytest.raises(BoundariesError, match=sentence):
        RegionIndex.from_geojson(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(BoundariesError, match=r"there is no file .*nowhere: give the path"):
        RegionIndex.from_geojson(tmp_path / "nowhere")
    with pytest.raises(BoundariesError, match=r"cannot be read .*directory"):
        RegionIndex.from_geojson(str(tmp_path))
    good = tmp_path / "b.geojson"
    good.write_text(json.dumps({"type": "FeatureCollection", "features": [feature()]}))
    with pytest.raises(BoundariesError, match=r"there is no file .*elsewhere"):
        RegionIndex.from_geojson(good, neighbours=tmp_path / "elsewhere")


@pytest.mark.parametrize("tolerance", [-0.1, 10.1, float("nan"), float("inf")])
def test_tolerances_out_of_range_are_refused(tmp_path, tolerance):
    path = tmp_path / "b.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature()]}))
    with pytest.raises(BoundariesError, match="give one between 0 and 10 degrees"):
        RegionIndex.from_geojson(path, tolerance=tolerance)


def test_codes_and_names_are_taken_as_texts(tmp_path):
    features = [feature(code=7, name="x"), feature(code=" 08 ", name=" é ")]
    parts = read(tmp_path, features, name_property="name")
    assert [part[:2] for part in parts] == [("7", "x"), ("08", "é")]
    with pytest.raises(BoundariesError, match=r"'nom' of feature 1 \(code '7'\).*for the name"):
        read(tmp_path, features, name_property="nom")


def test_heights_and_a_byte_order_mark_are_ignored(tmp_path):
    raised = polygon([[*position, 100.0] for position in SQUARE])
    path = tmp_path / "b.geojson"
    text = json.dumps({"type": "FeatureCollection", "features": [raised]})
    path.write_text(text, encoding="utf-8-sig")
    ((_, _, (shape,)),) = read_geojson(path, "code")
    assert not shape.has_z
    assert shape.equals(shapely.box(0, 0, 1, 1))


def test_dissolving_removes_only_borders_that_fit():
    left, right = shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)
    assert len(dissolve([left, right])) == 1
    # A union would need new corners where the borders cross.
    assert dissolve([left, crossing := shapely.box(0.5, 0.5, 1.5, 1.5)]) == [left, crossing]
    assert [shape.area for shape in dissolve([left, shapely.box(5, 5, 6, 6)])] == [1.0, 1.0]
    assert [shape.area for shape in dissolve([left, left])] == [1.0]


def test_merged_features_keep_the_first_name():
    square = shapely.box(0, 0, 1, 1)
    boundaries = Boundaries.from_parts([("b", "x", [square]), ("a", "y", []), ("b", "z", [square])])
    assert (boundaries.codes, boundaries.names) == (("a", "b"), ("y", "x"))
    assert boundaries.owners.tolist() == [1]
