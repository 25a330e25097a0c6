"""What all tests share: how Hypothesis runs, and that no test changes another one's logging."""

from __future__ import annotations

import logging
import signal
import socket

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "project",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


def pytest_collection_modifyitems(items):
    """Slow tests have real servers and processes: one that fails is tried once more, and listed."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background has interrupts ignored, also by what the tests
    # start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def listener():
    """The address of a socket of this machine that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """The main job turns logging off for its process; here other tests live in it too."""
    yield
    logging.disable(logging.NOTSET)
