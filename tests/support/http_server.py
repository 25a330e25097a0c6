"""A real HTTP server in a thread, which misbehaves on command."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import hashlib
import http.server
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ZEROS = bytes(1 << 20)
NO_HEADERS: Mapping[str, str] = {}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one request as the server's script says."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        script = self.server.script
        with script.lock:
            script.requests.append(Request(time.monotonic(), self.path, dict(self.headers)))
            script.at_once += 1
            script.most_at_once = max(script.most_at_once, script.at_once)
            answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
        try:
            with contextlib.suppress(OSError):
                answer(self)
        finally:
            self.close_connection = True
            with script.lock:
                script.at_once -= 1

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Sends the head of a response."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def wait(self, seconds: float) -> bool:
        """Waits; False when the server ends meanwhile."""
        return not self.server.script.ending.wait(seconds)

    def log_message(self, *_: object) -> None:
        pass


Answer = Callable[[Handler], None]


@dataclass(frozen=True)
class Request:
    """What was asked: when (by `time.monotonic`), the path with its query, and the headers."""

    at: float
    path: str
    headers: dict[str, str]


@dataclass
class Script:
    """What the server answers, one request after the other; the last answer is repeated."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ending: threading.Event = field(default_factory=threading.Event)


class _Server(http.server.ThreadingHTTPServer):
    script: Script
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(*answers: Answer, certificate: Path | None = None) -> Iterator[Script]:
    """A server on a free port of this machine.

    Args:
        answers: what it answers at first.
        certificate: a file with a key and a certificate, for TLS.
    """
    script = Script(answers=list(answers))
    server = _Server(("127.0.0.1", 0), Handler)
    server.script = script
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    script.url = f"{scheme}://127.0.0.1:{server.server_port}/readings"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


def text(body: bytes, **headers: str) -> Answer:
    """A good response."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(len(body)), **more})
        handler.wfile.write(body)

    return answer


def packed(body: bytes) -> Answer:
    """A good response, compressed."""
    return text(gzip.compress(body), Content_Encoding="gzip")


def chunked(body: bytes, *, whole: bool = True) -> Answer:
    """A response in chunks, with its end or without."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Transfer-Encoding": "chunked"})
        half = len(body) // 2
        for piece in (body[:half], body[half:]):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if whole:
            handler.wfile.write(b"0\r\n\r\n")

    return answer


def until_the_end(body: bytes) -> Answer:
    """A response whose end is that of the connection."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Connection": "close"})
        handler.wfile.write(body)

    return answer


def tagged(body: bytes) -> Answer:
    """A response with an ETag and a date, or 304 for a request that knows them."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:8]}"'
    modified = "Tue, 19 Feb 2019 14:02:10 GMT"

    def answer(handler: Handler) -> None:
        known = handler.headers.get("If-None-Match"), handler.headers.get("If-Modified-Since")
        if known == (tag, modified):
            handler.begin(304, {"ETag": tag})
        else:
            text(body, ETag=tag, Last_Modified=modified)(handler)

    return answer


def status(code: int, **headers: str) -> Answer:
    """A status without a text."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.begin(code, {"Content-Length": "0", **more})


def busy(seconds: int) -> Answer:
    """A server that names the time at which it may be asked again."""

    def answer(handler: Handler) -> None:
        until = email.utils.formatdate(time.time() + seconds, usegmt=True)
        status(503, Retry_After=until)(handler)

    return answer


def with_key(key: str, then: Answer, header: str = "X-API-Key") -> Answer:
    """An answer for those who have the key."""

    def answer(handler: Handler) -> None:
        (then if handler.headers.get(header) == key else status(401))(handler)

    return answer


def slow(seconds: float, then: Answer) -> Answer:
    """An answer that comes after a while."""

    def answer(handler: Handler) -> None:
        if handler.wait(seconds):
            then(handler)

    return answer


def dripping(body: bytes, every: float, *, in_header: bool = False) -> Answer:
    """A response of which a byte comes now and then."""

    def answer(handler: Handler) -> None:
        if in_header:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        else:
            handler.begin(200, {"Connection": "close"})
        for byte in body:
            if not handler.wait(every):
                return
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()

    return answer


def truncated(body: bytes) -> Answer:
    """Half of what the head of the response promises."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(len(body))})
        handler.wfile.write(body[: len(body) // 2])

    return answer


def oversized(size: int, *, says_so: bool) -> Answer:
    """A response of so many bytes; without a length it ends with the connection."""

    def answer(handler: Handler) -> None:
        handler.begin(200, {"Content-Length": str(size)} if says_so else {"Connection": "close"})
        sent = 0
        while sent < size:
            sent += handler.wfile.write(b" " * min(1 << 16, size - sent))

    return answer


def bomb(megabytes: int) -> Answer:
    """A small response that unpacks to a large one."""
    press = zlib.compressobj(9, wbits=31)
    body = b"".join([*(press.compress(ZEROS) for _ in range(megabytes)), press.flush()])
    return text(body, Content_Encoding="gzip")


def hanging_up(handler: Handler) -> None:
    """No response at all."""
    handler.close_connection = True
