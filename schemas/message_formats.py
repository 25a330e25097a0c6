"""Message formats: which part of a JSON message is which part of a reading.

A format is one file, `schemas/formats/NAME.json`; docs/message-formats.md shows how to write one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from schemas.format_files import FormatError, read_format
from schemas.layout import Layout, Quantity

__all__ = [
    "AUTO",
    "MESSAGE_FORMATS",
    "FormatError",
    "MessageFormat",
    "open_formats",
]

FOLDER = Path(__file__).parent / "formats"
AUTO = "auto"
"""Stands for all formats by which messages are recognised."""
MOST_QUANTITIES = 127
"""So many quantities have a number of 8 bits in a batch of readings."""
QUANTITY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True)
class MessageFormat:
    """How messages are written.

    Attributes:
        name: the format's name on the command line and in the column `format`.
        description: one sentence.
        schema: the JSON Schema of a message.
        layouts: by `schema_version`; by the empty text where the messages have none.
        version_path: where the message says its `schema_version`; None where it does not.
        unversioned: the version of a message that names none.
        order: its place among the formats by which messages are recognised; None: it is none
            of them.
        bare: messages are bare numbers, and the options name their quantity.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = field(repr=False)
    layouts: Mapping[str, Layout] = field(repr=False)
    version_path: str | None = None
    unversioned: str = ""
    order: int | None = None
    bare: bool = False

    @property
    def quantities(self) -> dict[str, str]:
        """The unit of each quantity, by its name."""
        layouts = self.layouts.values()
        return {one.name: one.unit for layout in layouts for one in layout.quantities.values()}

    @property
    def examples(self) -> list[Any]:
        """Messages of this format."""
        return list(self.schema.get("examples", []))

    def of(self, quantity: str) -> MessageFormat:
        """The format of bare numbers of one quantity.

        Raises:
            FormatError: that is no name of a quantity.
        """
        if not QUANTITY.fullmatch(quantity):
            msg = (
                f"the message format {self.name} needs its quantity after a colon, in letters, "
                f"digits and underscores: {self.name}:temperature"
            )
            raise FormatError(msg)
        (layout,) = self.layouts.values()
        kinds = {"": Quantity(quantity, "", ("$",))}
        return replace(self, layouts={"": replace(layout, quantities=kinds)})


def _format(path: Path) -> MessageFormat:
    document = read_format(path)
    layouts = {
        version: Layout(
            path.stem,
            layout["paths"],
            layout["constants"],
            layout["entries"],
            layout["selector"],
            {
                text: Quantity(
                    kind["name"], kind["unit"], tuple(kind["value"]), kind["factor"], kind["offset"]
                )
                for text, kind in layout["quantities"].items()
            },
        )
        for version, layout in document["layouts"].items()
    }
    return MessageFormat(
        path.stem,
        document["description"],
        document["message"],
        layouts,
        document["version_path"],
        document["unversioned"],
        document["order"],
        document["bare"],
    )


def _packaged() -> dict[str, MessageFormat]:
    """The formats of the folder, those by which messages are recognised first, in order."""
    formats = [_format(path) for path in sorted(FOLDER.glob("*.json"))]
    formats.sort(key=lambda one: (one.order is None, one.order or 0, one.name))
    return {one.name: one for one in formats}


MESSAGE_FORMATS = _packaged()
"""The formats of `schemas/formats`, by name."""


def open_formats(names: str) -> tuple[MessageFormat, ...]:
    """The formats that an option names.

    Args:
        names: `auto` for all by which messages are recognised; or a name of `MESSAGE_FORMATS`,
            with a colon and the quantity for bare numbers (`integers:temperature`); or the path
            of a format's file, which ends in `.json`; or several of these with commas between
            them: each message is then read by the one that fits it best.

    Returns:
        One format, or several in the order in which they are tried.

    Raises:
        FormatError: a ValueError that says in a sentence what is wrong with a name or a file.
    """
    found: dict[str, MessageFormat] = {}
    for name in (part.strip() for part in names.split(",")):
        for one in _named(name):
            if found.get(one.name, one) != one:
                msg = f"two message formats have the name {one.name!r}: rename one file"
                raise FormatError(msg)
            found[one.name] = one
    formats = tuple(found.values())
    if len(formats) > 1 and any(one.bare for one in formats):
        msg = f"bare numbers cannot be told from others: name one message format, not {names!r}"
        raise FormatError(msg)
    _check_units(formats)
    return formats


def _named(name: str) -> list[MessageFormat]:
    if name == AUTO:
        return [one for one in MESSAGE_FORMATS.values() if one.order is not None]
    if name.endswith(".json"):
        return [_format(Path(name))]
    base, colon, quantity = name.partition(":")
    if base not in MESSAGE_FORMATS or (colon and not MESSAGE_FORMATS[base].bare):
        known = ", ".join((AUTO, *MESSAGE_FORMATS))
        msg = (
            f"unknown message format {name!r}; there are {known}, and paths of format files that "
            "end in .json"
        )
        raise FormatError(msg)
    found = MESSAGE_FORMATS[base]
    return [found.of(quantity) if found.bare else found]


def _check_units(formats: tuple[MessageFormat, ...]) -> None:
    """A quantity has one unit, or means would mix two, and there are not too many quantities."""
    units: dict[str, str] = {}
    for one in formats:
        for quantity, unit in one.quantities.items():
            if units.setdefault(quantity, unit) != unit:
                msg = (
                    f"the quantity {quantity!r} has two units, {units[quantity]} and {unit}: give "
                    f"it another name or a factor in the format {one.name}"
                )
                raise FormatError(msg)
    if len(units) > MOST_QUANTITIES:
        msg = f"the message formats have {len(units)} quantities, more than {MOST_QUANTITIES}"
        raise FormatError(msg)
