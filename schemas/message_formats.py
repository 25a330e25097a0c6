"""Message formats: which field of a JSON message is which part of a reading."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MESSAGE_FORMATS", "MessageFormat"]


@dataclass(frozen=True)
class MessageFormat:
    """How one reading stands in one flat JSON object.

    Attributes:
        name: the format's name on the command line.
        id, time, longitude, latitude, value: the keys that a message must have.
        country: the key that may say in which country the place is.
        version, updated: the keys that may hold the reading's version: a number, a time.
        deleted: the key that may say that the reading is taken back.
        quantity: what `value` measures.
        unit: its unit.
    """

    name: str
    id: str
    time: str
    latitude: str
    longitude: str
    value: str
    country: str
    version: str
    updated: str
    deleted: str
    quantity: str
    unit: str

    @property
    def required(self) -> tuple[str, ...]:
        """The keys without which a message is no reading."""
        return (self.id, self.time, self.latitude, self.longitude, self.value)

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys that are read."""
        return (*self.required, self.country, self.version, self.updated, self.deleted)


MESSAGE_FORMATS = {
    "regional": MessageFormat(
        name="regional",
        id="id",
        time="timestamp",
        latitude="lat",
        longitude="lon",
        value="temperature",
        country="country",
        version="version",
        updated="updated_at",
        deleted="deleted",
        quantity="temperature",
        unit="°C",
    )
}
