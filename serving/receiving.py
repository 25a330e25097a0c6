"""`POST /devices/messages`: takes messages of devices and answers when the queue has them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving.admission import Admission, Limits
from serving.bodies import BodyError, cut_messages
from serving.intake import Intake
from serving.name_faults import Fault
from serving.openapi import MESSAGES_OPERATION
from serving.read_body import read_body

__all__ = ["receiving_router"]

LOG = logging.getLogger("serving.requests")
ACCEPTED, UNPROCESSABLE, TROUBLE = 202, 422, 429


def receiving_router(intake: Intake, limits: Limits) -> APIRouter:
    """The routes that take messages.

    Args:
        intake: what becomes of the messages.
        limits: how much is taken at most.
    """
    router = APIRouter()
    admission = Admission(limits)

    @router.post("/devices/messages", **MESSAGES_OPERATION)
    async def receive_messages(request: Request) -> Response:
        """Takes one message or an array of them; all are published, or none."""
        began = time.monotonic()
        fields: dict[str, Any] = {"path": request.url.path}
        try:
            status, answer = await _receive(request, fields)
            response = _json(status, answer)
        except BodyError as error:
            response = _json(error.status, {"detail": str(error)})
            if error.retry_after is not None:
                response.headers["Retry-After"] = str(error.retry_after)
            fields["detail"] = str(error)
        fields |= {"status": response.status_code, "seconds": round(time.monotonic() - began, 4)}
        level = logging.INFO
        if response.status_code == TROUBLE or response.status_code >= 500:
            level = logging.WARNING
        LOG.log(level, "request", extra={"fields": fields})
        return response

    async def _receive(request: Request, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        body = await read_body(request, limits, admission)
        texts: list[bytes] = []
        fields["bytes"] = len(body)
        try:
            cut = cut_messages(body)
            admission.add_messages(len(cut))
            texts = cut
            fields["messages"] = len(texts)
            taken = await intake.take(texts)
        finally:
            admission.leave(len(texts), len(body))
        if taken.faults:
            named = [_shown(index, fault) for index, all_ in taken.faults.items() for fault in all_]
            fields["reasons"] = dict(Counter(fault["reason"] for fault in named))
            return UNPROCESSABLE, {"accepted": 0, "errors": named}
        return ACCEPTED, {"accepted": len(texts)}

    return router


def _shown(index: int, fault: Fault) -> dict[str, Any]:
    return {
        "index": index,
        "field": fault.field,
        "reason": fault.reason,
        "detail": fault.detail,
    }


def _json(status: int, answer: dict[str, Any]) -> Response:
    return Response(orjson.dumps(answer), status, media_type="application/json")
