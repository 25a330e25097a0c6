"""Just enough of Cloud Storage, and of Google's sign-in, to launch a template without a network.

Real client libraries talk to it: by STORAGE_EMULATOR_HOST, and by a service account whose address
for tokens is this server's. It keeps all objects in memory.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
OBJECTS = re.compile(r"/storage/v1/b/([^/]+)/o")
OBJECT = re.compile(r"(/download)?/storage/v1/b/([^/]+)/o/(.+)")
UPLOAD = re.compile(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o")
NOWHERE = "http://127.0.0.1:9"


@dataclass
class FakeStorage:
    """What the server holds.

    Attributes:
        url: where it listens.
        objects: contents by `bucket/name`.
        unknown: requests that it did not understand.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def environment(self, folder: Path) -> dict[str, str]:
        """The variables with which client libraries reach this server, and no other.

        Args:
            folder: where the service account's key is put.
        """
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "example-project",
            "private_key_id": "1",
            "private_key": key.decode(),
            "client_email": "launcher@example-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        path = folder / "account.json"
        path.write_text(json.dumps(account), "utf-8")
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(path),
            "NO_GCE_CHECK": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "HTTPS_PROXY": NOWHERE,
            "https_proxy": NOWHERE,
            "HTTP_PROXY": NOWHERE,
            "http_proxy": NOWHERE,
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    storage: FakeStorage
    sessions: dict[str, bytearray]

    def do_GET(self) -> None:
        path, query = self._asked()
        if found := OBJECT.fullmatch(path):
            key = f"{found[2]}/{unquote(found[3])}"
            content = self.storage.objects.get(key)
            if content is None:
                self._answer({"error": {"code": 404, "message": "No such object"}}, 404)
            elif found[1] or query.get("alt") == ["media"]:
                self._send(content, 200, "application/octet-stream")
            else:
                self._answer(_described(key, content))
        elif found := OBJECTS.fullmatch(path):
            prefix = f"{found[1]}/{query.get('prefix', [''])[0]}"
            names = sorted(key for key in self.storage.objects if key.startswith(prefix))
            listed = [_described(key, self.storage.objects[key]) for key in names]
            self._answer({"kind": "storage#objects", "items": listed})
        elif found := BUCKET.fullmatch(path):
            self._answer({"kind": "storage#bucket", "name": found[1], "location": "EU"})
        else:
            self._not_understood()

    def do_POST(self) -> None:
        path, query = self._asked()
        body = self._body()
        if path == "/token":
            self._answer({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})
        elif (found := UPLOAD.fullmatch(path)) and query.get("uploadType") == ["resumable"]:
            name = query.get("name", [None])[0] or json.loads(body)["name"]
            self.sessions[f"{found[1]}/{name}"] = bytearray()
            self._send(b"", 200, "text/plain", f"{self.storage.url}/session/{found[1]}/{name}")
        else:
            self._not_understood()

    def do_PUT(self) -> None:
        path, _ = self._asked()
        body = self._body()
        key = unquote(path).removeprefix("/session/")
        if key not in self.sessions:
            self._not_understood()
            return
        self.sessions[key] += body
        content = bytes(self.sessions[key])
        if self.headers.get("Content-Range", "").endswith("/*"):
            self.send_response(308)
            self.send_header("Range", f"bytes=0-{len(content) - 1}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.storage.objects[key] = content
        self._answer(_described(key, content))

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _asked(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return parts.path, parse_qs(parts.query)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _not_understood(self) -> None:
        self.storage.unknown.append(f"{self.command} {self.path}")
        self._answer({"error": {"code": 501, "message": "not understood"}}, 501)

    def _answer(self, body: object, status: int = 200) -> None:
        self._send(json.dumps(body).encode(), status, "application/json")

    def _send(self, body: bytes, status: int, kind: str, location: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if location is not None:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)


def _described(key: str, content: bytes) -> dict[str, str]:
    bucket, _, name = key.partition("/")
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "size": str(len(content)),
        "crc32c": base64.b64encode(google_crc32c.Checksum(content).digest()).decode(),
        "generation": "1",
        "updated": "2026-01-01T00:00:00.000Z",
        "timeCreated": "2026-01-01T00:00:00.000Z",
    }


@contextlib.contextmanager
def fake_storage() -> Iterator[FakeStorage]:
    """Runs the server while the block runs."""
    storage = FakeStorage()
    handler = type("Handler", (_Handler,), {"storage": storage, "sessions": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    storage.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield storage
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
