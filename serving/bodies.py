"""The body of a request: read within limits, and cut into messages."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson

from transforms.records import split_array
from transforms.spans import PADDING, padded

__all__ = ["BodyError", "cut_messages"]

BLANKS = b" \t\r\n"


class BodyError(Exception):
    """A request cannot be taken as it is.

    Attributes:
        status: the HTTP status that says so.
        retry_after: seconds after which the same request may be taken; None where it never is.
    """

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.retry_after = status, retry_after


def cut_messages(body: bytes) -> list[bytes]:
    """The messages of a body, each as it came, without the blanks around it.

    Args:
        body: a JSON object, or an array. What the elements of the array are is not looked at.

    Raises:
        BodyError: it is not JSON, or neither of the two; or the array is empty.
    """
    document = body.strip(BLANKS)
    value = _parse(document)
    if isinstance(value, dict):
        return [document]
    if not isinstance(value, list):
        msg = "the body is neither a JSON object nor an array of them"
        raise BodyError(400, msg)
    if not value:
        msg = "the array holds no message"
        raise BodyError(400, msg)
    buffer = padded(document)
    cut = split_array(buffer, np.array([PADDING]), np.array([len(document)]))
    begins = (cut.starts - PADDING).tolist()
    texts = [
        document[begin : begin + length]
        for begin, length in zip(begins, cut.lengths.tolist(), strict=True)
    ]
    if len(texts) != len(value):
        msg = "the body is not valid JSON"
        raise BodyError(400, msg)
    return texts


def _parse(document: bytes) -> Any:
    """The value of the document, with NaN and Infinity, which the messages' parser knows too."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError as error:
        msg = f"the body is not valid JSON: {error}"
    try:
        return json.loads(document.decode(), parse_int=float)
    except (ValueError, RecursionError) as error:
        raise BodyError(400, msg) from error
