"""Registers of devices for tests."""

from __future__ import annotations

from connectors.device_register import devices_in
from transforms.devices import Devices

HEADER = "device_id,latitude,longitude,from,to"
PARIS, TOULOUSE = "48.8566,2.3522", "43.6045,1.444"


def register(*lines: str, header: str = HEADER) -> bytes:
    """The content of a CSV file."""
    return "\n".join([header, *lines, ""]).encode()


def devices(*lines: str, header: str = HEADER) -> Devices:
    """The devices of a CSV file."""
    return devices_in(register(*lines, header=header), "devices.csv")
