"""`/health`: the process lives. `/ready`: the queue is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter
from starlette.responses import JSONResponse

from connectors.output_error import OutputError
from serving.publishers import Publisher

__all__ = ["Readiness", "health_router"]

FRESH = 1.0
"""Seconds for which the queue's answer is good enough."""
WAIT = 2.0
"""Seconds that the queue has for an answer."""


class Readiness:
    """Asks the queues whether they are there, one question at a time.

    Args:
        publishers: the queues.
    """

    def __init__(self, publishers: Sequence[Publisher]) -> None:
        self._publishers = publishers
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ready")
        self._lock = asyncio.Lock()
        self._trouble: str | None = None
        self._asked_at = -FRESH

    async def trouble(self) -> str | None:
        """Why the service cannot do its work now; None where it can."""
        async with self._lock:
            if time.monotonic() - self._asked_at >= FRESH:
                loop = asyncio.get_running_loop()
                self._trouble = await loop.run_in_executor(self._thread, self._ask)
                self._asked_at = time.monotonic()
            return self._trouble

    def _ask(self) -> str | None:
        try:
            for publisher in self._publishers:
                publisher.check(WAIT)
        except OutputError as error:
            return str(error)
        return None


def health_router(readiness: Readiness) -> APIRouter:
    """The routes that a load balancer asks."""
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Is the process alive?")
    async def health() -> dict[str, str]:
        """Answers as long as the process does."""
        return {"status": "alive"}

    @router.get(
        "/ready",
        summary="Is the queue there?",
        responses={503: {"description": "The queue cannot be reached; `detail` says why."}},
    )
    async def ready() -> JSONResponse:
        """Asks the queue, at most once a second."""
        trouble = await readiness.trouble()
        if trouble is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "detail": trouble}, 503)

    return router
