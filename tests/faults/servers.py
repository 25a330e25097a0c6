"""The servers that faults happen to: nobody else uses them."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import kafka_server
from tests.support.flink import LIBS, FlinkCluster
from tests.support.kafka_server import KafkaServer

__all__ = ["faulty_servers", "servers"]


@contextlib.contextmanager
def servers() -> Iterator[tuple[FlinkCluster, KafkaServer]]:
    """A cluster with high availability, and a broker, while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    (folder / "kafka").mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = FlinkCluster(folder / "flink", survives=True)
        stack.callback(cluster.stop)
        broker = KafkaServer(folder / "kafka")
        stack.callback(broker.stop)
        yield cluster, broker


@functools.cache
def _shared() -> tuple[contextlib.ExitStack, tuple[FlinkCluster, KafkaServer]]:
    stack = contextlib.ExitStack()
    return stack, stack.enter_context(servers())


@pytest.fixture(scope="session")
def faulty_servers() -> Iterator[tuple[FlinkCluster, KafkaServer]]:
    """The same for all tests of this process, whichever modules import this.

    They are skipped where something is not installed.
    """
    reason = kafka_server.missing()
    if reason is None and not list(LIBS.glob("flink-runtime-1*.jar")):
        reason = "Flink's jars are missing: run make flink"
    if reason is not None:
        pytest.skip(f"no servers that may fail: {reason}")
    stack, started = _shared()
    for server in started:
        # A test that failed may have left one dead.
        server.start()
    yield started
    stack.close()
