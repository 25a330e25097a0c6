"""ReadFiles: files of JSON readings as payloads for ParseReadings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam

from connectors.file_blocks import BLOCK, read_blocks
from connectors.input_files import InputFile, Piece, pieces
from connectors.texts import Damaged
from transforms.balance import count
from transforms.payload import Oversized, Payload

__all__ = ["BYTES_READ", "DAMAGED", "SOURCE", "ReadFiles", "blocks_of"]

SOURCE = "source"
BYTES_READ = "bytes_read"
DAMAGED = "damaged"
"""Namespace of the counters that name files whose end could not be read."""


class ReadFiles(beam.PTransform[beam.pvalue.PBegin, beam.PCollection[Payload]]):
    """Reads files of JSON lines (`.jsonl`), of one JSON document (`.json`), or either as `.gz`.

    Elements out are `Payload`s of about 4 MB and, for records too large to hold, `Oversized`s:
    what `ParseReadings` takes. Plain files of lines are split and read in parallel. The counter
    `source/bytes_read` counts bytes of text; a counter of the namespace `damaged` has as its name
    a sentence about a compressed file that breaks in the middle.

    Args:
        files: what `match_inputs` found.

    Raises:
        InputError: from the pipeline, when a file cannot be read.
    """

    def __init__(self, files: Sequence[InputFile]) -> None:
        super().__init__()
        self._pieces = list(pieces(files))

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[Payload]:
        return (
            pbegin
            | "Pieces" >> beam.Create(self._pieces).with_output_types(Piece)
            | "Spread" >> beam.Reshuffle()
            | "Blocks" >> beam.FlatMap(blocks_of)
        )


def blocks_of(piece: Piece) -> Iterator[Payload | Oversized]:
    """The payloads of a piece, counted.

    Raises:
        InputError: the file cannot be read.
    """
    for found in read_blocks(piece, BLOCK):
        if isinstance(found, Damaged):
            count(found.sentence, 1, DAMAGED)
            continue
        count(BYTES_READ, found.size, SOURCE)
        yield found
