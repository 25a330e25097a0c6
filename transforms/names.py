"""A few known texts among many: which of them, if any, each piece of text is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.spans import PADDING, Spans, Words, gather

__all__ = ["Names"]

WORD = 8
MASKS = np.array([(1 << (8 * length)) - 1 for length in range(WORD + 1)], np.uint64)
FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Names:
    """Finds known texts by a table without collisions, all rows at once.

    Args:
        texts: distinct texts, of at most 56 bytes each, 127 at most.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        encoded = [text.encode() for text in texts]
        self._words = max(1, -(-max(map(len, encoded), default=0) // WORD))
        if self._words * WORD >= PADDING:
            msg = f"a name has more than {PADDING - WORD} bytes: {max(texts, key=len)!r}"
            raise ValueError(msg)
        padded = b"".join(text.ljust(self._words * WORD, b"\0") for text in encoded)
        self._known = np.frombuffer(padded, "<u8").reshape(len(texts), self._words)
        self._lengths = np.array([len(text) for text in encoded], np.int64)
        self._factors, self._shift, self._table = self._find_table()

    def codes(self, spans: Spans) -> npt.NDArray[np.int8]:
        """The number of the text that each span is; -1 where it is none of them."""
        text = gather(spans.buffer, spans.starts, self._words * WORD).view("<u8")
        words = [
            text[:, column] & MASKS.take(np.clip(spans.lengths - column * WORD, 0, WORD))
            for column in range(self._words)
        ]
        found = self._table.take(self._slots(words, spans.lengths))
        same = self._lengths.take(found, mode="clip") == spans.lengths
        for column, word in enumerate(words):
            same &= self._known[:, column].take(found, mode="clip") == word
        return np.where(same & (found >= 0), found, np.int8(-1))

    def _slots(self, words: Sequence[Words], lengths: npt.NDArray[np.int64]) -> Words:
        mixed = lengths.astype(np.uint64)
        for word, factor in zip(words, self._factors, strict=True):
            mixed = (mixed ^ word) * factor
            mixed ^= mixed >> np.uint64(32)
        return mixed >> self._shift

    def _find_table(self) -> tuple[Words, np.uint64, npt.NDArray[np.int8]]:
        bits = max(4, (4 * len(self.texts)).bit_length())
        columns = [self._known[:, column] for column in range(self._words)]
        tries = 0
        while True:
            self._factors = np.arange(1, self._words + 1, dtype=np.uint64) * FACTOR
            self._factors = (self._factors + np.uint64(tries)) | np.uint64(1)
            self._shift = np.uint64(64 - bits - tries // 64)
            slots = self._slots(columns, self._lengths)
            if len(set(slots.tolist())) == len(slots):
                break
            tries += 1
        table = np.full(1 << (64 - int(self._shift)), -1, np.int8)
        table[slots] = np.arange(len(self.texts))
        return self._factors, self._shift, table
