"""A provider of Terraform that knows the schema of google-beta and nothing else.

The real provider comes from a registry that tests cannot count on. This one tells Terraform what
the real one takes, from provider_schema.json, so that `terraform validate` checks every argument
and type, and `terraform test` plans with mocked resources. What the real provider checks beyond
its schema (such as the form of a name) is not checked.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from tests.support.provider_schema import PATH

__all__ = ["ADDRESS", "find_terraform", "run_terraform", "serve_provider"]

ADDRESS = "hashicorp/google-beta"
REGISTRIES = {"terraform": "registry.terraform.io", "tofu": "registry.opentofu.org"}
SECONDS = 120
SINGLE, LIST = 1, 2


def find_terraform() -> str | None:
    """The path of terraform or tofu; None where neither is installed."""
    built = Path(sys.executable).with_name("tofu")
    return shutil.which("terraform") or shutil.which("tofu") or shutil.which(built)


@contextlib.contextmanager
def serve_provider() -> Iterator[dict[str, str]]:
    """Serves the provider in this process; gives the environment that Terraform finds it by."""
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Provider(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    there = {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
    }
    providers = {f"{registry}/{ADDRESS}": there for registry in REGISTRIES.values()}
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps(providers)}
    finally:
        server.stop(None).wait()


def run_terraform(
    folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Runs Terraform in a folder, without a network and without the user's configuration."""
    program = find_terraform()
    assert program is not None
    return subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class _Provider(grpc.GenericRpcHandler):
    """Answers with the schema; to all else with an empty message, which means: no objection."""

    def __init__(self) -> None:
        self._schema = _provider_schema(json.loads(PATH.read_text("utf-8")))

    def service(self, handler_call_details: Any) -> Any:
        answer = b""
        if handler_call_details.method == "/tfplugin6.Provider/GetProviderSchema":
            answer = self._schema
        elif not handler_call_details.method.startswith("/tfplugin6.Provider/Validate"):
            return None
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: answer)


def _provider_schema(known: dict[str, Any]) -> bytes:
    """GetProviderSchema.Response of tfplugin6.proto."""
    return b"".join(
        [
            _message(1, _schema(known["provider"])),
            *_map(2, known["resources"]),
            *_map(3, known["data_sources"]),
        ]
    )


def _map(field: int, blocks: dict[str, Any]) -> list[bytes]:
    return [
        _message(field, _message(1, name.encode()) + _message(2, _schema(block)))
        for name, block in blocks.items()
    ]


def _schema(block: dict[str, Any]) -> bytes:
    return _message(2, _block(block))


def _block(block: dict[str, Any]) -> bytes:
    attributes = [
        _message(2, _attribute(name, given)) for name, given in block["attributes"].items()
    ]
    blocks = [_message(3, _nested(name, given)) for name, given in block["blocks"].items()]
    return b"".join(attributes + blocks)


def _attribute(name: str, given: dict[str, Any]) -> bytes:
    kind = _message(1, name.encode()) + _message(2, json.dumps(given["type"]).encode())
    if given.get("required"):
        return kind + _number(4, 1)
    return kind + _number(5, int("required" in given)) + _number(6, int(given.get("computed", 0)))


def _nested(name: str, given: dict[str, Any]) -> bytes:
    nesting = SINGLE if name == "timeouts" else LIST
    parts = [_message(1, name.encode()), _message(2, _block(given)), _number(3, nesting)]
    if nesting == LIST:
        parts += [_number(4, int(given["required"])), _number(5, 0 if given["many"] else 1)]
    return b"".join(parts)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
