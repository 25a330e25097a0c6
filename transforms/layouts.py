"""The message formats that a parser reads, and by which of them it reads a message."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.layout import Layout
from schemas.message_formats import MessageFormat
from transforms.fields import MISSING, NULL, NUMBER, STRING, Field, Fields
from transforms.names import Names
from transforms.spans import Spans

__all__ = ["UNKNOWN_VERSION", "Codes", "FormatSet", "Known"]

Codes: TypeAlias = npt.NDArray[np.int8]
UNKNOWN_VERSION = -1
"""Stands for the layout of messages whose schema version is not known."""
SAMPLES = 8
"""Records that are looked at to guess the format of most."""


@dataclass(frozen=True, eq=False)
class Known:
    """A layout that a parser knows.

    Attributes:
        layout: the layout.
        number: its number among the parser's layouts.
        names: the texts that say the quantity.
        codes: the number of each one's quantity among the parser's quantities.
        version_path: where the messages say their schema version.
    """

    layout: Layout
    number: int
    names: Names
    codes: Codes
    version_path: str | None = None


class FormatSet:
    """The formats of one parser.

    Args:
        formats: in the order in which they are tried.

    Attributes:
        formats: the same.
        layouts: all their layouts.
        quantities: the names of their quantities: a quantity's number is its place here.
        format_of: the number of each layout's format.
        has_id, has_sensor, has_place: which layouts have these.
        keys: all paths of messages that are read.
        numeric: the paths where numbers are wanted, be they strings.
        exact: those of them whose millionths are wanted.
    """

    def __init__(self, formats: Sequence[MessageFormat]) -> None:
        self.formats = tuple(formats)
        quantities = dict.fromkeys(name for one in formats for name in one.quantities)
        self.quantities = tuple(quantities)
        self.layouts: list[Known] = []
        self._first: list[int] = []
        format_of = []
        for number, one in enumerate(formats):
            self._first.append(len(self.layouts))
            for layout in one.layouts.values():
                names = Names(tuple(layout.quantities))
                codes = [self.quantities.index(each.name) for each in layout.quantities.values()]
                known = Known(
                    layout, len(self.layouts), names, np.array(codes, np.int8), one.version_path
                )
                self.layouts.append(known)
                format_of.append(number)
        self._versions = [Names(tuple(one.layouts)) for one in formats]
        self.format_of = np.array(format_of, np.int8)
        self.has_id = np.array([known.layout.has_id for known in self.layouts])
        self.has_sensor = np.array(["sensor_id" in known.layout.paths for known in self.layouts])
        self.has_place = np.array([known.layout.has_place for known in self.layouts])
        keys = {
            one.name: tuple(
                dict.fromkeys(
                    path
                    for layout in one.layouts.values()
                    for path in (*layout.keys, *([one.version_path] if one.version_path else []))
                )
            )
            for one in formats
        }
        self.keys = tuple(dict.fromkeys(path for paths in keys.values() for path in paths))
        self.exact = frozenset(path for known in self.layouts for path in known.layout.values)
        self.numeric = self.exact.union(
            known.layout.paths[part]
            for known in self.layouts
            for part in ("latitude", "longitude")
            if part in known.layout.paths
        )
        self._flat_keys = {
            name: paths for name, paths in keys.items() if not any("." in path for path in paths)
        }

    def recognise(self, fields: Fields) -> Codes:
        """By which layout each record is to be read.

        Args:
            fields: of the paths `keys`.

        Returns:
            Numbers of layouts; `UNKNOWN_VERSION` less the number of the format where the schema
            version is unknown.
        """
        count = len(fields.rows)
        if len(self.layouts) == 1:
            return np.zeros(count, np.int8)
        best = self._best_formats(fields)
        found = np.zeros(count, np.int8)
        for number, one in enumerate(self.formats):
            if one.version_path is None:
                found[best == number] = self._first[number]
                continue
            rows = np.flatnonzero(best == number)
            said = fields.by_path[one.version_path].take(rows)
            found[rows] = self._of_version(number, one, said)
        return found

    def _best_formats(self, fields: Fields) -> Codes:
        """The format of which each record has the most required fields."""
        count = len(fields.rows)
        best = np.zeros(count, np.int8)
        if len(self.formats) == 1:
            return best
        there = {path: field.kinds != MISSING for path, field in fields.by_path.items()}
        most = np.full(count, -1, np.int8)
        for known in self.layouts:
            score = np.zeros(count, np.int8)
            for group in known.layout.required:
                score += np.any([there[path] for path in group], axis=0)
            better = score > most
            best[better] = self.format_of[known.number]
            most[better] = score[better]
        return best

    def _of_version(self, number: int, one: MessageFormat, said: Field) -> Codes:
        codes = self._versions[number].codes(said.spans)
        codes[(said.kinds != STRING) & (said.kinds != NUMBER)] = -1
        default = list(one.layouts).index(one.unversioned)
        codes[(said.kinds == MISSING) | (said.kinds == NULL)] = default
        unknown = np.int8(UNKNOWN_VERSION - number)
        return np.where(codes < 0, unknown, codes + np.int8(self._first[number]))

    def recognise_paths(self, paths: Set[str]) -> MessageFormat:
        """The format of which a message with these paths has the most required fields."""
        scores: dict[int, int] = {}
        for known in self.layouts:
            score = sum(any(path in paths for path in group) for group in known.layout.required)
            number = int(self.format_of[known.number])
            scores[number] = max(score, scores.get(number, 0))
        return self.formats[max(scores, key=lambda number: (scores[number], -number))]

    def likely_keys(self, records: Spans) -> tuple[str, ...]:
        """The keys of the format that most of the records seem to have, by a look at a few.

        Returns:
            Paths of `keys`; none where records have other keys, or nested ones.
        """
        if len(self.formats) == 1:
            return ()
        seen = Counter[tuple[str, ...]]()
        for row in np.unique(np.linspace(0, len(records) - 1, SAMPLES).astype(np.int64)).tolist():
            try:
                record = json.loads(records.text(row))
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                keys = self._flat_keys.get(self.recognise_paths(record.keys()).name, ())
                seen[keys if record.keys() <= set(keys) else ()] += 1
        return next((keys for keys, _ in seen.most_common(1)), ())

    def of_version(self, one: MessageFormat, text: str | None) -> Known | None:
        """The layout of a schema version; None for an unknown one."""
        versions = list(one.layouts)
        version = one.unversioned if text is None else text
        if version not in versions:
            return None
        return self.layouts[self._first[self.formats.index(one)] + versions.index(version)]
