"""A Flink cluster, by its REST interface: who it is, and how a job on it is stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from connectors.input_error import InputError
from connectors.streams.source import STOP
from pipelines.stopping import tell

__all__ = [
    "ENDED",
    "HERE",
    "cluster_version",
    "is_here",
    "job_id",
    "request",
    "stopped_with_sources",
]

HERE = ("127.0.0.1", "localhost", "::1")
ANSWER_SECONDS = 10.0
LOOK_SECONDS = 0.2
NO_ANSWER = (OSError, ValueError, KeyError, TypeError, http.client.HTTPException)
ENDED = {"FINISHED", "CANCELED", "FAILED"}
AGAIN = {404, 500, 503}
"""What a JobManager answers that does not lead yet, or does not know its jobs yet."""


def is_here(master: str) -> bool:
    """Whether the cluster runs on this machine."""
    return urllib.parse.urlsplit(master).hostname in HERE


def request(master: str, path: str, body: Any = None, method: str | None = None) -> Any:
    """What the cluster answers.

    Args:
        master: its address with the scheme.
        path: with a slash before it.
        body: what is sent as JSON; None for nothing.
        method: of HTTP; by default it follows from the body.

    Raises:
        OSError: it does not answer, or says no.
        ValueError: its answer is no JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(  # noqa: S310 - the user names the cluster
        master.rstrip("/") + path,
        data,
        {"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(asked, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def cluster_version(master: str) -> str:
    """Flink's version.

    Raises:
        InputError: no Flink answers.
    """
    try:
        return str(request(master, "/config")["flink-version"])
    except NO_ANSWER as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        start = "; `make flink-start` starts one on this machine" if is_here(master) else ""
        msg = f"no Flink answers at {master}: {reason}{start}"
        raise InputError(msg) from error


def job_id(master: str, name: str) -> str | None:
    """The newest job of that name that has not ended; None for none."""
    jobs = [
        job
        for job in request(master, "/jobs/overview")["jobs"]
        if job["name"] == name and job["state"] not in ENDED
    ]
    return max(jobs, key=lambda job: job["start-time"])["jid"] if jobs else None


@contextlib.contextmanager
def stopped_with_sources(master: str, name: str, *, drain: bool) -> Iterator[None]:
    """While the block runs, `STOP` stops the job on the cluster, with a savepoint.

    Args:
        master: the cluster's address.
        name: the job's name.
        drain: event time ends, so that all windows are given out. Only where `STOP` ends the
            sources, too: the cluster waits for them.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            # A cluster that is away for a moment, or starts the job again, is asked again.
            with contextlib.suppress(*NO_ANSWER):
                if STOP.is_set() and _stopped(master, name, ended, drain=drain):
                    return

    thread = threading.Thread(target=watch, name="stops-flink", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(ANSWER_SECONDS)


def _stopped(master: str, name: str, ended: threading.Event, *, drain: bool) -> bool:
    """Asks for a stop with a savepoint; whether there is no need to ask again.

    Raises:
        OSError, ValueError, KeyError: the cluster does not answer, or not so.
    """
    job = job_id(master, name)
    if job is None:
        # It has not come there yet, or has ended, or the JobManager is just finding it again.
        return False
    try:
        asked = request(master, f"/jobs/{job}/stop", {"drain": drain})
    except urllib.error.HTTPError as error:
        if error.code in AGAIN:
            raise
        # A cluster without a folder for savepoints.
        request(master, f"/jobs/{job}?mode=cancel", {}, "PATCH")
        return True
    savepoint = f"/jobs/{job}/savepoints/{asked['request-id']}"
    while not ended.wait(LOOK_SECONDS):
        found = request(master, savepoint)
        if found["status"]["id"] == "COMPLETED":
            where = found["operation"].get("location")
            if where and not drain:
                tell(f"to go on with the state of this job: --savepoint_path={where}")
            return "failure-cause" not in found["operation"]
    return True
