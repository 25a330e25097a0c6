"""The commands of docs/bigquery.md work, one after another, on an emulator."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.bigquery.tables import LAYOUTS
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bigquery.md"
COMMAND = re.compile(r"^\.venv/bin/python (.*)$", re.MULTILINE)
NAME = "bigquery://my-project.weather"


@pytest.mark.slow
def test_the_commands_of_the_page_work_one_after_another(bigquery_emulator, tmp_path):  # noqa: F811
    uri = bigquery_emulator.new_dataset(create=False)
    commands = COMMAND.findall(PAGE.read_text("utf-8"))
    assert len(commands) >= 7
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answers = []
    for command in commands:
        line, _, redirected = command.replace(NAME, uri).partition(" < ")
        done = subprocess.run(
            [sys.executable, *shlex.split(line)],
            cwd=tmp_path,
            env=environment,
            input=(ROOT / redirected).read_text("utf-8") if redirected else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.strip()
        answers.append(done.stdout)
    assert "would create the table readings" in answers[0]
    assert "(0 rows)" in answers[-1]
    (hours,) = [
        text for command, text in zip(commands, answers, strict=True) if "mean_3h_before" in command
    ]
    assert re.search(r"\((?!0 )\d+ rows\)", hours)
    assert any("windows checked" in text for text in answers)


def test_the_page_names_every_table_as_it_lies():
    page = PAGE.read_text("utf-8")
    for name, layout in LAYOUTS.items():
        (row,) = re.findall(rf"^\| `{name}` \| (.*)$", page, re.MULTILINE)
        assert f"`{layout.partitioned_by}`" in row if layout.partitioned_by else "none" in row
        if not layout.primary_key:
            assert all(f"`{column}`" in row for column in layout.clustered_by)
