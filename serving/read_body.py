"""Reads the body of a request: of the right type, not too large, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from serving.admission import Admission, Limits
from serving.bodies import BodyError

__all__ = ["read_body"]

DRAINED = 16
"""So many times the limit is read of a body that is too large, for clients that listen to an answer
only when they have sent everything."""


async def read_body(request: Request, limits: Limits, admission: Admission) -> bytes:
    """The body, whose bytes are then admitted: the caller lets go of them.

    Raises:
        BodyError: it is not JSON by its type (415), too large (413), too slow (408) or too much
            for now (429).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        msg = f"the content type is {kind or 'missing'}; send application/json"
        raise BodyError(415, msg)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        msg = "the body is compressed; send it as it is"
        raise BodyError(415, msg)
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_within):
            stream = request.stream()
            async for piece in stream:
                size += len(piece)
                if size > limits.body:
                    await _drain(stream, limits)
                    msg = (
                        f"the body has more than {limits.body:,} bytes; send fewer messages at once"
                    )
                    raise BodyError(413, msg)
                admission.add_bytes(len(piece))
                pieces.append(piece)
    except BaseException as error:
        admission.leave(0, sum(map(len, pieces)))
        if isinstance(error, TimeoutError):
            msg = f"the body has not come within {limits.body_within:g} s"
            raise BodyError(408, msg) from error
        if isinstance(error, ClientDisconnect):
            msg = "the client has gone"
            raise BodyError(400, msg) from error
        raise
    return b"".join(pieces)


async def _drain(stream: AsyncIterator[bytes], limits: Limits) -> None:
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > DRAINED * limits.body:
            break
