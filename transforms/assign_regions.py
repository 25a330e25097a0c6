"""AssignRegions: which region each reading lies in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

import transforms.batches  # noqa: F401 - registers the coder of batches
from geo import RegionIndex
from schemas.reading import PLACED_READINGS

__all__ = ["AssignRegions", "assign_regions"]

MOST_REGIONS = 127


def assign_regions(batch: pa.RecordBatch, index: RegionIndex) -> pa.RecordBatch:
    """Adds each reading's region to a batch.

    Args:
        batch: of schema `READINGS`; metadata of its schema is kept.
        index: the regions; at most `MOST_REGIONS` of them.

    Returns:
        A batch of schema `PLACED_READINGS`; `region_code` and `region` are NULL where the place
        lies in no region, where there is no place, and in deletions.

    Raises:
        ValueError: the index has more regions than a batch can name.
    """
    if len(index.codes) > MOST_REGIONS:
        msg = f"at most {MOST_REGIONS} regions can be told apart, these are {len(index.codes):,}"
        raise ValueError(msg)
    numbers = index.locate(
        batch.column("longitude").to_numpy(zero_copy_only=False),
        batch.column("latitude").to_numpy(zero_copy_only=False),
        batch.column("in_france").to_numpy(zero_copy_only=False),
    ).astype(np.int8)
    indices = pa.array(numbers, mask=numbers < 0)
    regions = [
        pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))
        for texts in (index.codes, index.names)
    ]
    schema = PLACED_READINGS.with_metadata(batch.schema.metadata)
    return pa.RecordBatch.from_arrays([*batch.columns, *regions], schema=schema)


class AssignRegions(
    beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[pa.RecordBatch]]
):
    """Places batches of readings in regions.

    Elements in are batches of schema `READINGS`, elements out the same with `region_code` and
    `region` (schema `PLACED_READINGS`). Readings in no region stay in their batch with NULLs: the
    means leave them out and count them, and they can be filtered.

    Args:
        regions: makes the index, once a worker; the 18 regions of France by default. It must be
            picklable, for example `functools.partial(RegionIndex.from_geojson, "districts.json")`.

    Raises:
        ValueError: from the pipeline, when the index has more than 127 regions.
    """

    def __init__(self, regions: Callable[[], RegionIndex] = RegionIndex.default) -> None:
        super().__init__()
        self._regions = regions

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        return pcoll | "Assign" >> beam.ParDo(_Assign(self._regions)).with_output_types(
            pa.RecordBatch
        )


class _Assign(beam.DoFn):
    def __init__(self, regions: Callable[[], RegionIndex]) -> None:
        self._regions = regions

    def setup(self) -> None:
        self._index = self._regions()

    def process(self, element: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        yield assign_regions(element, self._index)
