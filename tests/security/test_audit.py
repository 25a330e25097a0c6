"""The audit of dependencies fails when it must, and says when it could not look."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deploy import audit

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / name for name in audit.LOCKS]
GOOD = {"name": "numpy", "version": "1.0", "vulns": []}
BAD = {
    "name": "old",
    "version": "0.1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"], "description": "…"}],
}
SKIPPED = {"name": "ours", "skip_reason": "not found on PyPI"}


def answering(tmp_path, packages, code=0):
    """A command that prints what pip-audit prints."""
    text = packages if isinstance(packages, str) else json.dumps({"dependencies": packages})
    script = tmp_path / "answer.py"
    script.write_text(f"import sys\nsys.stdout.write({text!r})\nsys.exit({code})\n")
    return (sys.executable, str(script))


def asked(monkeypatch, tmp_path, packages, code=0):
    command = answering(tmp_path, packages, code)
    real = audit.vulnerabilities
    monkeypatch.setattr(audit, "vulnerabilities", lambda locks: real(locks, command))
    return audit.main([])


def test_a_known_vulnerability_fails(tmp_path, monkeypatch, capsys):
    assert asked(monkeypatch, tmp_path, [GOOD, BAD, SKIPPED], 1) == 1
    out = capsys.readouterr().out
    assert "vulnerabilities: 1 in 2 packages; it does not know ours" in out
    assert "old 0.1: PYSEC-1, mended in 0.2" in out


def test_none_is_good(tmp_path, monkeypatch, capsys):
    assert asked(monkeypatch, tmp_path, [GOOD]) == 0
    assert "vulnerabilities: 0 in 1 packages\n" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["", "Traceback", [SKIPPED], "{}"])
def test_a_service_that_does_not_answer_is_said_in_one_line(answer, tmp_path, monkeypatch, capsys):
    assert asked(monkeypatch, tmp_path, answer) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("vulnerabilities: the service does not answer, nothing is known: ")


def test_pip_audit_is_there_and_takes_these_options(tmp_path):
    """Nothing to ask about: no service is needed to see that the command is understood."""
    pytest.importorskip("pip_audit")
    lock = tmp_path / "none.txt"
    lock.write_text("# nothing\n")
    answer = audit.vulnerabilities([lock])
    assert (answer.found, answer.asked, answer.silence) == ([], 0, "it knows none of 0 packages")


def test_every_licence_fits():
    names = audit.locked(LOCKS)
    assert {"apache-beam", "duckdb", "pytest"} <= set(names)
    shipped = set(audit.locked(LOCKS[:1]))
    assert not shipped & audit.ONLY_STARTED
    licences = {name: audit.licence_of(name) for name in {*names} - audit.ONLY_STARTED}
    assert {name: each for name, each in licences.items() if each and not audit.fits(each)} == {}
    assert sum(each is not None for each in licences.values()) > 0.9 * len(names)


@pytest.mark.parametrize(
    ("expression", "fitting"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("(GPL-2.0 OR LGPL-2.1) AND MIT", False),
        ("(MIT", False),
        ("MIT MIT", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_a_licence_is_read_as_it_is_written(expression, fitting):
    assert audit.fits(expression) == fitting


def test_the_audit_is_part_of_ci():
    assert "audit:" in (ROOT / "Makefile").read_text("utf-8")
    assert "make audit" in (ROOT / ".ci" / "run").read_text("utf-8")
