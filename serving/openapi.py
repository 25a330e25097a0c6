"""What the documentation says of `POST /devices/messages`: schemas and examples."""

from __future__ import annotations

from typing import Any

from schemas.reasons import REASONS

__all__ = ["MESSAGES_OPERATION"]

THERMOSTAT = {
    "device_id": "1",
    "timestamp": "2023-03-28T20:04:22Z",
    "temperature": 25.2,
    "tag": "Thermostat",
}
BAROMETER = {**THERMOSTAT, "device_id": "2", "pressure": 1060.5, "tag": "Barometer"}
del BAROMETER["temperature"]
NORMALISED = {
    "device_id": "1",
    "timestamp": "2023-03-28T20:04:22Z",
    "sensor": "temperature",
    "value": 25.2,
}
FAULTY = {**THERMOSTAT, "timestamp": "yesterday", "temperature": "warm"}

FAULT = {
    "type": "object",
    "required": ["index", "field", "reason", "detail"],
    "properties": {
        "index": {
            "type": "integer",
            "description": "Which message of the array, from 0; 0 where there is one.",
        },
        "field": {
            "type": ["string", "null"],
            "description": "The key that is wrong; null where it is the whole message.",
        },
        "reason": {"enum": list(REASONS)},
        "detail": {"type": "string", "description": "The fault as a sentence."},
    },
}
FAULTS_EXAMPLE = {
    "accepted": 0,
    "errors": [
        {
            "index": 0,
            "field": "temperature",
            "reason": "wrong_type",
            "detail": "the field temperature is not a number",
        },
        {
            "index": 0,
            "field": "timestamp",
            "reason": "bad_timestamp",
            "detail": "the field timestamp is not a timestamp we know",
        },
    ],
}
RETRY = {
    "Retry-After": {
        "description": "Seconds after which to send the same request again.",
        "schema": {"type": "integer"},
    }
}


def _answer(properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"application/json": {"schema": schema, "example": example}}


def _detail(description: str, **more: Any) -> dict[str, Any]:
    content = _answer({"detail": {"type": "string"}}, {"detail": "a sentence that says why"})
    return {"description": description, "content": content, **more}


def _example(summary: str, value: Any) -> dict[str, Any]:
    return {"summary": summary, "value": value}


def _body() -> dict[str, Any]:
    message = {"type": "object", "example": THERMOSTAT}
    return {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "oneOf": [message, {"type": "array", "items": message, "minItems": 1}],
                },
                "examples": {
                    "thermostat": _example("A thermostat's message", THERMOSTAT),
                    "barometer": _example("A barometer's message", BAROMETER),
                    "normalised": _example("A message in the normalised form", NORMALISED),
                    "several": _example("Several messages", [THERMOSTAT, BAROMETER]),
                    "faulty": _example("A message with two faults", FAULTY),
                },
            }
        },
    }


COUNT = {"accepted": {"type": "integer", "description": "How many messages were taken."}}
MESSAGES_OPERATION: dict[str, Any] = {
    "tags": ["devices"],
    "summary": "Send messages of devices",
    "description": (
        "Takes one message, or an array of them. Each is checked and normalised; then all are "
        "put on the queue, or, if one is bad, none. **202** means that the queue has confirmed "
        "them. Where no answer came, send them again: the same reading counts once."
    ),
    "status_code": 202,
    "responses": {
        202: {
            "description": "The queue has confirmed all messages.",
            "content": _answer(COUNT, {"accepted": 2}),
        },
        400: _detail("The body is not JSON, or neither an object nor an array of them."),
        408: _detail("The body did not come in time."),
        413: _detail("The body is too large, or holds too many messages."),
        415: _detail("The body is not `application/json`."),
        422: {
            "description": "A message is bad; nothing was put on the queue. Every fault is named.",
            "content": _answer(
                {**COUNT, "errors": {"type": "array", "items": FAULT}}, FAULTS_EXAMPLE
            ),
        },
        429: _detail("Too many messages wait for the queue's confirmation.", headers=RETRY),
        503: _detail("The queue has not confirmed the messages in time.", headers=RETRY),
    },
    "openapi_extra": {"requestBody": _body()},
}
