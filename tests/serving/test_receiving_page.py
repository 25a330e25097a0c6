"""The commands of docs/receiving.md do what it says."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from schemas.reasons import REASONS
from tests.serving.service_process import running
from tests.support.kafka_server import kafka_server  # noqa: F401 - a fixture

PAGE = (Path(__file__).parents[2] / "docs" / "receiving.md").read_text("utf-8")
COMMANDS = re.findall(r"^```console\n\$ (.*)\n((?:.+\n)*)```", PAGE, re.MULTILINE)


def test_the_commands_of_the_page_print_what_it_says(kafka_server):  # noqa: F811
    if shutil.which("curl") is None:
        pytest.skip("curl is missing")
    (start, _), *requests = COMMANDS
    words = shlex.split(start)
    assert words[:3] == [".venv/bin/python", "-m", "serving"]
    options = [
        kafka_server.uri(kafka_server.topic()) if word.startswith("kafka://") else word
        for word in words[3:]
    ]
    assert options[-1] == "--raw_messages"
    with running(*options, kafka_server.topic()) as service:
        for command, expected in requests:
            assert command.startswith("curl ")
            here = command.replace("127.0.0.1:8080", f"{service.host}:{service.port}")
            done = subprocess.run(
                shlex.split(here), capture_output=True, text=True, check=False, timeout=60
            )
            assert done.stdout == expected.rstrip("\n"), done.stderr
    assert len(requests) == 3


def test_the_reasons_that_the_page_shows_exist():
    assert set(re.findall(r'"reason":"(\w+)"', PAGE)) <= set(REASONS)
