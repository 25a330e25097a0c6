"""The table of the docs says what the tests do, and what a runner says that cannot."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from pipelines import dataflow, regional_means
from tests.runners.features import (
    DATAFLOW,
    FEATURES,
    NO,
    OPEN,
    REFUSALS,
    YES,
    proofs_of,
)
from tests.runners.runners import RUNNERS
from tests.runners.table import COLUMNS, PAGE, runners_page
from tests.support.jobs import ROOT

NAME = re.compile(r"^(tests/\S+::\S+)$", re.MULTILINE)


def test_the_page_is_fresh():
    # After a change that is meant: python -m tests.runners.table
    assert PAGE.read_text("utf-8") == runners_page()


def test_every_no_has_its_reason_and_every_reason_its_no():
    reasons = {
        feature.refusal(runner)
        for feature in FEATURES
        for runner in COLUMNS
        if feature.mark(runner) == NO
    }
    assert reasons == {*REFUSALS}
    assert [each.number for each in REFUSALS] == list(range(1, len(REFUSALS) + 1))


@pytest.mark.slow
def test_every_other_mark_has_tests_that_run():
    wanted = {
        test
        for feature in FEATURES
        for runner in COLUMNS
        if feature.mark(runner) not in {NO, OPEN}
        for test in proofs_of(feature, runner)
    }
    files = sorted({test.partition("::")[0] for test in wanted})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "--no-cov", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert wanted <= set(NAME.findall(done.stdout)), done.stdout[-2000:] + done.stderr


def test_dataflow_is_never_said_to_be_proven():
    assert YES not in {feature.mark(DATAFLOW) for feature in FEATURES}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal.number))
def test_what_a_runner_cannot_is_said_at_once(refusal, tmp_path, capsys):
    where = "--runner=DataflowRunner" in refusal.words
    output = "bigquery://my-project.weather" if where else str(tmp_path / "store")
    main = dataflow.main if where else regional_means.main
    assert main([*refusal.words, f"--output={output}"]) == 2
    errors = [
        line for line in capsys.readouterr().err.splitlines() if not line.startswith("WARNING")
    ]
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {refusal.sentence}")
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("runner", "sentence"),
    [
        ("FlinkRuner", "unknown runner FlinkRuner; did you mean FlinkRunner?"),
        ("prismrunners", "unknown runner prismrunners; did you mean PrismRunner?"),
        ("SparkRunner", "unknown runner SparkRunner; there are FnApiRunner, PrismRunner, "),
        ("somewhere.else.Runner", "unknown runner somewhere.else.Runner; there are "),
        ("PortableRunner", "PortableRunner hands the job to a job server: name one by "),
        ("dataflow", "DataflowRunner is given a job by python -m deploy.dataflow.main"),
    ],
)
@pytest.mark.parametrize("kind", ["files", "stream"])
def test_a_runner_that_is_not_known_is_named(kind, runner, sentence, tmp_path, capsys):
    source = ["--input", "kafka://127.0.0.1:9/t"] if kind == "stream" else []
    words = [*source, "--output", str(tmp_path / "store"), "--runner", runner]
    assert regional_means.main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["bundlebaseddirectrunner", "BUNDLEBASEDDIRECT"])
def test_a_runners_name_may_be_written_as_beam_takes_it(name, capsys, tmp_path):
    words = ["--input", "kafka://127.0.0.1:9/t", "--output", str(tmp_path), "--runner", name]
    assert regional_means.main(words) == 2
    assert "error: BundleBasedDirectRunner runs no streams" in capsys.readouterr().err


def test_the_columns_are_all_runners():
    assert len(COLUMNS) == len(RUNNERS) + 1
