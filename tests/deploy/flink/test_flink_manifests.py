"""The manifests for Kubernetes: the operator takes them, and they say what the job needs."""

from __future__ import annotations

import copy
import json
import re
import string
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.flink_options import FLINK_OPTIONS, check_options, given_options
from pipelines.job import job_of
from pipelines.options import OPTIONS, parse_options
from tests.support.flink import LIBS

FOLDER = Path(__file__).parents[3] / "deploy" / "flink"
SCHEMA = json.loads((Path(__file__).parent / "flinkdeployment.json").read_text("utf-8"))
VALUES = {
    "PROJECT": "example",
    "BUCKET": "example-flink",
    "BROKERS": "kafka.example:9093",
    "IMAGE": "registry.example/means@sha256:0",
    "JOB_IMAGE": "registry.example/job@sha256:1",
    "SUBMIT_IMAGE": "registry.example/submit@sha256:2",
}
CLUSTERS = ("session.yaml", "application.yaml")
SECRET = re.compile(r"password|secret|token|private_key", re.IGNORECASE)
OF_OTHERS = ("kubernetes.operator.", "metrics.reporter.")


def documents(name):
    """The objects of a manifest, with values for what is filled in."""
    text = (FOLDER / "kubernetes" / name).read_text("utf-8")
    return list(yaml.safe_load_all(string.Template(text).substitute(VALUES)))


def cluster(name):
    (found,) = documents(name)
    return found


def test_every_manifest_is_known():
    found = {path.name for path in (FOLDER / "kubernetes").glob("*")}
    assert found == {*CLUSTERS, "access.yaml", "submit.yaml"}


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_operator_takes_it(name):
    jsonschema.validate(cluster(name), SCHEMA)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "flinkVersion"), "v1_9"),
        (("spec", "taskmanager"), {}),
        (("spec", "taskManager", "resource", "cpu"), "two"),
        (("spec", "taskManager", "podTemplate", "spec", "containers", 0, "images"), "x"),
        (("spec", "flinkConfiguration", "state.backend.incremental"), True),
    ],
)
def test_the_schema_refuses_what_is_wrong(path, value):
    wrong = copy.deepcopy(cluster("session.yaml"))
    place = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_the_pod_that_submits_is_a_pod():
    (job,) = documents("submit.yaml")
    schema = {"$ref": "#/$defs/podTemplate", "$defs": SCHEMA["$defs"]}
    jsonschema.validate(job["spec"]["template"], schema)
    # A second try would run the job twice.
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_a_stream_cannot_do_without_is_set(name):
    spec = cluster(name)["spec"]
    settings = spec["flinkConfiguration"]
    assert settings["taskmanager.memory.network.min"] == "256m"
    assert settings["execution.checkpointing.mode"] == "EXACTLY_ONCE"
    assert settings["high-availability.type"] == "kubernetes"
    for key in ("state.checkpoints.dir", "state.savepoints.dir", "high-availability.storageDir"):
        assert settings[key].startswith("gs://example-flink/")
    retention = "execution.checkpointing.externalized-checkpoint-retention"
    assert settings[retention] == "RETAIN_ON_CANCELLATION"
    assert spec["taskManager"]["resource"]["memory"] == "4Gi"


def test_both_clusters_are_alike():
    session, application = (cluster(name)["spec"] for name in CLUSTERS)
    assert application["job"]["upgradeMode"] == "savepoint"
    assert application["job"]["allowNonRestoredState"] is False
    del application["job"]
    own = [key for key in application["flinkConfiguration"] if key.startswith("kubernetes.")]
    for key in own:
        del application["flinkConfiguration"][key]
    del session["image"], application["image"]
    assert session == application


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_pool_of_workers_runs_beside_every_task_manager(name):
    (pool,) = cluster(name)["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
    assert pool["image"] == VALUES["IMAGE"]
    assert pool["command"] == ["/opt/apache/beam/boot", "--worker_pool"]
    (port,) = pool["ports"]
    given = given_options(arguments())
    assert given["environment_config"] == f"localhost:{port['containerPort']}"
    assert given["environment_type"] == "EXTERNAL"


def arguments():
    (job,) = documents("submit.yaml")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container["args"]


def test_the_command_that_is_submitted_is_understood():
    options, rest = parse_options(arguments())
    job_of(options)
    check_options(given_options(rest), streaming=True, ends=False)


def test_every_option_exists():
    ours = {option.name for option in OPTIONS}
    known = ours | set(FLINK_OPTIONS) | set(PipelineOptions([]).get_all_options())
    assert set(given_options(arguments())) <= known
    text = (FOLDER / "README.md").read_text("utf-8")
    named = set(re.findall(r"--([a-z]+(?:_[a-z]+)+)", text))
    assert named <= known, named - known


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_setting_is_one_of_flinks(name):
    if not list(LIBS.glob("flink-runtime-1*.jar")):
        pytest.skip("no Flink whose settings could be looked up: run make flink")
    settings = cluster(name)["spec"]["flinkConfiguration"]
    wanted = {key for key in settings if not key.startswith(OF_OTHERS)}
    assert wanted - names_in_flink(wanted) == set()


def names_in_flink(names):
    """Which of the names stand in Flink's classes."""
    found = set()
    for jar in LIBS.glob("flink-*.jar"):
        with zipfile.ZipFile(jar) as opened:
            for entry in opened.namelist():
                if entry.endswith("Options.class"):
                    text = opened.read(entry)
                    found |= {name for name in names if name.encode() in text}
    return found


@pytest.mark.parametrize("name", [*CLUSTERS, "access.yaml", "submit.yaml"])
def test_no_secret_stands_in_the_open(name):
    for path, value in leaves(documents(name)):
        if isinstance(value, str) and SECRET.search(f"{path[-1]}={value}"):
            reference = "secretKeyRef" in path or value in {
                "KAFKA_PASSWORD",
                "sasl.password=env:KAFKA_PASSWORD",
            }
            assert reference, (path, value)


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from leaves(each, (*path, number))
    else:
        yield path, value


@pytest.mark.parametrize("name", [*CLUSTERS, "submit.yaml"])
def test_no_container_gets_more_rights_than_it_had(name):
    for path, value in leaves(documents(name)):
        if path[-1] in {"runAsNonRoot", "allowPrivilegeEscalation"}:
            assert value is (path[-1] == "runAsNonRoot")
    containers = [path for path, value in leaves(documents(name)) if path[-1] == "image"]
    assert containers


def test_pods_may_do_only_what_flink_needs():
    account, role, binding = documents("access.yaml")
    assert account["metadata"]["name"] == binding["subjects"][0]["name"] == "regional-means"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    for rule in role["rules"]:
        assert "*" not in [*rule["resources"], *rule["verbs"], *rule["apiGroups"]]
        assert "secrets" not in rule["resources"]
    for name in CLUSTERS:
        assert cluster(name)["spec"]["serviceAccount"] == account["metadata"]["name"]


def test_versions_are_those_that_are_built_here():
    version = re.search(r"<flink.version>([\d.]+)<", (FOLDER / "pom.xml").read_text("utf-8"))[1]
    parts = (FOLDER / "cluster" / "pom.xml").read_text("utf-8")
    assert f"<flink.version>{version}<" in parts
    for name in CLUSTERS:
        spec = cluster(name)["spec"]
        assert spec["flinkVersion"] == f"v{'_'.join(version.split('.')[:2])}"
        (main,) = spec["podTemplate"]["spec"]["containers"]
        assert main["env"][0]["value"] == f"flink-gs-fs-hadoop-{version}.jar"
    assert cluster("session.yaml")["spec"]["image"].startswith(f"flink:{version}-")
    assert f"flink:{version}-" in (FOLDER / "Dockerfile").read_text("utf-8")
