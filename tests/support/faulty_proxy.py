"""A proxy before the BigQuery emulator that misbehaves on command: over HTTP, and over gRPC.

It also puts right what the emulator gets wrong about load jobs: a job that is uploaded has the
identifier that its client gave it, and another job of that identifier is refused.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types

Fault = Callable[["Exchange"], None]
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "host"}
LARGE = (("grpc.max_receive_message_length", -1),)
UPLOAD = re.compile(r"/upload/.*/jobs")


@dataclass
class Rule:
    """What goes wrong, where, and how often."""

    path: str
    fault: Any
    times: int


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        rest: its address over HTTP.
        grpc: host and port over gRPC.
        requests: method and path of each request.
    """

    upstream: str
    grpc_upstream: str
    rest: str = ""
    grpc: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    uploads: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fails(self, path: str, fault: Any, times: int = 1) -> None:
        """The next requests whose path matches go wrong."""
        self.rules.append(Rule(path, fault, times))

    def next_fault(self, path: str) -> Any:
        with self.lock:
            for rule in self.rules:
                if rule.times and re.search(rule.path, path):
                    rule.times -= 1
                    return rule.fault
        return None

    @property
    def pending(self) -> int:
        """Faults that nobody has met yet."""
        return sum(rule.times for rule in self.rules)


@dataclass
class Exchange:
    """A request over HTTP on its way."""

    handler: Handler
    body: bytes

    def forward(self, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """What the emulator answers."""
        return self.handler.forward(self.body if body is None else body)

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.handler.answer(status, headers, content)


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes one request on, or does what its fault says."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy.requests.append((self.command, self.path))
        fault = proxy.next_fault(self.path)
        exchange = Exchange(self, body)
        with contextlib.suppress(OSError):
            if fault is not None:
                fault(exchange)
            else:
                exchange.answer(*exchange.forward())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        proxy, path = self.server.proxy, self.path
        wanted = _uploaded_job(path, body)
        if wanted in proxy.jobs:
            return 409, {}, _error(409, "duplicate", f"Already Exists: Job {wanted}")
        found = re.search(r"/jobs/([\w-]+)", path)
        if found and found[1] in proxy.jobs:
            path = path.replace(found[1], proxy.jobs[found[1]])
        where = urllib.parse.urlsplit(proxy.upstream)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP
        }
        try:
            connection.request(self.command, path, body, headers | {"Host": where.netloc})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        given = {
            name: value.replace(proxy.upstream, proxy.rest)
            for name, value in response.getheaders()
            if name.lower() not in HOP_BY_HOP
        }
        return response.status, given, self._named(path, wanted, given, content)

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def drop(self) -> None:
        """Cuts the connection without an answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def log_message(self, *_: object) -> None:
        pass

    def _named(
        self, path: str, wanted: str | None, headers: dict[str, str], content: bytes
    ) -> bytes:
        """Gives uploaded jobs their identifiers: the emulator makes up its own."""
        proxy = self.server.proxy
        session = _session(path) or _session(headers.get("Location", headers.get("location", "")))
        if wanted and session:
            proxy.uploads[session] = wanted
        name = wanted or proxy.uploads.get(session or "")
        if not content.startswith(b"{"):
            return content
        document = json.loads(content)
        reference = document.get("jobReference")
        if not reference:
            return content
        if name and UPLOAD.search(path):
            proxy.jobs[name] = reference["jobId"]
        for given, made_up in proxy.jobs.items():
            if reference["jobId"] == made_up:
                reference["jobId"] = given
        return json.dumps(document).encode()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy


def _session(path: str) -> str | None:
    found = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query).get("upload_id")
    return found[0] if found else None


def _uploaded_job(path: str, body: bytes) -> str | None:
    """The identifier that the client gives a job that it uploads."""
    if not UPLOAD.search(path):
        return None
    found = re.search(rb'"jobId"\s*:\s*"([\w-]+)"', body[:4096])
    return found[1].decode() if found else None


def _error(status: int, reason: str, message: str) -> bytes:
    errors = [{"reason": reason, "message": message, "domain": "global"}]
    return json.dumps({"error": {"code": status, "message": message, "errors": errors}}).encode()


# Over HTTP.


def status(code: int, reason: str, message: str = "injected") -> Fault:
    """An error instead of an answer."""
    headers = {"Content-Type": "application/json"}
    return lambda exchange: exchange.answer(code, headers, _error(code, reason, message))


def dropped(exchange: Exchange) -> None:
    """The connection is cut before the request is seen."""
    exchange.handler.drop()


def answer_lost(exchange: Exchange) -> None:
    """The request is carried out, and the connection cut before the answer."""
    exchange.forward()
    exchange.handler.drop()


def slow(seconds: float) -> Fault:
    """The answer takes so long."""

    def wait(exchange: Exchange) -> None:
        found = exchange.forward()
        time.sleep(seconds)
        exchange.answer(*found)

    return wait


def row_refused(number: int, reason: str, message: str = "injected") -> Fault:
    """One row of a streaming insert is refused; the others are written."""

    def refuse(exchange: Exchange) -> None:
        document = json.loads(exchange.body)
        del document["rows"][number]
        code, headers, _ = exchange.forward(json.dumps(document).encode())
        errors = [{"reason": reason, "location": "source", "message": message}]
        answer = {"insertErrors": [{"index": number, "errors": errors}]}
        exchange.answer(code, headers, json.dumps(answer).encode())

    return refuse


# Over gRPC: what takes the requests of a call and the context, and gives its answers.


def ends_with(code: grpc.StatusCode, after: int = 0) -> Any:
    """The call ends with an error, when so many requests have been answered."""

    def end(requests: Iterator[bytes], context: Any, forward: Any) -> Iterator[bytes]:
        # A call that is forwarded is carried out, whoever waits for its answers.
        if after:
            for _, response in zip(range(after), forward(requests), strict=False):
                yield response
        context.abort(code, "injected")

    return end


def answers_error(number: int, code: int, refused: dict[int, str] | None = None) -> Any:
    """One request of the call is answered by an error, and the others are carried out."""

    def answer(requests: Iterator[bytes], context: Any, forward: Any) -> Iterator[bytes]:  # noqa: ARG001
        texts = list(requests)
        error = types.AppendRowsResponse()
        error.error.code, error.error.message = code, "injected"
        for index, message in (refused or {}).items():
            error.row_errors.append(types.RowError(index=index, code=1, message=message))
        # The schema comes with the first request only.
        first = types.AppendRowsRequest.deserialize(texts[0])
        good = [types.AppendRowsRequest.deserialize(each) for each in texts]
        del good[number]
        if good and number == 0:
            good[0].write_stream = first.write_stream
            good[0].arrow_rows.writer_schema = first.arrow_rows.writer_schema
        told = forward(iter([types.AppendRowsRequest.serialize(each) for each in good]))
        for index in range(len(texts)):
            if index == number:
                yield types.AppendRowsResponse.serialize(error)
            else:
                yield next(told)

    return answer


def silent(seconds: float) -> Any:
    """No answer for so long."""

    def wait(requests: Iterator[bytes], context: Any, forward: Any) -> Iterator[bytes]:
        until = time.monotonic() + seconds
        while time.monotonic() < until and context.is_active():
            time.sleep(0.05)
        if context.is_active():
            yield from forward(requests)

    return wait


class _Calls(grpc.GenericRpcHandler):
    def __init__(self, proxy: Proxy, channel: grpc.Channel) -> None:
        self._proxy, self._channel = proxy, channel

    def service(self, details: Any) -> Any:
        def call(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            self._proxy.requests.append(("GRPC", details.method))
            fault = self._proxy.next_fault(details.method)
            forward = self._channel.stream_stream(details.method)
            if fault is not None:
                return fault(requests, context, forward)
            return forward(requests)

        return grpc.stream_stream_rpc_method_handler(call)


@contextlib.contextmanager
def proxying(rest: str, grpc_address: str) -> Iterator[Proxy]:
    """A proxy before an emulator, while the block runs.

    Args:
        rest: the emulator's address over HTTP.
        grpc_address: and over gRPC.
    """
    server = _Server(("127.0.0.1", 0), Handler)
    proxy = server.proxy = Proxy(rest, grpc_address)
    proxy.rest = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    channel = grpc.insecure_channel(grpc_address, options=LARGE)
    threads = futures.ThreadPoolExecutor(8)
    calls = grpc.server(threads, handlers=[_Calls(proxy, channel)], options=LARGE)
    proxy.grpc = f"127.0.0.1:{calls.add_insecure_port('127.0.0.1:0')}"
    calls.start()
    try:
        yield proxy
    finally:
        calls.stop(0)
        channel.close()
        server.shutdown()
        server.server_close()
        thread.join()
