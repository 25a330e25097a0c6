"""The benchmarks of streams as commands, small, against a real broker and a real runner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.input_error import InputError
from pipelines.prism import find_prism
from tests.support.kafka_server import missing

ROOT = Path(__file__).parents[2]


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.streaming", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


@pytest.mark.slow
def test_a_quick_section_measures_and_is_reported(tmp_path: Path) -> None:
    reason = missing()
    if reason is not None:
        pytest.skip(f"no Kafka broker: {reason}")
    try:
        find_prism()
    except InputError as error:
        pytest.skip(str(error))
    data, output = tmp_path / "data", tmp_path / "RESULTS.md"
    small = "--quick", "--runner", "prism", "--shape", "array", "--minutes", 0.1
    done = command("sustained", *small, "--rate", 20_000, "--data", data)
    assert done.returncode == 0, done.stderr
    (kept,) = data.glob("sustained-*.json")
    values = json.loads(kept.read_text("utf-8"))["values"]
    assert values["exact"]["archived"] == values["sent"]["readings"] + 2, values
    assert values["settled"] is not None
    assert all(values["cores"][part] > 0 for part in ("broker", "producer", "runner", "python"))
    samples = kept.with_suffix(".csv").read_text("utf-8").splitlines()
    assert samples[0].startswith("time,messages,taken")
    assert len(samples) > 3
    # Broker, store and topic are gone.
    assert {path.suffix for path in data.iterdir()} == {".json", ".csv"}
    done = command("report", "--data", data, "--output", output)
    assert done.returncode == 0, done.stderr
    text = output.read_text("utf-8")
    assert "| prism array, 0.1 min |" in text
    assert str(tmp_path) not in text


def test_a_failing_run_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    done = command("drain", "--quick", "--data", tmp_path / "data")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "data" in done.stderr
