"""An output that takes no more is told in one sentence, and the results are stored all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")
def test_a_full_output_is_one_sentence_and_the_results_are_stored(tmp_path):
    for module, sentence in (
        (["pipelines.regional_means", "--output", "out"], "the results are stored, but cannot"),
        (["pipelines.query", "--output", "out", "SELECT 1 AS a"], "the answer cannot be written"),
    ):
        with FULL.open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", *module],
                cwd=tmp_path,
                env={"PYTHONPATH": str(ROOT)},
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {sentence}")
        assert done.stderr.count("\n") == 1
