"""What the template's entry takes, and what it refuses in a sentence."""

import re
from pathlib import Path

import pytest

from connectors.input_error import InputError
from pipelines.dataflow import JARS, _expansion_jars, main
from pipelines.dataflow_rules import ELSEWHERE
from pipelines.option_table import OPTIONS
from pipelines.options import UsageError
from pipelines.template_arguments import job_arguments

DATASET = "--output=bigquery://example-project.means"
DEVICE = Path(__file__).parents[2] / "schemas" / "formats" / "device.json"
LAUNCHER = (
    "--runner=DataflowRunner",
    "--project=example-project",
    "--region=europe-west1",
    "--temp_location=gs://example/temp",
    "--sdk_container_image=example/image@sha256:0",
)


def test_several_values_are_divided_by_spaces_and_not_by_commas():
    given = ["--input=kafka://a:1,b:2/t  kafka://c:3/u", "--window=hourly 15m/5m", "--runner=X"]
    assert job_arguments(given) == [
        "--input=kafka://a:1,b:2/t",
        "--input=kafka://c:3/u",
        "--window=hourly",
        "--window=15m/5m",
        "--runner=X",
    ]


def test_values_with_spaces_are_a_json_list():
    assert job_arguments(['--input=["gs://b/a b.jsonl", "gs://b/c.jsonl"]']) == [
        "--input=gs://b/a b.jsonl",
        "--input=gs://b/c.jsonl",
    ]


def test_an_empty_parameter_is_not_given():
    assert job_arguments(["--devices=", "--window= ", "--quiet=", "--temp_location="]) == [
        "--temp_location="
    ]


def test_a_flag_is_true_or_false():
    assert job_arguments(["--quiet=true", "--verbose=False"]) == ["--quiet"]
    with pytest.raises(UsageError, match="--quiet is true or false"):
        job_arguments(["--quiet=yes"])


@pytest.mark.parametrize("value", ['["gs://b/a"', '["gs://b/a", 1]', "[[]]"])
def test_a_broken_list_is_named(value):
    with pytest.raises(UsageError, match=r"--input .*JSON list"):
        job_arguments([f"--input={value}"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--output=results"], "workers on Dataflow share no folder"),
        ([], "no output is named"),
        ([DATASET + " /tmp/results"], "one store holds the results"),
        ([DATASET, "--input=readings.jsonl"], "copy it to Cloud Storage"),
        ([DATASET, "--input=https://example.org/api"], "is not read on Dataflow"),
        ([DATASET, "--input=pubsub://projects/example/topics/t"], "a subscription is read"),
        (
            [DATASET, "--input=gs://b/a.jsonl pubsub://projects/p-1/subscriptions/sub"],
            "of their own",
        ),
        ([DATASET, "--devices=devices.csv"], "workers cannot read --devices"),
        ([DATASET, f"--message_format={DEVICE}"], "workers cannot read --message_format"),
        ([DATASET, "--idle=hold"], "--idle means nothing on Dataflow"),
        ([DATASET, "--stop_when_idle=5m"], "drained"),
        ([DATASET, "--quiet=true"], "prints no summary"),
        ([DATASET, "--kafka_option=sasl.password=env:WORD"], "no environment of yours"),
        ([DATASET, "--kafka_option=sasl.password=word"], "is a secret"),
        ([DATASET, "--runner=DirectRunner"], "python -m pipelines.regional_means"),
        ([DATASET, "--requirements_file=requirements.txt"], "the image holds all packages"),
        ([DATASET, "--setup_file=./setup.py"], "the image holds all packages"),
        ([DATASET, "--experiments=streaming_mode_at_least_once"], "add its sums twice"),
        (
            [DATASET, "--dataflow_service_options=streaming_mode_at_least_once"],
            "add its sums twice",
        ),
        ([DATASET, "--window=hour"], "window"),
    ],
)
def test_what_cannot_work_on_dataflow_is_refused_in_a_sentence(given, sentence, capsys):
    assert main([*LAUNCHER, *given]) in {1, 2}
    said = capsys.readouterr().err.splitlines()
    errors = [line for line in said if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert sentence in errors[0]


def test_every_option_that_means_nothing_is_one():
    assert ELSEWHERE.keys() <= {option.name for option in OPTIONS}


def test_java_transforms_are_expanded_by_the_jars_of_the_image(tmp_path, monkeypatch):
    monkeypatch.delenv(JARS, raising=False)
    assert _expansion_jars() == {}
    monkeypatch.setenv(JARS, str(tmp_path))
    with pytest.raises(InputError, match="build the image anew"):
        _expansion_jars()
    lock = (Path(__file__).parents[2] / "deploy" / "dataflow" / "images.lock").read_text("utf-8")
    for address in re.findall(r"https://\S+\.jar", lock):
        (tmp_path / address.rpartition("/")[2]).touch()
    assert all(Path(jar).exists() for jar in _expansion_jars().values())
