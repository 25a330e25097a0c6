"""The boundaries that the main job embeds, as an expert would read them for shapely."""

from __future__ import annotations

import gzip
import json
import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely

from geo.index import NEIGHBOURS, REGIONS, TOLERANCE

__all__ = ["Regions", "read_regions"]


@dataclass(frozen=True)
class Regions:
    """Polygons that points can be placed in.

    Attributes:
        codes: of the regions, sorted.
        polygons: of the regions, in the order of the codes, prepared for shapely's predicates.
        bounds: west, south, east and north of each region, in degrees.
        neighbours: areas of the countries around, prepared; none if they were not asked for.
        tolerance: degrees within which a point in no polygon belongs to the nearest region.
    """

    codes: list[str]
    polygons: list[Any]
    bounds: list[list[float]]
    neighbours: list[Any]
    tolerance: float = TOLERANCE


def _features(path: Path) -> list[tuple[str, Any]]:
    features = json.loads(gzip.decompress(path.read_bytes()))["features"]
    named = [
        (str(feature["properties"]["code"]), shapely.from_geojson(json.dumps(feature["geometry"])))
        for feature in features
    ]
    return sorted(named, key=operator.itemgetter(0))


def read_regions(*, neighbours: bool = False) -> Regions:
    """Reads the boundaries.

    Args:
        neighbours: also those of the countries around.

    Returns:
        The 18 regions of France.
    """
    codes, polygons = zip(*_features(REGIONS), strict=True)
    around = [area for _, area in _features(NEIGHBOURS)] if neighbours else []
    shapely.prepare(polygons)
    shapely.prepare(around)
    return Regions(list(codes), list(polygons), shapely.bounds(polygons).tolist(), around)
