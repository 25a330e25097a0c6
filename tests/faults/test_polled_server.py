"""A server that is polled ends and comes back, and the TaskManager; results are as without."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from pipelines.children import free_port
from tests.faults.checks import assert_same, batch_of, contents, recent_means, reconcile
from tests.faults.messages import CORRECTION, OUTSIDE, READING, messages
from tests.faults.scene import Scene
from tests.faults.servers import faulty_servers  # noqa: F401 - a fixture
from tests.support.flink import job_server_jar  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.usefixtures("job_server_jar"),
]


class Server:
    """Serves a file as Python's own server does, in a process of its own."""

    def __init__(self, folder):
        self.folder, self.port, self.changed = folder, free_port(), int(time.time())
        folder.mkdir()
        self.process = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}/readings.json"

    def offer(self, sent):
        """What it answers from now on: an array of readings."""
        new = self.folder / "new"
        new.write_bytes(b"[" + b",\n".join(each.text for each in sent) + b"]")
        # The server tells versions apart by whole seconds.
        self.changed += 1
        os.utime(new, (self.changed, self.changed))
        new.replace(self.folder / "readings.json")

    def start(self):
        words = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        output = subprocess.DEVNULL
        self.process = subprocess.Popen(words, cwd=self.folder, stdout=output, stderr=output)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


def test_a_polled_server_may_end_and_come_back(faulty_servers, tmp_path):  # noqa: F811
    cluster, broker = faulty_servers
    kinds = {READING, OUTSIDE, CORRECTION}
    sent = [each for each in messages(31, 900, late=0) if each.kind in kinds]
    wanted = batch_of(tmp_path / "batch", sent)
    server = Server(tmp_path / "server")
    with contextlib.ExitStack() as stack:
        server.offer(sent[:300])
        server.start()
        stack.callback(server.kill)
        scene = Scene(
            *(tmp_path / "scene", cluster, broker, "--http_interval", "1s"), input=server.address
        )
        stack.callback(scene.close)
        scene.wait(lambda: archived(scene) >= 1, "the first response")
        server.kill()
        server.offer(sent[:600])
        cluster.kill("taskmanager")
        cluster.start()
        server.start()
        scene.wait(lambda: archived(scene) >= 2, "the response after the outage")
        server.kill()
        server.offer(sent)
        server.start()
        recently = recent_means(tmp_path / "batch" / "store")
        scene.wait_means(recently)
        scene.stop()
        assert_same({"recent": recent_means(scene.store)}, {"recent": recently})
        reconcile(scene.store)
        assert_same(contents(scene.store), wanted)


def archived(scene):
    """How many responses the job has archived."""
    return len(list((scene.store / "responses").glob("**/*.json.gz")))
