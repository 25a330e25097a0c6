"""What the index must answer, by plain shapely, and points on which it could go wrong."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

import numpy as np
import shapely

from geo.index import NEIGHBOURS, REGIONS


@dataclass
class Reference:
    """Regions as shapely geometries in the order of their codes; slow and plain."""

    regions: list
    neighbours: list
    tolerance: float

    @classmethod
    def of_france(cls) -> Reference:
        return cls(_shapes(REGIONS), _shapes(NEIGHBOURS), 0.07)

    def locate(self, longitudes, latitudes, said_in_france=None):
        points = shapely.points(longitudes, latitudes)
        answers = np.full(len(points), -1)
        shapely.prepare(self.regions)
        shapely.prepare(self.neighbours)
        for number, region in reversed(list(enumerate(self.regions))):
            answers[shapely.covers(region, points)] = number
        free = answers == -1
        for neighbour in self.neighbours:
            abroad = shapely.covers(neighbour, points)
            free &= ~abroad if said_in_france is None else ~abroad | said_in_france
        if not self.tolerance:
            # A point beside an edge may have the rounded distance 0.
            return answers
        least = np.full(len(points), np.inf)
        for number, region in enumerate(self.regions):
            west, south, east, north = region.bounds
            rest = np.flatnonzero(
                free
                & (longitudes >= west - self.tolerance - 0.01)
                & (longitudes <= east + self.tolerance + 0.01)
                & (latitudes >= south - self.tolerance - 0.01)
                & (latitudes <= north + self.tolerance + 0.01)
            )
            distance = shapely.distance(region, points[rest])
            better = (distance <= self.tolerance) & (distance < least[rest])
            least[rest[better]] = distance[better]
            answers[rest[better]] = number
        return answers

    @property
    def shapes(self):
        return np.array([*self.regions, *self.neighbours], dtype=object)

    def edges(self):
        """Both ends of every edge of every polygon."""
        rings = shapely.get_rings(shapely.get_parts(self.shapes))
        points, ring = shapely.get_coordinates(rings, return_index=True)
        same = (ring[1:] == ring[:-1]) & (points[1:] != points[:-1]).any(axis=1)
        return points[:-1][same], points[1:][same]


def _shapes(path):
    features = json.loads(gzip.decompress(path.read_bytes()))["features"]
    features.sort(key=lambda feature: feature["properties"]["code"])
    return [shapely.geometry.shape(feature["geometry"]) for feature in features]


def hard_points(reference: Reference, count: int, seed: int, scale: int = 128):
    """Points of each hard kind, `count` of each, none beyond the world."""
    random = np.random.default_rng(seed)
    start, end = reference.edges()
    vertices = np.unique(start, axis=0)
    pick = random.integers(len(start), size=count)
    a, b = start[pick], end[pick]
    along = a + random.random((count, 1)) * (b - a)
    normal = (b - a)[:, ::-1] * (-1, 1)
    normal = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    side = random.choice([-1.0, 1.0], size=(count, 1))
    tiny = 10.0 ** random.uniform(-16, -1, (count, 1))
    angle = random.uniform(0, 2 * np.pi, count)
    round_about = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = random.integers(1, 7, (count, 1))
    loose = along + random.normal(0, 0.03, (count, 2))
    cells = np.array([scale, scale * 16])[random.integers(2, size=(count, 1))]
    on_cells = np.round(loose * cells) / cells
    kinds = {
        "vertices": a,
        "near vertices": a + round_about * tiny,
        "on edges": along,
        "middles of edges": (a + b) / 2,
        "near edges": along + normal * side * tiny,
        "at the tolerance of edges": along + normal * side * (reference.tolerance + tiny * side),
        "exactly at the tolerance": a
        + np.eye(2)[random.integers(2, size=count)] * side * reference.tolerance,
        "at the tolerance of vertices": a + round_about * (reference.tolerance - side * tiny),
        "within a kilometre": along + random.uniform(-0.01, 0.01, (count, 2)),
        "within ten kilometres": along + random.uniform(-0.1, 0.1, (count, 2)),
        "on corners of cells": on_cells,
        "beside corners of cells": np.nextafter(on_cells, on_cells + side),
        "on sides of cells": np.stack([on_cells[:, 0], loose[:, 1]], axis=1),
        "rounded": np.round(loose, 1) * (places == 1)
        + sum(np.round(loose, k) * (places == k) for k in range(2, 7)),
        "near vertices of three": _junctions(vertices, reference, random, count)
        + round_about * tiny,
        "world": random.uniform((-180, -90), (180, 90), (count, 2)),
    }
    points = np.concatenate(list(kinds.values()))
    return np.ascontiguousarray(points[(np.abs(points) <= (180, 90)).all(axis=1)].T)


def _junctions(vertices, reference, random, count):
    """Vertices that most shapes share."""
    tree = shapely.STRtree(reference.shapes)
    point, _ = tree.query(shapely.points(vertices), predicate="intersects")
    shared = np.bincount(point, minlength=len(vertices))
    most = vertices[shared >= min(3, shared.max())]
    return most[random.integers(len(most), size=count)]
