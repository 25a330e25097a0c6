"""In which order the keys of flat JSON objects come, learnt from a few: some may be missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transforms.fields import NUMBER, STRING
from transforms.layouts import FormatSet
from transforms.record_matching import MAX_RECORD
from transforms.record_shape import Scalar, read_shape

__all__ = ["KeyOrder", "Member"]

BETWEEN = re.compile(r'(?P<before>[^"]*)"(?P<key>[^"]*)"(?P<colon>[^"]*)')
"""What stands between two values: a mark, a key, a colon."""
MOST_MEMBERS = 24
LONGEST, LONGEST_MARK = 64, 8
"""Bytes of the longest key, or string of a usual length, and of the longest mark with blanks."""


@dataclass(frozen=True)
class Member:
    """A key and what usually stands there.

    Attributes:
        path: the key as a path.
        name: the key with its quotes and its colon, as they are written.
        kind: whether usually a string or a number.
        length: the usual length of the string; 0 where it has none.
        numeric: whether it is wanted as a number, be it a string.
        exact: whether its millionths are wanted.
    """

    path: str
    name: bytes
    kind: int
    length: int
    numeric: bool
    exact: bool


@dataclass(frozen=True)
class KeyOrder:
    """How somebody writes flat objects.

    Attributes:
        opening, comma, closing: what stands before, between and after the members, with blanks.
        members: in their order, each of which a record may have once.
    """

    opening: bytes
    comma: bytes
    closing: bytes
    members: tuple[Member, ...]

    @classmethod
    def learn(cls, texts: Iterable[str], formats: FormatSet) -> KeyOrder | None:
        """The order of the keys in some records.

        Args:
            texts: records, good or bad; those that are no flat objects are not looked at.
            formats: the formats that they may be of.

        Returns:
            The order; None where there is none, or most are no flat objects.
        """
        texts = list(texts)
        seen = [found for text in texts if (found := _taken_apart(text)) is not None]
        if not seen or 2 * len(seen) < len(texts):
            return None
        ((marks, _),) = Counter(one.marks for one in seen).most_common(1)
        seen = [one for one in seen if one.marks == marks]
        order: list[str] = []
        for one in sorted(seen, key=lambda one: -len(one.names)):
            _insert(order, list(one.names))
        members = tuple(_member(path, seen, formats) for path in order)
        if len(members) > MOST_MEMBERS or max(len(one.name) for one in members) > LONGEST:
            return None
        opening, comma, closing = (mark.encode() for mark in marks)
        return cls(opening, comma, closing, members)


@dataclass(frozen=True)
class _Written:
    """A flat object taken apart: its marks; by path its keys, values and bytes of strings."""

    marks: tuple[str, str, str]
    names: dict[str, str]
    values: dict[str, Scalar]
    lengths: dict[str, int]


def _taken_apart(text: str) -> _Written | None:
    shape = read_shape(text) if len(text) <= MAX_RECORD else None
    if shape is None or len(shape.lengths) != 1 or not shape.scalars:
        return None
    names, lengths, commas = dict[str, str](), dict[str, int](), set[str]()
    opening, since = "", 0
    for scalar in shape.scalars:
        begin = scalar.begin - scalar.is_string
        found = BETWEEN.fullmatch(text, since, begin)
        if found is None:
            return None
        names[scalar.path] = text[found.start("key") - 1 : begin]
        lengths[scalar.path] = len(text[scalar.begin : scalar.end].encode()) * scalar.is_string
        if since:
            commas.add(found["before"])
        else:
            opening = found["before"]
        since = scalar.end + scalar.is_string
    if len(commas) != 1 or max(map(len, (opening, *commas, text[since:]))) > LONGEST_MARK:
        return None
    return _Written((opening, commas.pop(), text[since:]), names, shape.by_path, lengths)


def _insert(order: list[str], paths: Sequence[str]) -> None:
    """Puts paths that are not there yet behind the ones that they follow."""
    place = 0
    for path in paths:
        if path in order:
            place = order.index(path) + 1
        else:
            order.insert(place, path)
            place += 1


def _member(path: str, seen: Sequence[_Written], formats: FormatSet) -> Member:
    name = next(one.names[path] for one in seen if path in one.names)
    usual = Counter(
        (one.values[path].is_string, one.lengths[path])
        for one in seen
        if path in one.values and one.values[path].word is None
    )
    (is_string, length), count = next(iter(usual.most_common(1)), ((True, 0), 0))
    numeric = path in formats.numeric
    if not is_string or numeric or 2 * count < usual.total() or length > LONGEST:
        length = 0
    kind = STRING if is_string else NUMBER
    return Member(path, name.encode(), kind, length, numeric, path in formats.exact)
