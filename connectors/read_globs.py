"""ReadGlobs: files that are looked for by the workers, however many they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam

from connectors.input_files import Piece, match_inputs, pieces
from connectors.read_files import blocks_of
from transforms.payload import Payload

__all__ = ["ReadGlobs"]


class ReadGlobs(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[Payload]]):
    """Reads the files that patterns name, as `ReadFiles` does.

    `ReadFiles` puts the name of each file into the job's graph, which Dataflow takes only up to a
    size. Here a worker lists them.

    Args:
        patterns: paths or globs that every worker can read.

    Raises:
        InputError: from the pipeline, when a pattern names nothing, or a file cannot be read.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        super().__init__()
        self._patterns = tuple(patterns)

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[Payload]:
        return (
            pbegin
            | "Patterns" >> beam.Create([self._patterns]).with_output_types(tuple[str, ...])
            | "Pieces" >> beam.FlatMap(_pieces).with_output_types(Piece)
            | "Spread" >> beam.Reshuffle()
            | "Blocks" >> beam.FlatMap(blocks_of)
        )


def _pieces(patterns: Sequence[str]) -> Iterator[Piece]:
    yield from pieces(match_inputs(patterns))
