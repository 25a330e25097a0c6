"""Format files: read, checked, and brought into one shape for every schema version."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from schemas.schema_paths import paths_of

__all__ = ["FormatError", "read_format"]

PARTS = (
    "id", "sensor_id", "event_time", "latitude", "longitude", "country", "version", "updated_at",
    "deleted",
)  # fmt: skip
OPTIONAL = ("country", "version", "updated_at", "deleted")
KEY = r'[^.\[\]"\\\x00-\x1f$]+'
PATH = re.compile(rf"{KEY}(\.{KEY})*(\[\](\.{KEY})+)?")
BARE = "$"
LONGEST_TEXT = 56
"""Bytes of the longest text that stands for a quantity."""


class FormatError(ValueError):
    """A message format that is unknown or wrong; the message is one sentence that says why."""


def read_format(path: Path) -> dict[str, Any]:
    """Reads a format's file.

    Args:
        path: the file.

    Returns:
        `description`, `message` (the JSON Schema), `order`, `bare`, `version_path`,
        `unversioned`, and `layouts`: for each schema version `paths`, `constants`, `entries`,
        `selector` and `quantities`.

    Raises:
        FormatError: it cannot be read, or is no format.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"it is not JSON: {error}"
        msg = f"the message format {path} cannot be read: {reason}"
        raise FormatError(msg) from error
    return _Document(path, document).read()


class _Document:
    """One file on its way to a format."""

    def __init__(self, path: Path, document: Any) -> None:
        self._path = path
        self._document = self._object(document, "it")
        self._known: set[str] = set()

    def read(self) -> dict[str, Any]:
        document = self._document
        self._only(document, "it", "description", "order", "message", "reading", "schema_version")
        schema = self._object(document.get("message"), "message")
        reading = self._object(document.get("reading"), "reading")
        order = document.get("order")
        if order is not None and (not isinstance(order, int) or isinstance(order, bool)):
            self._refuse("order is not an integer")
        self._known = set(paths_of(schema))
        bare = reading.get("value") == BARE
        found = {
            "description": str(document.get("description", "")),
            "message": schema,
            "order": order,
            "bare": bare,
            "version_path": None,
            "unversioned": "",
        }
        if bare:
            self._only(reading, "reading", "value")
            paths = dict.fromkeys(("id", "sensor_id", "event_time"), BARE)
            layout = {"paths": paths, "constants": {}, "entries": None, "selector": None}
            return {**found, "layouts": {"": {**layout, "quantities": {}}}}
        newest = self._layout(reading)
        if "schema_version" not in document:
            return {**found, "layouts": {"": newest}}
        return {**found, **self._versions(newest)}

    def _layout(self, reading: Mapping[str, Any]) -> dict[str, Any]:
        self._only(reading, "reading", *PARTS, "value", "quantity")
        paths = {part: self._known_path(reading[part], part) for part in PARTS if part in reading}
        if any("[" in path for path in paths.values()):
            self._refuse("only the value and the quantity can stand in the entries of an array")
        if "event_time" not in paths or not {"id", "sensor_id"} & set(paths):
            self._refuse("reading needs event_time, and id or sensor_id")
        if ("latitude" in paths) != ("longitude" in paths):
            self._refuse("reading has one of latitude and longitude, and needs both or none")
        value = reading.get("value")
        kind = self._object(reading.get("quantity"), "quantity")
        if "path" in kind:
            self._only(kind, "quantity", "path", "is")
            selector = self._known_path(kind["path"], "quantity")
            kinds = self._object(kind.get("is"), "quantity.is")
            if not kinds:
                self._refuse("quantity.is names no quantity")
            if any(not 0 < len(text.encode()) <= LONGEST_TEXT for text in kinds):
                self._refuse(f"a text of quantity.is has not 1 to {LONGEST_TEXT} bytes")
            quantities = {
                text: self._quantity({"name": text, **self._object(one, text)}, value)
                for text, one in kinds.items()
            }
        else:
            selector, quantities = None, {"": self._quantity(kind, value)}
        places = {path for one in quantities.values() for path in one["value"]}
        if selector is not None:
            places.add(selector)
        arrays = {path.partition("[]")[0] if "[]" in path else None for path in places}
        if len(arrays) > 1:
            self._refuse("value and quantity stand neither both in the message nor in one array")
        return {
            "paths": paths,
            "constants": {},
            "entries": arrays.pop(),
            "selector": selector,
            "quantities": quantities,
        }

    def _quantity(self, kind: Mapping[str, Any], value: Any) -> dict[str, Any]:
        self._only(kind, "quantity", "name", "unit", "value", "factor", "offset")
        name, unit = kind.get("name"), kind.get("unit")
        if not isinstance(name, str) or not isinstance(unit, str) or not name:
            self._refuse("a quantity needs a name and a unit")
        value = kind.get("value", value)
        listed = value if isinstance(value, list) else [value]
        if not listed or value is None:
            self._refuse(f"it is not said where the value of {name} stands")
        return {
            "name": name,
            "unit": unit,
            "value": [self._known_path(path, "value") for path in listed],
            **self._conversion(kind, f"the quantity {name}"),
        }

    def _conversion(self, kind: Mapping[str, Any], where: str) -> dict[str, float]:
        found = {"factor": kind.get("factor", 1.0), "offset": kind.get("offset", 0.0)}
        for name, number in found.items():
            if not isinstance(number, int | float) or isinstance(number, bool):
                self._refuse(f"the {name} of {where} is not a number")
        if found["factor"] == 0:
            self._refuse(f"the factor of {where} is 0")
        return {name: float(number) for name, number in found.items()}

    def _versions(self, newest: dict[str, Any]) -> dict[str, Any]:
        said = self._object(self._document["schema_version"], "schema_version")
        self._only(said, "schema_version", "path", "newest", "without", "older")
        path = self._known_path(said.get("path"), "schema_version")
        name = said.get("newest")
        if not isinstance(name, str) or not name or "[" in path:
            self._refuse("schema_version needs a path in the message and the newest, as a text")
        older = self._object(said.get("older", {}), "schema_version.older")
        layouts = {
            version: self._older(newest, self._object(changes, f"schema version {version}"))
            for version, changes in older.items()
        }
        layouts = {name: newest, **layouts}
        without = said.get("without", name)
        if without not in layouts:
            self._refuse(f"there is no schema version {without!r}")
        return {"layouts": layouts, "version_path": path, "unversioned": without}

    def _older(self, newest: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """The layout of an older version: what must be known to make it the newest."""
        self._only(changes, "an older schema version", "renamed", "constants", "converted")
        renamed = self._object(changes.get("renamed", {}), "renamed")
        constants = dict(self._object(changes.get("constants", {}), "constants"))
        converted = self._object(changes.get("converted", {}), "converted")
        used = {*newest["paths"].values(), newest["selector"]} - {None}
        used |= {path for one in newest["quantities"].values() for path in one["value"]}
        for path in (*renamed, *constants):
            if path not in used:
                self._refuse(f"the newest schema version does not use {path!r}")
        fixed = {newest["paths"].get("id"), newest["paths"].get("sensor_id")}
        if fixed & set(constants) or not all(
            isinstance(constant, str | int | float) and not isinstance(constant, bool)
            for constant in constants.values()
        ):
            self._refuse("a constant is a text or a number, and neither an id nor a sensor_id")
        names = {kind["name"] for kind in newest["quantities"].values()}
        for quantity in converted:
            if quantity not in names:
                self._refuse(f"there is no quantity {quantity!r} to be converted")
        old = {path: self._known_path(now, "renamed") for path, now in renamed.items()}

        def then(path: str) -> str:
            return old.get(path, path)

        quantities = {}
        for text, kind in newest["quantities"].items():
            change = self._object(converted.get(kind["name"], {}), "converted")
            self._only(change, "converted", "factor", "offset")
            first = self._conversion(change, f"the quantity {kind['name']}")
            quantities[text] = {
                **kind,
                "value": [then(path) for path in kind["value"]],
                "factor": first["factor"] * kind["factor"],
                "offset": first["offset"] * kind["factor"] + kind["offset"],
            }
        places = [path for one in quantities.values() for path in one["value"]]
        selector = None if newest["selector"] is None else then(newest["selector"])
        arrays = {path.partition("[]")[0] if "[]" in path else None for path in places}
        if selector is not None and selector not in constants:
            arrays.add(selector.partition("[]")[0] if "[]" in selector else None)
        if len(arrays) > 1:
            self._refuse("of an older version value and quantity stand in different arrays")
        return {
            "paths": {part: then(path) for part, path in newest["paths"].items()},
            "constants": constants,
            "entries": arrays.pop(),
            "selector": selector,
            "quantities": quantities,
        }

    def _known_path(self, path: Any, part: str) -> str:
        if not isinstance(path, str) or not PATH.fullmatch(path):
            self._refuse(f"{path!r} is no path for {part}: write keys with dots between them")
        if path not in self._known:
            self._refuse(f"the JSON Schema of the message does not have {path!r} (for {part})")
        return path

    def _object(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._refuse(f"{where} is not a JSON object")
        return value

    def _only(self, value: Mapping[str, Any], where: str, *known: str) -> None:
        more = [key for key in value if key not in known]
        if more:
            self._refuse(f"{where} has the unknown key {more[0]!r}; known are {', '.join(known)}")

    def _refuse(self, why: str) -> NoReturn:
        msg = f"the message format {self._path} is wrong: {why}"
        raise FormatError(msg)
