"""AssignRegions: each reading gets its region, and what has none is counted and kept."""

from __future__ import annotations

import datetime
import functools
import json

import apache_beam as beam
import pytest

from geo import RegionIndex
from schemas.reading import PLACED_READINGS
from tests.support.pipelines import assert_rows, one_thread
from transforms import AssignRegions, BatchReadings, HourlyMeans
from transforms.assign_regions import MOST_REGIONS, assign_regions
from transforms.balance import read_balance
from transforms.batches import batch_rows

NOON = datetime.datetime(2019, 2, 19, 12, tzinfo=datetime.UTC)
PLACES = {
    "Toulouse": (1.444, 43.6045, "76", "Occitanie"),
    "Paris": (2.3522, 48.8566, "11", "Île-de-France"),
    "Ajaccio": (8.7386, 41.9192, "94", "Corse"),
    "Cayenne": (-52.3135, 4.9224, "03", "Guyane"),
    "Saint-Denis": (55.4504, -20.8789, "04", "La Réunion"),
    "Mamoudzou": (45.2279, -12.7806, "06", "Mayotte"),
    "the Atlantic": (-30.0, 45.0, None, None),
    "Madrid": (-3.7038, 40.4168, None, None),
    "Geneva": (6.1432, 46.2044, None, None),
    "nowhere": (None, None, None, None),
    "half a place": (None, 45.0, None, None),
    "the other half": (3.0, None, None, None),
}


def rows():
    return [
        {"id": name, "event_time": NOON, "value": 1.0, "longitude": longitude, "latitude": latitude}
        for name, (longitude, latitude, *_) in PLACES.items()
    ]


def check(found):
    assert {row["id"]: (row["region_code"], row["region"]) for row in found} == {
        name: (code, region) for name, (_, _, code, region) in PLACES.items()
    }


def test_a_batch_gets_the_regions_of_its_places():
    placed = assign_regions(batch_rows(rows()), RegionIndex.default())
    assert placed.schema == PLACED_READINGS
    placed.validate(full=True)
    check(placed.to_pylist())


def test_an_empty_batch_stays_empty():
    placed = assign_regions(batch_rows([]), RegionIndex.default())
    assert placed.num_rows == 0
    assert placed.schema == PLACED_READINGS


def test_where_the_message_says_france_a_place_just_across_the_border_is_placed():
    near = {"event_time": NOON, "value": 1.0, "longitude": 6.1432, "latitude": 46.2044}
    batch = batch_rows([near, {**near, "in_france": True}])
    placed = assign_regions(batch, RegionIndex.default()).to_pylist()
    assert [row["region_code"] for row in placed] == [None, "84"]


def test_readings_without_a_region_stay_and_the_means_count_them():
    pipeline = one_thread()
    placed = pipeline | beam.Create(rows()) | BatchReadings() | AssignRegions()
    assert_rows(placed, check)
    placed | HourlyMeans()
    result = pipeline.run()
    result.wait_until_finish()
    balance = read_balance(result.metrics())
    assert (balance["outside"], balance["no_place"]) == (3, 3)


def test_deletions_have_no_region_and_are_not_counted_as_without_one():
    pipeline = one_thread()
    deletions = [{"id": "gone", "deleted": True}, {**rows()[0], "deleted": True}]
    placed = pipeline | beam.Create([*rows(), *deletions]) | BatchReadings() | AssignRegions()

    def check_deletions(found):
        assert [row["region_code"] for row in found if row["deleted"]] == [None, None]

    assert_rows(placed, check_deletions)
    placed | HourlyMeans()
    result = pipeline.run()
    result.wait_until_finish()
    balance = read_balance(result.metrics())
    assert (balance["outside"], balance["no_place"], balance["deleted"]) == (3, 3, 2)


def squares(folder, count):
    """A GeoJSON file of unit squares in a row."""
    features = [
        {
            "type": "Feature",
            "properties": {"district": f"D{number}"},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[number, 0], [number + 1, 0], [number + 1, 1], [number, 1], [number, 0]]
                ],
            },
        }
        for number in range(count)
    ]
    path = folder / "squares.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_regions_can_be_any_boundaries(tmp_path):
    regions = functools.partial(
        RegionIndex.from_geojson, str(squares(tmp_path, 3)), code_property="district"
    )
    reading = {"event_time": NOON, "value": 1.0, "latitude": 0.5}
    places = [0.5, 1.5, 2.5, 3.5]

    def check_squares(found):
        assert sorted((row["longitude"], row["region_code"], row["region"]) for row in found) == [
            (0.5, "D0", "D0"), (1.5, "D1", "D1"), (2.5, "D2", "D2"), (3.5, None, None),
        ]  # fmt: skip

    with one_thread() as pipeline:
        batches = pipeline | beam.Create([{**reading, "longitude": x} for x in places])
        assert_rows(batches | BatchReadings() | AssignRegions(regions), check_squares)


def test_more_regions_than_can_be_told_apart_are_refused():
    france = RegionIndex.default()
    codes = [str(number) for number in range(MOST_REGIONS + 1)]
    index = RegionIndex(codes, codes, france._grid, france._boundaries)
    with pytest.raises(ValueError, match=r"^at most 127 regions can be told apart, these are 128$"):
        assign_regions(batch_rows(rows()), index)
    most = RegionIndex(codes[1:], codes[1:], france._grid, france._boundaries)
    assert assign_regions(batch_rows(rows()), most).num_rows == len(PLACES)
