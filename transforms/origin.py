"""Where a block of records comes from: the places and arrivals of its records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.payload import Messages
from transforms.rejections import place_in, places_in
from transforms.spans import PADDING, Ints

__all__ = ["Origin"]


@dataclass(frozen=True)
class Origin:
    """Where a block comes from.

    Attributes:
        source: the file, topic or address.
        offset: where in it the block begins, in bytes; None where that means nothing.
        arrived_at: when it was brought, in microseconds since the epoch; None for files.
        messages: the messages that it joins; None where it is one piece.
        starts: where all its records begin, in the padded text, rising.
    """

    source: str
    offset: int | None
    arrived_at: int | None
    messages: Messages | None
    starts: Ints

    @property
    def place(self) -> str:
        """Where the block begins, as one text."""
        if self.messages is None or not len(self.messages.starts):
            return place_in(self.source, self.offset)
        return place_in(self.source, self.messages.places[0], self.messages.unit)

    def arrivals(self, starts: Ints) -> int | Ints | None:
        """When the records that begin there, in the padded text, were brought."""
        if self.messages is None:
            return self.arrived_at
        return self.messages.arrived_at[self._numbers(starts)]

    def places(self, starts: Ints, entries: Ints | None = None) -> pa.Array:
        """Where records stand in the source, each in a way that no other has.

        Args:
            starts: where they begin, in the padded text.
            entries: which entry of its record each is; -1, or None, for the whole record.
        """
        places = self._record_places(starts)
        if entries is None or not (entries >= 0).any():
            return places
        mark = "#entry=" if self.messages is None and self.offset is None else "&entry="
        return _marked(places, entries >= 0, mark, entries)

    def identifiers(self, starts: Ints) -> pa.Array:
        """Names for records that have none, the same whenever they are read again.

        A place in a queue is one message for ever; elsewhere the arrival tells apart what was
        brought at different times.
        """
        places = self._record_places(starts)
        if self.messages is not None or self.arrived_at is None:
            return places
        mark = "#" if self.offset is None else "&"
        names = pc.binary_join_element_wise(places, f"{mark}arrived_at={self.arrived_at}", "")
        if self.offset is None:
            return _marked(names, starts >= 0, "&record=", np.searchsorted(self.starts, starts))
        return names

    def _record_places(self, starts: Ints) -> pa.Array:
        if self.messages is not None:
            numbers = self._numbers(starts)
            texts = pa.array(self.messages.places).take(pa.array(numbers))
            places = places_in(self.source, texts, self.messages.unit)
            # Of several records of one message, all but the first say which they are.
            first = np.searchsorted(self.starts, self.messages.starts[numbers] + PADDING)
            within = np.searchsorted(self.starts, starts) - first
            return _marked(places, within > 0, "&record=", within)
        if self.offset is None:
            return pa.repeat(self.source, len(starts))
        return places_in(self.source, pa.array(starts - PADDING + self.offset))

    def _numbers(self, starts: Ints) -> Ints:
        """The number of the message that holds each place of the padded text."""
        assert self.messages is not None  # noqa: S101 - the callers have looked
        return np.searchsorted(self.messages.starts, starts - PADDING, side="right") - 1


def _marked(places: pa.Array, which: np.ndarray, mark: str, numbers: Ints) -> pa.Array:
    """The places, some of them with a mark and a number behind them."""
    if not which.any():
        return places
    more = pc.binary_join_element_wise(places, pc.cast(pa.array(numbers), pa.string()), mark)
    return pc.if_else(pa.array(which), more, places)
