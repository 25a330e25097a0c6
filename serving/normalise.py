"""From readings to normalised device messages."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from schemas.reading import VersionKind
from serving.publishers import Outgoing

__all__ = ["normalise"]

MICROS = 1e6


def normalise(readings: pa.RecordBatch) -> list[Outgoing]:
    """Every reading as a message of the format `device_message`, whose key is the device.

    The message says all that the reading says, so that whoever parses it gets the same reading:
    also the identifier, the version and that it is taken back, where the device has said so.

    Args:
        readings: of schema `READINGS`.

    Returns:
        One message a reading, in the order of the batch.
    """
    columns = {
        name: readings.column(name).to_pylist()
        for name in ("id", "sensor_id", "quantity", "value_micros", "version", "version_kind")
    }
    deleted = readings.column("deleted").to_pylist()
    times = _iso(readings.column("event_time"))
    messages = []
    for row, device in enumerate(columns["sensor_id"]):
        fields: dict[str, object] = {"device_id": device, "timestamp": times[row]}
        fields["sensor"] = columns["quantity"][row]
        value = columns["value_micros"][row]
        fields["value"] = None if value is None else value / MICROS
        fields["id"] = columns["id"][row]
        kind = columns["version_kind"][row]
        if kind == VersionKind.VERSION:
            fields["version"] = columns["version"][row]
        elif kind == VersionKind.UPDATED_AT:
            fields["updated_at"] = _iso(pa.array([columns["version"][row]], pa.int64()))[0]
        if deleted[row]:
            fields["deleted"] = True
        said = {key: value for key, value in fields.items() if value is not None}
        text = json.dumps(said, ensure_ascii=False, separators=(", ", ": "))
        messages.append(Outgoing(text.encode(), device))
    return messages


def _iso(moments: pa.Array) -> list[str | None]:
    """Points in time as `2023-03-28T20:04:22Z`, with a fraction where there is one."""
    micros = moments.view(pa.int64())
    texts = np.datetime_as_string(micros.fill_null(0).to_numpy().astype("datetime64[us]"))
    known = micros.is_valid().to_pylist()
    return [
        f"{text.removesuffix('.000000')}Z" if valid else None
        for text, valid in zip(texts.tolist(), known, strict=True)
    ]
