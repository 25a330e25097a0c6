"""The template's entry, started as Google's launcher starts it, hands over the right job."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from apache_beam.portability.api import beam_runner_api_pb2 as api

from connectors.bigquery.migrate import migrate
from connectors.bigquery.uri import parse
from tests.support.bigquery_emulator import bigquery_emulator  # noqa: F401 - a fixture
from tests.support.job_graph import graph_of
from tests.support.kafka_server import expansion_service  # noqa: F401 - a fixture
from tests.support.launches import (
    FROM_LAUNCHER,
    GOLDEN,
    IMAGE,
    LAUNCHES,
    launch,
    launch_recorded,
    recorded,
)

ADDRESS = re.compile(r"0x[0-9a-f]{6,}|[0-9a-f]{12,}|\bat [a-z_]+\.py:\d+")
BEAMS_CREATE = re.compile(r"/FlatMap\(<lambda at core\.py:\d+>\)$")
UNPICKLE = """
import sys
from pathlib import Path
from apache_beam.internal import pickler
from apache_beam.portability.api import beam_runner_api_pb2 as api

pipeline = api.Pipeline.FromString(Path(sys.argv[1]).read_bytes())
loaded = 0
for step in pipeline.components.transforms.values():
    if step.spec.urn == "beam:transform:pardo:v1":
        info = pickler.loads(api.ParDoPayload.FromString(step.spec.payload).do_fn.payload)
        function = info[0] if isinstance(info, tuple) else info.serialized_dofn_data()
        assert function is not None, step.unique_name
        loaded += 1
print(loaded)
"""


@pytest.fixture
def launched(bigquery_emulator):  # noqa: F811
    """Launches each recorded graph once for all tests of the process."""
    done = launched_by_name

    def by_name(name):
        if name not in done:
            done[name] = launch_recorded(name, bigquery_emulator)
        return done[name]

    return by_name


launched_by_name = {}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHES)
def test_the_job_that_is_handed_over_is_the_recorded_one(launched, name):
    found = launched(name)
    assert found.code == 0, found.log
    assert not found.unknown
    # After a change that is meant: python -m tests.support.launches
    assert found.description() == recorded(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHES)
def test_a_renamed_step_or_another_coder_does_not_go_unnoticed(launched, name):
    pipeline = launched(name).pipeline
    renamed, recoded, reclocked = api.Pipeline(), api.Pipeline(), api.Pipeline()
    for each in (renamed, recoded, reclocked):
        each.CopyFrom(pipeline)
    step = next(
        each
        for each in renamed.components.transforms.values()
        if each.unique_name == "Place/Assign"
    )
    step.unique_name = "Place/AssignRegions"
    assert graph_of(renamed) != recorded(name)["steps"]
    coder = next(
        each for each in recoded.components.coders.values() if b"BatchCoder" in each.spec.payload
    )
    coder.spec.urn, coder.spec.payload = "beam:coder:bytes:v1", b""
    assert graph_of(recoded) != recorded(name)["steps"]
    for strategy in reclocked.components.windowing_strategies.values():
        strategy.allowed_lateness += 1
    assert graph_of(reclocked) != recorded(name)["steps"]


@pytest.mark.parametrize("name", LAUNCHES)
def test_names_of_steps_hold_nothing_that_changes(name):
    unstable = [
        step
        for step in recorded(name)["steps"]
        if ADDRESS.search(step) and not BEAMS_CREATE.search(step)
    ]
    assert not unstable


def test_no_step_of_a_stream_is_named_by_a_line_of_beam():
    assert not [step for step in recorded("streaming")["steps"] if "lambda" in step]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHES)
def test_all_that_a_worker_unpickles_comes_from_the_packages(launched, name, tmp_path):
    (tmp_path / "pipeline.pb").write_bytes(launched(name).pipeline.SerializeToString())
    done = subprocess.run(
        [sys.executable, "-c", UNPICKLE, "pipeline.pb"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.slow
def test_the_sample_runs_without_any_input_of_ones_own(bigquery_emulator, launched):  # noqa: F811
    dataset = "bigquery://test-project.not_there"
    found = launch([f"--output={dataset}"], bigquery_emulator)
    assert found.code == 1
    (line,) = [each for each in found.log.splitlines() if each.startswith("error: ")]
    assert "python -m deploy.bigquery" in line
    assert launched("batch").code == 0


@pytest.mark.slow
def test_kafka_is_read_by_kafkaio(bigquery_emulator, expansion_service):  # noqa: F811
    dataset = bigquery_emulator.new_dataset(create=False)
    migrate(bigquery_emulator.client, parse(dataset))
    given = ["--input=kafka://a:9092,b:9092/readings", f"--output={dataset}"]
    found = launch([*given, f"--kafka_expansion={expansion_service}"], bigquery_emulator)
    assert found.code == 0, found.log
    request = found.description()["request"]
    assert request["streaming"] is True
    # Dataflow runs what is Java in Google's copy of Beam's own image.
    assert sorted(image.rpartition("/")[0] for image in request["images"]) == [
        IMAGE.partition("/regional-means")[0],
        "gcr.io/cloud-dataflow/v1beta3",
    ]
    assert any("KafkaIO" in step for step in found.description()["steps"])


@pytest.mark.slow
def test_an_image_without_its_jars_is_noticed_before_anything_is_downloaded(tmp_path):
    given = ["--input=kafka://a:9092/readings", "--output=bigquery://example-project.means"]
    found = launch(given, more={"BEAM_JARS": str(tmp_path)})
    assert found.code == 1
    assert f"there is no {tmp_path}/beam-sdks-java-io-expansion-service-" in found.log
    assert found.job is None


@pytest.mark.slow
def test_a_job_without_an_image_is_refused_before_anything_is_staged():
    launcher = [each for each in FROM_LAUNCHER if not each.startswith("--sdk_container_image")]
    found = launch(["--output=bigquery://example-project.means"], None, launcher)
    assert found.code == 2
    assert "--sdk_container_image is missing" in found.log
    assert found.job is None


def test_the_recorded_graphs_are_those_of_the_launches():
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(LAUNCHES)
