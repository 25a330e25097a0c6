"""An output that takes no more is told in one sentence, and the results are stored all the same."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.console import noticed_interrupts

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


def test_an_interrupt_is_noticed_and_raised_as_ever():
    handler = signal.getsignal(signal.SIGINT)
    with noticed_interrupts() as interrupted:
        assert not interrupted.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupted.is_set()
    assert signal.getsignal(signal.SIGINT) is handler


def test_interrupts_are_left_to_who_handles_them():
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noticed_interrupts() as interrupted:
            signal.raise_signal(signal.SIGINT)
        assert not interrupted.is_set()
    finally:
        signal.signal(signal.SIGINT, handler)
