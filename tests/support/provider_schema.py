"""Writes what the google-beta provider of Terraform takes, for the types that this project uses.

`python -m tests.support.provider_schema WHEEL` reads the wheel of cdktn-provider-google-beta from
PyPI (`pip download --no-deps cdktn-provider-google-beta==21.1.0`). That package is made from the
provider's own schema, which only the provider itself gives out, and it needs a download of its own.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

__all__ = ["PATH", "main"]

PATH = Path(__file__).parents[1] / "deploy" / "terraform" / "provider_schema.json"
FOLDER = Path(__file__).parents[2] / "deploy" / "terraform"
MODULE = "@cdktn/provider-google-beta"
OF_TERRAFORM = {
    "connection",
    "count",
    "dependsOn",
    "forEach",
    "lifecycle",
    "provider",
    "provisioners",
}
PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool"}
MAPS = {"StringMap": "string", "NumberMap": "number", "BooleanMap": "bool"}
LISTS = {"BooleanList": "bool", "NumberList": "number"}


def main(wheel: str) -> int:
    """Writes the schema of every type that the configuration names; returns 0."""
    types = _assembly(wheel)
    found: dict[str, Any] = {"resources": {}, "data_sources": {}}
    text = "\n".join(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.tf")))
    for kind, label in re.findall(r'^(resource|data) "(google_\w+)"', text, re.MULTILINE):
        place = found["resources" if kind == "resource" else "data_sources"]
        place[label] = _resource(types, label, "Data" if kind == "data" else "")
    page = json.dumps(types[_class("google_pubsub_topic")])
    found["provider_version"] = re.findall(r"google-beta/([0-9.]+)/docs", page)[0]
    config = types[f"{MODULE}.provider.GoogleBetaProviderConfig"]
    found["provider"] = _block(types, config["properties"])
    PATH.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


def _assembly(wheel: str) -> dict[str, Any]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        packed = archive.read(name)
    with tarfile.open(fileobj=io.BytesIO(packed)) as package:
        member = package.extractfile("package/.jsii")
        assert member is not None
        return json.load(member)["types"]  # type: ignore[no-any-return]


def _class(label: str, prefix: str = "") -> str:
    name = prefix + "".join(word.capitalize() for word in label.split("_"))
    return f"{MODULE}.{name[0].lower()}{name[1:]}.{name}"


def _resource(types: dict[str, Any], label: str, prefix: str) -> dict[str, Any]:
    name = _class(label, prefix)
    block = _block(types, types[f"{name}Config"]["properties"])
    for given in types[name]["properties"]:
        attribute = _snake(given["name"])
        known = attribute in block["attributes"] or attribute in block["blocks"]
        if given["name"].endswith("Input") or given.get("static") or known:
            continue
        block["attributes"][attribute] = {"type": _type(given["type"]), "computed": True}
    return block


def _block(types: dict[str, Any], properties: list[dict[str, Any]]) -> dict[str, Any]:
    block: dict[str, Any] = {"attributes": {}, "blocks": {}}
    for given in properties:
        if given["name"] in OF_TERRAFORM or given["name"].endswith("CustomEndpoint"):
            continue
        name = _documented_name(given)
        inner, many = _struct(types, given["type"])
        if inner:
            block["blocks"][name] = {
                **_block(types, types[inner].get("properties", [])),
                "required": not given.get("optional"),
                "many": many,
            }
        else:
            required = not given.get("optional")
            block["attributes"][name] = {"type": _type(given["type"]), "required": required}
            if name in {"id", "project"}:
                block["attributes"][name]["computed"] = True
    return block


def _documented_name(given: dict[str, Any]) -> str:
    found = re.search(r"#([a-z0-9_]+) ", json.dumps(given.get("docs", {})))
    return found[1] if found else _snake(given["name"])


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def _struct(types: dict[str, Any], given: dict[str, Any]) -> tuple[str | None, bool]:
    """The struct that a property holds, if any, and whether it may hold several."""
    if "union" in given:
        for option in given["union"]["types"]:
            inner, many = _struct(types, option)
            if inner:
                return inner, many
    if "collection" in given and given["collection"]["kind"] == "array":
        return _struct(types, given["collection"]["elementtype"])[0], True
    name = given.get("fqn", "")
    is_struct = name.startswith(MODULE) and types[name]["kind"] == "interface"
    return (name if is_struct else None), False


def _type(given: dict[str, Any]) -> Any:
    """A type as Terraform writes it in JSON."""
    if "primitive" in given:
        return PRIMITIVES.get(given["primitive"], "dynamic")
    if "collection" in given:
        kind = "list" if given["collection"]["kind"] == "array" else "map"
        return [kind, _type(given["collection"]["elementtype"])]
    if "union" in given:
        return _type(given["union"]["types"][0])
    name = given.get("fqn", "").rpartition(".")[2]
    if name in MAPS:
        return ["map", MAPS[name]]
    return ["list", LISTS[name]] if name in LISTS else "dynamic"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
