"""The scalars of one JSON record and where they stand: what a template is made of."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field

__all__ = ["Scalar", "Shape", "read_shape"]

SCALAR = re.compile(
    r'"(?P<string>[^"\\\x00-\x1f]*)"|(?P<number>-?\d[\d.]*)|(?P<word>true|false|null)'
)
KEY = re.compile(r'\s*"(?P<key>[^"\\\x00-\x1f]*)"\s*:\s*')
BLANKS = re.compile(r"\s*")
PLAIN_KEY = re.compile(r"[^.\[\]]+")
DEPTH = 12


@dataclass(frozen=True)
class Scalar:
    """A string, number or word.

    Attributes:
        path: where it stands; entries of arrays have their numbers: `values[0].id`.
        begin, end: its text, a string's without the quotes.
        is_string: whether it is a string.
        word: `true`, `false` or `null`, if it is that.
    """

    path: str
    begin: int
    end: int
    is_string: bool
    word: str | None


@dataclass
class Shape:
    """A record taken apart.

    Attributes:
        scalars: its scalars, in order.
        lengths: its arrays and objects by path, and how many elements each has.
    """

    scalars: list[Scalar] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)

    @functools.cached_property
    def by_path(self) -> dict[str, Scalar]:
        """The scalars by their paths."""
        return {scalar.path: scalar for scalar in self.scalars}


class _OddError(Exception):
    """The record is written in a way that no template knows."""


def read_shape(text: str) -> Shape | None:
    """Takes a record apart.

    Args:
        text: the record.

    Returns:
        Its shape; None where it is no JSON object, or has a key twice, or escapes, or numbers
        with exponents, or is nested deeply.
    """
    if not text.startswith("{"):
        return None
    try:
        if not isinstance(json.loads(text), dict):
            return None
        reader = _Reader(text)
        end = reader.value(0, "", DEPTH)
    except (ValueError, RecursionError, _OddError):
        return None
    paths = [scalar.path for scalar in reader.shape.scalars] + list(reader.shape.lengths)
    whole = end == len(text) and len(set(paths)) == len(paths) and not reader.twice
    return reader.shape if whole else None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.shape = Shape()
        self.twice = False

    def value(self, at: int, path: str, depth: int) -> int:
        """Reads the value that begins there; returns where it ends."""
        if not depth:
            raise _OddError
        if self.text.startswith("{", at):
            return self._members(at + 1, path, depth)
        if self.text.startswith("[", at):
            return self._elements(at + 1, path, depth)
        found = SCALAR.match(self.text, at)
        if found is None:
            raise _OddError
        is_string = found["string"] is not None
        begin, end = found.span("string") if is_string else found.span()
        self.shape.scalars.append(Scalar(path, begin, end, is_string, found["word"]))
        return found.end()

    def _members(self, at: int, path: str, depth: int) -> int:
        count = 0
        while key := KEY.match(self.text, at):
            name = key["key"]
            # A key with a dot in it is no path.
            name = name if PLAIN_KEY.fullmatch(name) else f'"{name}"'
            at = self.value(key.end(), f"{path}.{name}" if path else name, depth - 1)
            count += 1
            at, more = self._comma(at)
            if not more:
                break
        return self._close(at, "}", path, count)

    def _elements(self, at: int, path: str, depth: int) -> int:
        count = 0
        at = self._blanks(at)
        if not self.text.startswith("]", at):
            more = True
            while more:
                at = self.value(self._blanks(at), f"{path}[{count}]", depth - 1)
                count += 1
                at, more = self._comma(at)
        return self._close(at, "]", path, count)

    def _close(self, at: int, mark: str, path: str, count: int) -> int:
        at = self._blanks(at)
        if not self.text.startswith(mark, at):
            raise _OddError
        self.twice |= path in self.shape.lengths
        self.shape.lengths[path] = count
        return at + 1

    def _comma(self, at: int) -> tuple[int, bool]:
        at = self._blanks(at)
        more = self.text.startswith(",", at)
        return at + more, more

    def _blanks(self, at: int) -> int:
        found = BLANKS.match(self.text, at)
        return at if found is None else found.end()
