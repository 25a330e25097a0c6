"""Which rejected records the parser of today takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from connectors.dead_letters.letter import Letter
from transforms.check_arrival import ArrivalRule
from transforms.parse_block import BlockParser
from transforms.payload import Messages, Payload

__all__ = ["Judge"]

MARK = "#record="


class Judge:
    """Reads records once more, as the pipeline would.

    Args:
        message_format: as for `ParseReadings`.
        max_future: seconds that a reading's event time may be ahead of its arrival.

    Raises:
        ValueError: there is no such message format.
    """

    def __init__(self, message_format: str, max_future: int) -> None:
        rule = ArrivalRule(None, max_future)
        self._of_streams = BlockParser(message_format, hash_raw=False, arrival_rule=rule)
        self._of_files = BlockParser(message_format, hash_raw=False)

    def reasons(self, letters: Sequence[Letter], records: Sequence[bytes]) -> list[str | None]:
        """What is still wrong with records.

        Args:
            letters: the rejected records.
            records: their texts.

        Returns:
            For each the reason for which it is rejected again; None where all of it is good.
        """
        found: list[str | None] = [None] * len(letters)
        streamed = [number for number, one in enumerate(letters) if one.arrived_at is not None]
        others = [number for number, one in enumerate(letters) if one.arrived_at is None]
        for parser, numbers in ((self._of_streams, streamed), (self._of_files, others)):
            if not numbers:
                continue
            arrivals = np.array([letters[number].rejected_at for number in numbers], np.int64)
            payload = _payload([records[number] for number in numbers], arrivals)
            for batch in parser.parse_payload(payload).rejected:
                places, reasons = (batch.column(name).to_pylist() for name in ("source", "reason"))
                for place, reason in zip(places, reasons, strict=True):
                    number = int(place.partition(MARK)[2].partition("&")[0])
                    found[numbers[number]] = reason
        return found


def _payload(texts: Sequence[bytes], arrivals: np.ndarray) -> Payload:
    """The records, already cut out, each named by its number."""
    lengths = np.fromiter((len(text) for text in texts), np.int64, len(texts))
    starts = np.cumsum(lengths + 1) - lengths - 1
    messages = Messages(starts, np.arange(len(texts)), arrivals, MARK.strip("#="))
    return Payload(b"\n".join(texts), "replay", None, (starts, lengths), messages=messages)
