"""How messages are laid out: where in them the parts of a reading stand."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Layout", "Quantity"]


@dataclass(frozen=True)
class Quantity:
    """What a value measures.

    Attributes:
        name: the quantity, as the results name it.
        unit: its unit there.
        values: where the value stands; of several paths the first that is there counts.
        factor, offset: value in the unit = value in the message * factor + offset.
    """

    name: str
    unit: str
    values: tuple[str, ...]
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class Layout:
    """How the messages of one schema version of a format are laid out.

    A path is the keys from the outside in, joined by dots: `location.latitude`. In a path of an
    entry the array is followed by `[]`: `sensordatavalues[].value`.

    Attributes:
        format: the format's name.
        paths: where the parts of a reading stand (`id`, `sensor_id`, `event_time`, `latitude`,
            `longitude`, `country`, `version`, `updated_at`, `deleted`); no path for those that
            the format does not have.
        constants: what stands for the paths that these messages lack.
        entries: the array of which each entry is a reading; None where a message is one reading.
        selector: where the text stands that says the quantity; None where it is always the same.
        quantities: by that text; by the empty text where it is always the same.
    """

    format: str
    paths: Mapping[str, str]
    constants: Mapping[str, Any]
    entries: str | None
    selector: str | None
    quantities: Mapping[str, Quantity]

    @functools.cached_property
    def values(self) -> tuple[str, ...]:
        """All paths where a value may stand."""
        every = (path for quantity in self.quantities.values() for path in quantity.values)
        return tuple(dict.fromkeys(every))

    @functools.cached_property
    def required(self) -> tuple[tuple[str, ...], ...]:
        """The paths without which a message is no reading: one of each group must be there."""
        parts = ("id", "sensor_id", "event_time", "latitude", "longitude")
        groups: list[tuple[str, ...]] = [
            (self.paths[part],) for part in parts if part in self.paths
        ]
        if self.entries is not None:
            groups.append((self.entries,))
        else:
            groups.extend([] if self.selector is None else [(self.selector,)])
            groups.append(self.values)
        return tuple(group for group in groups if not set(group) & set(self.constants))

    @functools.cached_property
    def identity(self) -> tuple[str, ...]:
        """The paths that tell a reading from others: a deletion needs these."""
        parts = ("id",) if self.has_id else ("sensor_id", "event_time")
        paths = [self.paths[part] for part in parts]
        if self.entries is None and self.selector is not None:
            paths.append(self.selector)
        return (*paths, *([] if self.entries is None else [self.entries]))

    @functools.cached_property
    def keys(self) -> tuple[str, ...]:
        """All paths of the message that are read, those of entries left out."""
        paths = [path for group in self.required for path in group]
        paths += [path for path in self.paths.values() if path not in self.constants]
        return tuple(dict.fromkeys(paths))

    @functools.cached_property
    def entry_keys(self) -> tuple[str, ...]:
        """All paths of an entry that are read."""
        if self.entries is None:
            return ()
        paths = (*([] if self.selector is None else [self.selector]), *self.values)
        return tuple(path for path in paths if path not in self.constants)

    @property
    def has_id(self) -> bool:
        """Whether messages have an id of their own."""
        return "id" in self.paths

    @property
    def has_place(self) -> bool:
        """Whether messages say where it was measured."""
        return "latitude" in self.paths

    @functools.cached_property
    def chosen_by_quantity(self) -> bool:
        """Whether it depends on the quantity where the value stands."""
        return len({quantity.values for quantity in self.quantities.values()}) > 1
