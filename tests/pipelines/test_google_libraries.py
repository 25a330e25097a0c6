"""A run into a folder does without Google's client libraries, which take long to import."""

from __future__ import annotations

import subprocess
import sys

from tests.support.jobs import ROOT

CODE = """
import sys
SLOW = ("google.cloud.bigquery", "google.cloud.storage", "google.cloud.pubsub", "google.auth")
from pipelines.regional_means import main
assert main(["--output", sys.argv[1], "--quiet", "--window", "hourly"]) == 0
slow = [name for name in sys.modules if name.startswith(SLOW) and sys.modules[name]]
print(sorted(slow), "connectors.bigquery_sink" in sys.modules)
"""


def test_a_run_into_a_folder_imports_none_of_them(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "store")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[] False", done.stderr
