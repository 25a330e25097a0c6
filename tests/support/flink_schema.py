"""Writes what the Flink operator takes as a FlinkDeployment, as a JSON schema.

`python -m tests.support.flink_schema JAR` reads the jar of the operator's interface from Maven:
`mvn dependency:copy -Dartifact=org.apache.flink:flink-kubernetes-operator-api:1.10.0`.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

__all__ = ["PATH", "main", "strict"]

PATH = Path(__file__).parents[1] / "deploy" / "flink" / "flinkdeployment.json"
DEFINITION = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
POD = "podTemplate"


def strict(schema: Any) -> Any:
    """A schema of Kubernetes as one of JSON, which refuses names that it does not know."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    dropped = {"description", "default", "format"}
    found = {
        key: {name: strict(each) for name, each in value.items()}
        if key == "properties"
        else strict(value)
        for key, value in schema.items()
        if key not in dropped and not key.startswith("x-kubernetes-")
    }
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in found and "additionalProperties" not in found and not open_ended:
        found["additionalProperties"] = False
    return found


def main(jar: str) -> None:
    """Writes the schema; that of a pod, which stands there three times, once."""
    with zipfile.ZipFile(jar) as opened:
        definition = yaml.safe_load(opened.read(DEFINITION))
    (version,) = definition["spec"]["versions"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    of_deployment = schema["properties"]
    del of_deployment["status"]
    of_deployment["apiVersion"] = {"const": f"flink.apache.org/{version['name']}"}
    of_deployment["kind"] = {"const": "FlinkDeployment"}
    of_deployment["metadata"] = {"type": "object"}
    schema["additionalProperties"] = False
    spec = of_deployment["spec"]["properties"]
    schema["$defs"] = {POD: spec[POD]}
    for place in (spec, spec["jobManager"]["properties"], spec["taskManager"]["properties"]):
        assert place[POD] == schema["$defs"][POD]
        place[POD] = {"$ref": f"#/$defs/{POD}"}
    PATH.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
