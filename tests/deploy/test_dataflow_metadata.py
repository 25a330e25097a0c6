"""The templates' descriptions follow the options, and Google's rules."""

import json
import re

import pytest
from google.cloud.dataflow_v1beta3 import ParameterType, TemplateMetadata
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from deploy.dataflow import metadata as written
from deploy.dataflow.metadata import FILES, IMAGE, main, metadata, options_of
from deploy.dataflow.patterns import LENGTH, WINDOW
from pipelines.options import parse_options
from pipelines.template_arguments import job_arguments
from transforms.windows import parse_duration, parse_window

BOTH = pytest.mark.parametrize("streaming", [True, False])
QUEUES = "pubsub://projects/example-project/topics/t", "kafka://a:9092,b:9092/t"
RIGHT = {
    "input": [
        "pubsub://projects/example-project/subscriptions/s",
        "kafka://a:9092,b:9092/t pubsub://projects/example-project/subscriptions/s",
    ],
    "output": ["bigquery://example-project.means", f"bigquery://example-project.m {QUEUES[0]}"],
    "window": ["hourly", "hourly sliding 15m/5m", "10s"],
    "message_format": ["auto", "regional,device", "integers:temperature"],
    "devices": ["gs://bucket/devices.csv"],
    "dead_letters": list(QUEUES),
    "kafka_option": ["security.protocol=SASL_SSL sasl.mechanism=OAUTHBEARER"],
    "pubsub_id_attribute": ["message-id"],
    "sdk_container_image": [f"europe-docker.pkg.dev/p/r/i@sha256:{'0' * 64}"],
}
FILES_RIGHT = ["gs://b/*.jsonl", "gs://b/2019/**.gz gs://c/x.json", '["gs://b/a b.jsonl"]']
WRONG = {
    "input": ["readings.jsonl", "https://example.org/", "pubsub://projects/p/topics/t"],
    "output": ["results", "/var/results", "bigquery://project"],
    "window": ["hour", "15m/5m/1m", "15"],
    "message_format": ["my.json", "a b"],
    "devices": ["devices.csv"],
    "dead_letters": ["rejected", "bigquery://p.d"],
    "kafka_option": ["security.protocol"],
    "sdk_container_image": ["python", "a/b@sha256:0"],
}


def accepts(parameter, value):
    return all(re.search(regex, value) for regex in parameter["regexes"])


@BOTH
def test_the_files_are_what_the_options_say(streaming):
    # After a change: python -m deploy.dataflow.metadata
    assert json.loads(FILES[streaming].read_text("utf-8")) == metadata(streaming=streaming)
    assert main(["--check"]) == 0


def test_a_stale_file_is_noticed_and_written_anew(tmp_path, monkeypatch, capsys):
    files = {True: tmp_path / "metadata.json", False: tmp_path / "batch.json"}
    monkeypatch.setattr(written, "FILES", files)
    assert main(["--check"]) == 1
    assert "metadata.json is stale" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0


@BOTH
def test_google_understands_every_field(streaming):
    described = metadata(streaming=streaming)
    read = TemplateMetadata()
    ParseDict(described, read._pb)
    assert read.streaming is streaming
    for given_, parameter in zip(described["parameters"], read.parameters, strict=True):
        assert parameter.param_type == ParameterType[given_["paramType"]]
        assert parameter.param_type != ParameterType.DEFAULT
        assert re.fullmatch("[a-z][a-z0-9_]*", parameter.name)
        assert parameter.label
        assert parameter.help_text.endswith(".")
    assert len({parameter.name for parameter in read.parameters}) == len(read.parameters)


def test_a_default_mode_is_only_of_templates_that_support_both():
    described = metadata(streaming=True)
    assert described["supportsExactlyOnce"] is True
    assert described["supportsAtLeastOnce"] is False
    assert "defaultStreamingMode" not in described
    assert not {"supportsExactlyOnce", "supportsAtLeastOnce"} & metadata(streaming=False).keys()


@BOTH
def test_every_regex_is_posix_and_takes_the_whole_value(streaming):
    for parameter in metadata(streaming=streaming)["parameters"]:
        for regex in parameter["regexes"]:
            re.compile(regex)
            assert regex.startswith("^")
            assert regex.endswith("$")
            assert "(?" not in regex
            assert not re.search(r"\\[^][]", regex)
            # A nested set is an error in some dialects.
            assert "[[" not in regex


@BOTH
def test_every_regex_takes_the_default_and_refuses_what_is_wrong(streaming):
    for parameter in metadata(streaming=streaming)["parameters"]:
        name = parameter["name"]
        right = FILES_RIGHT if name == "input" and not streaming else RIGHT.get(name, [])
        right = [*right, *([parameter["defaultValue"]] if "defaultValue" in parameter else [])]
        if parameter["paramType"] == "ENUM":
            right += [choice["value"] for choice in parameter["enumOptions"]]
        assert right or name == "pubsub_timestamp_attribute", name
        for value in right:
            assert accepts(parameter, value), (name, value)
        for value in [*WRONG.get(name, ["", "wrong value", "-"]), "", "\n"]:
            assert not accepts(parameter, value), (name, value)


@BOTH
def test_what_a_regex_takes_the_job_takes(streaming):
    given_ = [
        f"--{parameter['name']}={parameter['defaultValue']}"
        for parameter in metadata(streaming=streaming)["parameters"]
        if "defaultValue" in parameter
    ]
    given_ += ["--input=gs://b/a.jsonl", "--output=bigquery://example-project.means"]
    values, rest = parse_options(job_arguments(given_))
    assert not rest
    for option in options_of(streaming=streaming):
        if option.name not in {"input", "output"}:
            given_value = getattr(values, option.name)
            default = list(option.default) if option.many else option.default
            assert given_value == default


@given(st.from_regex(f"^{LENGTH}$", fullmatch=True))
def test_lengths_of_time_are_those_of_the_job(text):
    assert parse_duration(text.strip()) >= 0


@given(st.from_regex(f"^{WINDOW}$", fullmatch=True))
def test_windows_look_like_those_of_the_job(text):
    said = ""
    try:
        parse_window(text.strip())
    except ValueError as error:
        said = str(error)
    # What no pattern can say: sizes must be multiples of periods, and not nothing.
    assert "unknown window" not in said


def test_enums_leave_out_what_the_kind_of_template_cannot_do():
    def methods(*, streaming):
        (found,) = (
            each
            for each in metadata(streaming=streaming)["parameters"]
            if each["name"] == "bigquery_method"
        )
        return {choice["value"] for choice in found["enumOptions"]}

    assert "file_loads" not in methods(streaming=True)
    assert "storage_write_api" in methods(streaming=True)
    assert "file_loads" in methods(streaming=False)


def test_batch_has_no_options_of_streams():
    names = {option.name for option in options_of(streaming=False)}
    assert not {"allowed_lateness", "early_every", "pubsub_id_attribute", "kafka_start"} & names
    assert IMAGE["name"] not in names
