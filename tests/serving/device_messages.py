"""Messages of devices for tests: good ones, and nearly good ones."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

THERMOSTAT = {
    "device_id": "1",
    "timestamp": "2023-03-28T20:04:22Z",
    "temperature": 25.2,
    "tag": "Thermostat",
}
KINDS = {
    "Thermostat": "temperature",
    "Barometer": "pressure",
    "Hygrometer": "humidity",
    "Heart Rate Meter": "heart_rate",
}
NORMALISED = {
    "device_id": "1",
    "timestamp": "2023-03-28T20:04:22Z",
    "sensor": "temperature",
    "value": 25.2,
}


def device_message(**changes: Any) -> dict[str, Any]:
    """A thermostat's message with some fields changed; `...` takes a field away."""
    return {key: value for key, value in {**THERMOSTAT, **changes}.items() if value is not ...}


TIMES = st.sampled_from(
    [
        "2023-03-28T20:04:22Z",
        "2023-03-28 20:04:22",
        "2023-03-28T20:04:22.123456+02:00",
        "2023-03-28T20:04",
        1680033862,
        1680033862123,
        "1680033862",
        "2023-02-30T00:00:00Z",
        "2999-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "yesterday",
        "",
        1e300,
        None,
        True,
        [],
    ]
)
VALUES = st.one_of(
    st.floats(),
    st.integers(),
    st.integers(-100, 100).map(str),
    st.sampled_from(["NaN", "warm", "", " 5 ", "1e400", "0x10", None, True, {}, [1], 1e9, -1e10]),
)
NAMES = st.one_of(
    st.text(max_size=8),
    st.integers(-5, 10**20),
    st.sampled_from(["1", "é", "\u2028", "\ud800", '"\\', 1.5, None, True, [], {}]),
)
VERSIONS = st.sampled_from([1, 0, -3, "7", 2.0, 2.5, 2**63, "NaN", None, True, [], "new"])


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """A message of either form whose fields are good, bad, of another kind or missing."""
    kind = draw(st.sampled_from([*KINDS, "Hydrometer", None, 3]))
    fields: dict[str, Any] = {"device_id": draw(NAMES), "timestamp": draw(TIMES)}
    if draw(st.booleans()):
        quantity = draw(st.sampled_from([*KINDS.values(), "heartRate", "wind"]))
        fields[quantity] = draw(VALUES)
        if draw(st.booleans()):
            quantity_of_kind = KINDS.get(kind, "temperature") if kind != 3 else "temperature"
            fields[quantity_of_kind] = draw(VALUES)
        fields["tag"] = kind
    else:
        fields["sensor"] = draw(st.sampled_from([*KINDS.values(), "wind", None, 3, ""]))
        fields["value"] = draw(VALUES)
    for key, values in (
        ("version", VERSIONS),
        ("updated_at", TIMES),
        ("deleted", st.sampled_from([True, False, None, "yes", 1])),
        ("extra", VALUES),
    ):
        if draw(st.integers(0, 4)) == 0:
            fields[key] = draw(values)
    for key in list(fields):
        if draw(st.integers(0, 9)) == 0:
            del fields[key]
    return fields


def as_text(message: Any) -> bytes:
    """A message as JSON; what cannot be UTF-8 stands there escaped."""
    text = json.dumps(message, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(message).encode()
