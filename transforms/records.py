"""Where each record begins and ends inside a block of text: lines, and elements of JSON arrays.

The structure of JSON is found without parsing it: a bracket or comma counts where the number of
quotes before it is even, and the depth is a running sum of brackets (the first stage of
Langdale and Lemire, "Parsing gigabytes of JSON per second", 2019, here in NumPy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.flat_arrays import flat_objects
from transforms.spans import PADDING, Bools, Bytes, Ints, Spans, padded, positions_of

__all__ = ["Elements", "split_array", "split_lines", "split_objects"]

NEWLINE, RETURN, QUOTE, BACKSLASH, COMMA = 0x0A, 0x0D, 0x22, 0x5C, 0x2C
OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT = 0x5B, 0x5D, 0x7B, 0x7D
SPACE = 0x20
BLANKS = np.array([0x20, 0x09, 0x0A, 0x0D], np.uint8)
FEW_BLANKS = 16
"""So many blanks are stripped one by one; where there are more, they are all looked up at once."""
STRUCTURAL = np.zeros(256, np.int8)
STRUCTURAL[[QUOTE, COMMA]] = 1
STRUCTURAL[[OPEN_ARRAY, OPEN_OBJECT]] = 2
STRUCTURAL[[CLOSE_ARRAY, CLOSE_OBJECT]] = 3
DEPTH_STEP = np.array([0, 0, 1, -1], np.int64)


@dataclass(frozen=True)
class Elements:
    """What was cut out of a text.

    Attributes:
        starts, lengths: the elements, blanks around them left out; empty ones are dropped.
        rows: which of the input rows each came from.
        end: where the last complete element's separator stands, for one row that goes on in
            the next block: the text from here on belongs to that block.
        inside: whether an array is open at `end`.
    """

    starts: Ints
    lengths: Ints
    rows: Ints
    end: int
    inside: bool


def split_lines(data: bytes | Bytes) -> Spans:
    """The records of a block of JSON lines: one a line, or the elements of an array on a line.

    Args:
        data: text whose lines end with a newline (the last one may lack it), as bytes, or
            already padded as by `padded`.

    Returns:
        Spans over the padded text, in order; blank lines hold no record.
    """
    buffer = padded(data) if isinstance(data, bytes) else data
    end = len(buffer) - PADDING
    newlines = positions_of(buffer, NEWLINE)
    if end > PADDING and buffer[end - 1] != NEWLINE:
        newlines = np.append(newlines, end)
    starts = np.empty(len(newlines), np.int64)
    starts[:1] = PADDING
    starts[1:] = newlines[:-1] + 1
    ends = newlines - (buffer[newlines - 1] == RETURN)
    lengths = np.maximum(ends - starts, 0)
    first = buffer[starts]
    if (first <= SPACE).any() or (buffer[ends - 1] <= SPACE).any() or (lengths == 0).any():
        starts, lengths = _strip(buffer, starts, lengths)
        kept = lengths > 0
        starts, lengths = starts[kept], lengths[kept]
        first = buffer[starts]
    arrays = np.flatnonzero(first == OPEN_ARRAY)
    if not len(arrays):
        return Spans(buffer, starts, lengths)
    elements: Spans | Elements | None = flat_objects(buffer, starts[arrays], lengths[arrays])
    if isinstance(elements, Spans) and len(arrays) == len(starts):
        return elements
    if elements is None:
        elements = split_array(buffer, starts[arrays], lengths[arrays])
    others = np.flatnonzero(first != OPEN_ARRAY)
    all_starts = np.concatenate([starts[others], elements.starts])
    all_lengths = np.concatenate([lengths[others], elements.lengths])
    order = np.argsort(all_starts, kind="stable")
    return Spans(buffer, all_starts[order], all_lengths[order])


def split_array(buffer: Bytes, starts: Ints, lengths: Ints, *, opened: bool = False) -> Elements:
    """The elements of JSON arrays.

    Args:
        buffer: the padded text.
        starts: where rows of it begin, each an array that begins with `[`.
        lengths: how long they are.
        opened: the text begins inside the array (its `[` stood in an earlier block).

    Returns:
        The elements. What follows an array's end, or an element that is cut off, is an element
        too: the parser rejects it with a reason, so nothing vanishes.
    """
    positions, steps, rows, depths = _structure(buffer, starts, lengths)
    depths = depths + opened
    before = depths - steps
    is_comma = buffer[positions] == COMMA
    cuts = (is_comma & (depths == 1)) | ((before == 1) & (depths == 0))
    if not opened:
        cuts |= (before == 0) & (depths == 1)
    # What follows the end of the array is rubbish, or another document: no cuts from there on.
    after_end = np.zeros(len(cuts), bool)
    after_end[1:] = (before[:-1] == 1) & (depths[:-1] == 0) & (rows[1:] == rows[:-1])
    cuts &= ~_after_first(after_end | (depths < 0), rows, len(starts))
    where, cut_rows = positions[cuts], rows[cuts]
    edges = np.concatenate([where, starts + lengths])
    edge_rows = np.concatenate([cut_rows, np.arange(len(starts))])
    froms = np.concatenate([where + 1, starts])
    order = np.lexsort((edges, edge_rows))
    from_order = np.lexsort((froms, edge_rows))
    begin, stop, row = froms[from_order], edges[order], edge_rows[order]
    inside = bool(depths[cuts][-1] == 1) if len(where) else opened
    return _elements(buffer, begin, stop, row, where, starts, inside=inside)


def split_objects(buffer: Bytes, start: int, length: int) -> Elements:
    """Objects that follow one another with nothing but blanks between them, over many lines.

    Args:
        buffer: the padded text.
        start: where the part of it to cut up begins.
        length: how long it is.

    Returns:
        The objects; text between them belongs to the next one, which then is not JSON.
    """
    starts, lengths = np.array([start]), np.array([length])
    positions, steps, _, depths = _structure(buffer, starts, lengths)
    ends = positions[(depths == 0) & (steps < 0)] + 1
    begin = np.concatenate([starts, ends])
    stop = np.concatenate([ends, starts + lengths])
    return _elements(
        buffer, begin, stop, np.zeros(len(begin), np.int64), ends - 1, starts, inside=False
    )


def _elements(
    buffer: Bytes, begin: Ints, stop: Ints, row: Ints, where: Ints, starts: Ints, *, inside: bool
) -> Elements:
    first, length = _strip(buffer, begin, stop - begin)
    kept = length > 0
    end = int(where[-1]) + 1 if len(where) else int(starts[0])
    return Elements(first[kept], length[kept], row[kept], end, inside)


def _structure(
    buffer: Bytes, starts: Ints, lengths: Ints
) -> tuple[Ints, npt.NDArray[np.int64], Ints, Ints]:
    """Commas and brackets outside strings: positions, steps of depth, rows, depths after them."""
    begin, end = int(starts[0]), int(starts[-1] + lengths[-1])
    text = buffer[begin:end]
    positions = np.flatnonzero(STRUCTURAL.take(text)) + begin
    rows = _rows_of(positions, starts)
    inside = positions < (starts + lengths)[rows]
    if not inside.all():
        positions, rows = positions[inside], rows[inside]
    is_quote = buffer[positions] == QUOTE
    if (text == BACKSLASH).any():
        is_quote &= ~_escaped(buffer, positions)
    quotes = np.cumsum(is_quote)
    first = np.searchsorted(positions, starts)
    quotes_before = np.concatenate([[0], quotes])[first]
    outside = (((quotes - quotes_before[rows]) & 1) == 0) & (buffer[positions] != QUOTE)
    positions, rows = positions[outside], rows[outside]
    steps = DEPTH_STEP[STRUCTURAL[buffer[positions]]]
    depths = np.cumsum(steps)
    first = np.searchsorted(positions, starts)
    depths -= np.concatenate([[0], depths])[first][rows]
    return positions, steps, rows, depths


def _rows_of(positions: Ints, starts: Ints) -> Ints:
    """Which row each position stands in, both in rising order."""
    if len(starts) == 1:
        return np.zeros(len(positions), np.int64)
    counts = np.diff(np.searchsorted(positions, starts), append=len(positions))
    return np.repeat(np.arange(len(starts)), counts)


def _escaped(buffer: Bytes, positions: Ints) -> Bools:
    """Which positions follow an odd number of backslashes."""
    odd = np.zeros(len(positions), bool)
    left = np.flatnonzero(buffer[positions - 1] == BACKSLASH)
    distance = 1
    while len(left):
        odd[left] = ~odd[left]
        distance += 1
        left = left[buffer[np.maximum(positions[left] - distance, 0)] == BACKSLASH]
    return odd


def _after_first(broken: Bools, rows: Ints, count: int) -> Bools:
    """True from each row's first True on."""
    if not broken.any():
        return np.zeros(len(broken), bool)
    first = np.full(count, len(broken))
    index = np.flatnonzero(broken)
    np.minimum.at(first, rows[index], index)
    return np.asarray(np.arange(len(broken)) >= first[rows])


def _strip(buffer: Bytes, starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """The spans without the blanks at either end."""
    starts, ends = starts.copy(), starts + lengths
    left = np.flatnonzero(lengths > 0)
    right = left
    for _ in range(FEW_BLANKS):
        left = left[np.isin(buffer[starts[left]], BLANKS) & (starts[left] < ends[left])]
        starts[left] += 1
        right = right[np.isin(buffer[ends[right] - 1], BLANKS) & (starts[right] < ends[right])]
        ends[right] -= 1
        if not len(left) and not len(right):
            return starts, np.maximum(ends - starts, 0)
    text = np.flatnonzero(~np.isin(buffer, BLANKS))
    before = np.concatenate([[-1], text])
    after = np.concatenate([text, [len(buffer)]])
    starts[left] = np.minimum(after[np.searchsorted(text, starts[left])], ends[left])
    ends[right] = np.maximum(before[np.searchsorted(text, ends[right])] + 1, starts[right])
    return starts, np.maximum(ends - starts, 0)
