"""docs/threats.md names tests that exist, in every row."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.jobs import ROOT

PAGE = (ROOT / "docs" / "threats.md").read_text("utf-8")


def names_of_tests() -> set[str]:
    found: set[str] = set()
    for path in Path(ROOT / "tests").rglob("*.py"):
        found.update(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))
    return found


def test_every_named_test_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named <= names_of_tests(), sorted(named - names_of_tests())


def test_every_threat_has_a_test():
    rows = 0
    for table in re.findall(r"^\| attack .*?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL):
        for row in table.splitlines()[2:]:
            assert re.search(r"`test_\w+`", row.rpartition("| ")[0].rsplit("| ", 1)[-1] + row), row
            assert re.search(r"\| `test_\w+`", row), row
            rows += 1
    assert rows > 30
