"""The documents are true: their code runs, their commands work, their generated pages are fresh."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.document import tables_page

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TITLED = re.compile(r"^```\w+ (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRINTS = re.compile(r"prints (`[^`]+`(?: and `[^`]+`)*)")


def blocks(language):
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in FENCED.finditer(text):
            if found[1] == language:
                said = PRINTS.match(text[found.end() :].lstrip())
                expected = re.findall(r"`([^`]+)`", said[1]) if said else []
                yield pytest.param(found[2], expected, id=f"{page.stem}-{found.start()}")


def run(command, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("code", "expected"), list(blocks("python")))
def test_the_code_in_the_documents_runs_and_prints_what_they_say(code, expected, tmp_path):
    done = run([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(expected)


def test_the_commands_of_the_documents_work_one_after_another(tmp_path):
    for page in PAGES:
        for name, text in TITLED.findall(page.read_text("utf-8")):
            (tmp_path / name).write_text(text)
    readings = tmp_path / "readings"
    readings.mkdir()
    example = next(text for text, _ in (found.values for found in blocks("json")))
    (readings / "a.jsonl").write_text(example)
    commands = [
        line.partition("#")[0].strip()
        for block in blocks("sh")
        for line in block.values[0].splitlines()
        if not line.startswith("make ")
    ]
    assert len(commands) >= 3
    for command in commands:
        words = shlex.split(command)
        assert words[0] == ".venv/bin/python"
        done = run([sys.executable, *words[1:]], tmp_path)
        assert done.returncode == 0, done.stderr
        assert (done.stdout + done.stderr).strip()


def test_the_correction_to_try_gives_what_the_page_says(tmp_path):
    page = (ROOT / "docs" / "corrections.md").read_text("utf-8")
    for name, text in TITLED.findall(page):
        (tmp_path / name).write_text(text)
    job = [sys.executable, "-m", "pipelines.regional_means", "--quiet", "--output", "corrected"]
    query = [sys.executable, "-m", "pipelines.query", "--output", "corrected", "--format", "csv"]
    answers = "SELECT hour, count, mean, min, max FROM hourly_means ORDER BY hour"
    first = "2024-12-01T14:00:00Z,3,14.0,12.0,16.0"
    corrected = ["2024-12-01T14:00:00Z,2,13.0,10.0,16.0", "2024-12-01T15:00:00Z,1,18.0,18.0,18.0"]
    for name, expected in [
        ("first.jsonl", [first]),
        ("corrections.jsonl", corrected),
        ("first.jsonl", corrected),
        ("corrections.jsonl", corrected),
    ]:
        done = run([*job, "--input", name], tmp_path)
        assert done.returncode == 0, done.stderr
        assert run([*query, answers], tmp_path).stdout.splitlines()[1:] == expected


def test_the_make_targets_that_the_documents_name_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text("utf-8")))
        assert named <= targets, page


def test_the_links_of_the_documents_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/decisions/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_page_of_the_tables_is_fresh():
    assert (ROOT / "docs" / "tables.md").read_text("utf-8") == tables_page()
