"""A part of a source as a restriction: how far it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from connectors.streams.source import ENDLESS, Part, Source

__all__ = ["Restrictions", "Tracker"]


class Tracker(OffsetRestrictionTracker):
    """A part is read by one reader: it can be stopped and gone on with, but not cut in two."""

    def try_split(self, fraction_of_remainder: float) -> Any:
        return super().try_split(0) if fraction_of_remainder == 0 else None

    def is_bounded(self) -> bool:
        return bool(self.current_restriction().stop < ENDLESS)


class Restrictions(RestrictionProvider):
    """Where a part begins and ends. It is read by one reader and never dealt out."""

    def initial_restriction(self, element: tuple[Source, Part]) -> OffsetRange:
        return OffsetRange(element[1].start, element[1].end)

    def create_tracker(self, restriction: OffsetRange) -> Tracker:
        return Tracker(restriction)

    def restriction_size(self, _: tuple[Source, Part], restriction: OffsetRange) -> int:
        return int(min(restriction.size(), 1 << 20))

    def split(self, _: tuple[Source, Part], restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction

    def truncate(self, *_: Any) -> None:
        return None
