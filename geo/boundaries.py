"""Region boundaries: the polygons of each region, read from GeoJSON and checked."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

if TYPE_CHECKING:
    from shapely import Polygon

GZIP_MAGIC: Final = b"\x1f\x8b"


class BoundariesError(ValueError):
    """Boundaries that cannot be used; the message is one sentence that says what to do."""


@dataclass(frozen=True)
class Boundaries:
    """The polygons of the regions and of the countries around them.

    Attributes:
        codes: Region codes, sorted; a region's position here is its number.
        names: Region names, in the order of the codes.
        polygons: Simple polygons (holes allowed) in WGS 84 degrees, of regions and neighbours.
        owners: For each polygon the number of its region, or -1 for a neighbouring country.
        tolerance: Degrees (plane distance) within which a point in no polygon belongs to the
            nearest region; 0 places only what the polygons cover.
    """

    codes: tuple[str, ...]
    names: tuple[str, ...]
    polygons: list[Polygon] = field(repr=False)
    owners: np.ndarray = field(repr=False)
    tolerance: float

    @classmethod
    def from_parts(
        cls,
        parts: Iterable[tuple[str, str, list[Polygon]]],
        neighbours: Sequence[Polygon] = (),
        tolerance: float = 0.0,
    ) -> Boundaries:
        """Merge parts of the same code and sort the regions by code.

        Args:
            parts: Code, name and polygons of each feature; the first name of a code is kept.
            neighbours: Polygons of the countries around.
            tolerance: Degrees, see the class.
        """
        if not (math.isfinite(tolerance) and 0 <= tolerance <= 10):
            _fail(f"the tolerance is {tolerance}: give one between 0 and 10 degrees")
        names: dict[str, str] = {}
        merged: dict[str, list[Polygon]] = {}
        for code, name, polygons in parts:
            names.setdefault(code, name)
            merged.setdefault(code, []).extend(polygons)
        codes = tuple(sorted(merged))
        every: list[Polygon] = []
        owners: list[int] = []
        for number, code in enumerate(codes):
            dissolved = dissolve(merged[code])
            every += dissolved
            owners += [number] * len(dissolved)
        around = dissolve(neighbours)
        return cls(
            codes=codes,
            names=tuple(names[code] for code in codes),
            polygons=every + around,
            owners=np.array(owners + [-1] * len(around), dtype=np.int32),
            tolerance=float(tolerance),
        )


def dissolve(polygons: Sequence[Polygon]) -> list[Polygon]:
    """Remove the borders between polygons that fit together.

    Where the union would have to move a border (overlaps, slivers that cross), the polygons are
    given back as they are: what covers a point must not change by a rounding.

    Args:
        polygons: Valid polygons.

    Returns:
        Polygons that cover the same points.
    """
    import shapely  # noqa: PLC0415 - a third of a second that look-ups do not need

    if len(polygons) < 2:
        return list(polygons)
    union = shapely.union_all(np.array(polygons, dtype=object))
    known = _edges(polygons)
    parts = [part for part in shapely.get_parts(union) if part.geom_type == "Polygon"]
    return parts if _edges(parts) <= known else list(polygons)


def _edges(polygons: Sequence[Polygon]) -> set[bytes]:
    edges: set[bytes] = set()
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.interiors):
            points = np.asarray(ring.coords)[:, :2]
            pairs = np.stack([points[:-1], points[1:]], axis=1)
            swap = (pairs[:, 0, 0] > pairs[:, 1, 0]) | (
                (pairs[:, 0, 0] == pairs[:, 1, 0]) & (pairs[:, 0, 1] > pairs[:, 1, 1])
            )
            pairs[swap] = pairs[swap][:, ::-1]
            edges.update(pair.tobytes() for pair in pairs)
    return edges


def read_geojson(
    path: str | Path, code_property: str | None, name_property: str | None = None
) -> list[tuple[str, str, list[Polygon]]]:
    """Read the features of a GeoJSON file, plain or gzipped.

    Args:
        path: A FeatureCollection of Polygons and MultiPolygons (RFC 7946, WGS 84 degrees). A
            polygon across the antimeridian must be cut there, as the RFC asks.
        code_property: The property that holds a feature's code (a text or a whole number); without
            it the code is the feature's number in the file.
        name_property: The property that holds its name; without it the name is the code.

    Returns:
        Code, name and polygons of each feature, in the file's order.

    Raises:
        BoundariesError: The file is missing or is not such a collection.
    """
    path = Path(path)
    document = _load(path)
    kind = document.get("type") if isinstance(document, dict) else type(document).__name__
    if kind != "FeatureCollection" or not isinstance(document, dict):
        _fail(
            f"{path} is no GeoJSON FeatureCollection ({kind!r} is its type): "
            "give a file whose outermost object has the type FeatureCollection"
        )
    features = document.get("features")
    if not isinstance(features, list) or not features:
        _fail(f"{path} has no features: give a collection of at least one region")
    parts = []
    for number, feature in enumerate(features, start=1):
        where = f"feature {number} of {path}"
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            _fail(f"{where} is no GeoJSON Feature: give its object the type Feature")
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        code = _text(properties, code_property, "code", where) if code_property else str(number)
        where = f"feature {number} (code {code!r}) of {path}"
        name = _text(properties, name_property, "name", where) if name_property else code
        parts.append((code, name, _polygons(feature.get("geometry"), where)))
    return parts


def _fail(sentence: str) -> NoReturn:
    raise BoundariesError(sentence)


def _load(path: Path) -> Any:
    try:
        content = path.read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
    except FileNotFoundError:
        _fail(f"there is no file {path}: give the path of a GeoJSON file")
    except (OSError, EOFError, zlib.error) as error:
        _fail(f"{path} cannot be read ({error}): give a readable GeoJSON file")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        _fail(f"{path} is not JSON in UTF-8 ({error}): give a GeoJSON file")


def _text(properties: dict[str, Any], name: str, role: str, where: str) -> str:
    value = properties.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    found = f"is {value!r}" if name in properties else "is missing"
    others = ", ".join(map(repr, list(properties)[:20])) or "none at all"
    _fail(
        f"the property {name!r} of {where} {found}: choose for the {role} a property that is "
        f"a text or a whole number in every feature (this one has {others})"
    )


def _polygons(geometry: Any, where: str) -> list[Polygon]:
    import shapely  # noqa: PLC0415

    if not isinstance(geometry, dict):
        _fail(f"{where} has no geometry: give it a Polygon or remove it")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        _fail(f"{where} is a {kind}: give it a Polygon or a MultiPolygon, or remove it")
    if not isinstance(coordinates, list) or not coordinates:
        _fail(f"{where} has no coordinates: give it a Polygon or remove it")
    polygons = []
    for rings in coordinates if kind == "MultiPolygon" else [coordinates]:
        if not isinstance(rings, list) or not rings:
            _fail(f"{where} has a polygon without rings: remove that polygon")
        shell, *holes = (_ring(ring, where) for ring in rings)
        polygons.append(shapely.Polygon(shell, holes))
    whole = polygons[0] if kind == "Polygon" else shapely.MultiPolygon(polygons)
    if not shapely.is_valid(whole):
        _fail(f"{where} is not valid ({shapely.is_valid_reason(whole)}): repair its rings")
    return polygons


def _ring(ring: Any, where: str) -> np.ndarray:
    if not isinstance(ring, list) or not all(map(_is_position, ring)):
        _fail(f"{where} has a ring that is no list of positions: write [longitude, latitude]")
    points = np.array([position[:2] for position in ring], dtype=np.float64).reshape(-1, 2)
    for x, y in points[~(np.abs(points) <= (180, 90)).all(axis=1)].tolist():
        _fail(
            f"{where} has the position [{x}, {y}], which is no longitude within ±180 and latitude "
            "within ±90: convert the file to WGS 84 degrees (EPSG:4326), longitude first"
        )
    if len(points) < 4 or (points[0] != points[-1]).any():
        _fail(
            f"{where} has a ring that is not closed or has fewer than four positions: "
            "end each ring with its first position"
        )
    return points


def _is_position(position: Any) -> bool:
    return (
        isinstance(position, list)
        and len(position) >= 2
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in position[:2])
    )
