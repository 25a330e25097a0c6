"""The build script. Its source is 62 MB: name it in GEO_SOURCE to rebuild from it."""

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from geo import build as script
from geo.index import GRID, NEIGHBOURS, REGIONS

RING = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]


def area(west, country, region="", kind="Polygon"):
    ring = [[x + west, y] for x, y in RING]
    coordinates = [ring] if kind == "Polygon" else [[ring], [[[x + 50, y] for x, y in ring]]]
    return {
        "type": "Feature",
        "properties": {"adm0_a3": country, "admin": f"Land {country}", "region_cod": region},
        "geometry": {"type": kind, "coordinates": coordinates},
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(script, "DATA", tmp_path)
    for name in ("REGIONS", "NEIGHBOURS", "GRID"):
        path = tmp_path / getattr(script, name).name
        monkeypatch.setattr(script, name, path)
        monkeypatch.setattr(f"geo.index.{name}", path)
    return tmp_path


def write_source(folder, monkeypatch, features):
    path = folder / "build.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(script, "SOURCE_SHA256", digest)
    return path


def read(path):
    return json.loads(gzip.decompress(path.read_bytes()))["features"]


def test_regions_are_dissolved_and_near_neighbours_kept(folder, monkeypatch, capsys):
    source = write_source(
        folder,
        monkeypatch,
        [
            area(0, "FRA", "FR-IDF\t"),
            area(1, "FRA", "FR-IDF"),
            area(2, "FRA", "FR-CVL"),
            area(3, "BEL", kind="MultiPolygon"),
            area(4.2, "BEL"),
            {**area(0, "BEL"), "geometry": None},
        ],
    )
    assert script.main(["--source", str(source)]) == 0
    assert "grid.npz" in capsys.readouterr().out
    first, second = read(script.REGIONS)
    assert first["properties"] == {"code": "11", "name": "Île-de-France"}
    assert first["geometry"]["type"] == "Polygon"
    assert {tuple(point) for point in first["geometry"]["coordinates"][0]} == {
        (x, y) for x in (0.0, 1.0, 2.0) for y in (0.0, 1.0)
    }
    assert second["properties"]["code"] == "24"
    # Of Belgium only the polygon that touches: not the far one, nor the area beyond 0.1°.
    (belgium,) = read(script.NEIGHBOURS)
    assert belgium["properties"] == {"code": "BEL", "name": "Land BEL"}
    assert belgium["geometry"]["type"] == "Polygon"
    assert {x for x, _ in belgium["geometry"]["coordinates"][0]} == {3.0, 4.0}


def test_package_is_read_as_its_file_and_gives_the_same_bytes(folder, monkeypatch):
    source = write_source(folder, monkeypatch, [area(0, "FRA", "FR-IDF"), area(1, "BEL")])
    script.build(source)
    paths = (script.REGIONS, script.NEIGHBOURS, script.GRID)
    first = [path.read_bytes() for path in paths]
    with tarfile.open(folder / "package.tgz", "w:gz") as archive:
        archive.add(source, script.MEMBER)
    script.build(folder / "package.tgz")
    assert [path.read_bytes() for path in paths] == first


def test_another_source_is_refused(folder, capsys):
    path = folder / "build.json"
    path.write_text("{}")
    assert script.main(["--source", str(path)]) == 1
    assert "The boundaries were not built: the SHA-256 of" in capsys.readouterr().err
    assert script.main(["--source", str(folder / "nothing.tgz")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_without_npm_the_source_must_be_named(folder, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(folder))
    assert script.main([]) == 1
    assert "there is no npm here: install it, or name" in capsys.readouterr().err


def test_provenance_names_the_source():
    text = (GRID.parent / "README.md").read_text(encoding="utf-8")
    assert script.SOURCE_SHA256 in text
    assert "public domain" in text


@pytest.mark.slow
def test_embedded_files_are_those_of_the_source(folder):
    source = os.environ.get("GEO_SOURCE")
    if source is None:
        pytest.skip("GEO_SOURCE does not name the package or its data/build.json")
    script.build(Path(source))
    for path in (REGIONS, NEIGHBOURS, GRID):
        assert (folder / path.name).read_bytes() == path.read_bytes()
