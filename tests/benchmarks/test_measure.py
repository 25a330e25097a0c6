"""What a whole command costs, with all of its processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.measure import CommandFailedError, measure, measure_in_turn

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"
HOLD = "data = b'1' * 200_000_000\nprint('held', flush=True)\ninput()\n"
PARENT = """
import subprocess, sys
children = [
    subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=-1, stdout=-1) for _ in range(2)
]
for child in children:
    child.stdout.readline()
for child in children:
    child.communicate(b"\\n")
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_time_and_processor_time_of_a_command() -> None:
    taken = measure(python(BURN))
    assert taken.cpu_seconds >= 0.4
    assert taken.seconds >= 0.4 - 0.05


def test_processor_time_of_child_processes_counts() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    assert measure(python(code, BURN)).cpu_seconds >= 0.4


def test_peak_memory_sums_over_child_processes() -> None:
    if not Path("/proc/self/statm").exists():
        pytest.skip("the sum over processes is read from /proc")
    assert 400_000_000 <= measure(python(PARENT, HOLD + BURN)).peak_bytes < 800_000_000


def test_output_is_handed_back() -> None:
    assert measure(python("print('Île-de-France')")).output == "Île-de-France\n"


def test_a_failing_command_is_reported_with_its_stderr() -> None:
    with pytest.raises(CommandFailedError, match=r"exit code 3 of: .*\nno such region$"):
        measure(python("import sys; print('no such region', file=sys.stderr); sys.exit(3)"))


def test_a_killed_command_is_reported() -> None:
    with pytest.raises(CommandFailedError, match="exit code -9"):
        measure(python("import os; os.kill(os.getpid(), 9)"))


def test_commands_run_in_turn(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    commands = {name: python(code, str(log), name) for name in "AB"}
    prepared: list[str] = []
    taken = measure_in_turn(commands, 3, prepared.append)
    assert log.read_text() == "ABABAB"
    assert prepared == list("ABABAB")
    assert {name: len(runs) for name, runs in taken.items()} == {"A": 3, "B": 3}
