"""Flink: its job server found, started and gone with this process; options that keep data set."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from connectors.input_error import InputError
from pipelines.children import free_port, start_child, stop_child
from pipelines.flink_cluster import HERE, cluster_version, is_here, stopped_with_sources
from pipelines.flink_options import FLINK, check_options, given_options, stream_defaults
from pipelines.local_runner import cores
from pipelines.runner_names import EMBEDDED, is_embedded

__all__ = ["BUILT", "FLINK", "find_job_server", "flink_arguments", "running_job_server"]

BUILT = Path(__file__).parents[1] / ".cache" / "flink" / "beam-flink-1.19-job-server.jar"
"""What `make flink-job-server` leaves."""

BUILT_VERSION = "1.19"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

CONFIGURATION = """\
# A pipeline of many steps needs more buffers than the 64 MB of Flink's default.
taskmanager.memory.network.min: 256m
taskmanager.memory.network.max: 256m
# What a step gives out waits so long for more, at each shuffle: 100 ms by default.
execution.buffer-timeout.interval: 0 ms
# Without a folder, checkpoints of more than 5 MB fail.
state.checkpoints.dir: {folder}/checkpoints
# What fails would fail for ever; the same command goes on where the store is.
restart-strategy.type: none
"""

FOR_A_CLUSTER = """\
# A JobManager that has died is waited for: for ten minutes.
rest.retry.max-attempts: 200
rest.retry.delay: 3000
"""


def find_job_server(named: str | None = None) -> str:
    """The jar: the one that is named, else `FLINK_JOB_SERVER_JAR`, else the one that was built.

    Raises:
        InputError: there is none, or no Java to run it.
    """
    if shutil.which("java") is None:
        msg = "Flink needs Java, which is missing: install Java 11 or 17"
        raise InputError(msg)
    chosen = named or os.environ.get("FLINK_JOB_SERVER_JAR")
    if chosen is None and BUILT.exists():
        chosen = str(BUILT)
    if chosen is None:
        msg = (
            "Flink needs Beam's job server, which is not there: run `make flink-job-server` (it "
            "needs Maven), or name its jar by --flink_job_server_jar"
        )
        raise InputError(msg)
    if not Path(chosen).is_file():
        msg = f"{chosen} is not there; --flink_job_server_jar names the jar of Beam's job server"
        raise InputError(msg)
    return chosen


@contextlib.contextmanager
def flink_arguments(
    arguments: Sequence[str], *, streaming: bool = False, ends: bool = False
) -> Iterator[list[str]]:
    """Beam's options for Flink, complete, while the job server runs.

    For any other runner they are as they were. A job server that the options name is used as it
    is; else one is started, and stopped after the block.

    Args:
        arguments: Beam's options as the user gave them.
        streaming: the pipeline is a stream.
        ends: the stream ends by itself.

    Raises:
        InputError: the options would lose data, the cluster does not answer, or something that it
            takes is missing.
    """
    given = given_options(arguments)
    if given.get("runner") != FLINK:
        yield list(arguments)
        return
    master = _master(given)
    # A jar with the job in it is run by a cluster, which has workers of its own.
    packed = "output_executable_path" in given
    if packed and not streaming:
        msg = "--output_executable_path is for streams: a job over files has an end, so just run it"
        raise InputError(msg)
    # Of a job server that runs already nobody knows what is behind it: take it for a cluster.
    embedded = is_embedded(given)
    check_options(given, streaming=streaming, ends=ends or embedded)
    # The readers of an embedded Flink end with this process, whose checkpoints nobody goes on from.
    added = stream_defaults(given, ends=ends or embedded) if streaming else []
    added += _environment(given, master, packed=packed)
    if embedded and "parallelism" not in given:
        added.append(f"--parallelism={cores()}")
    name = given.get("job_name") or f"regional-means-{uuid.uuid4().hex[:8]}"
    added += [] if "job_name" in given else [f"--job_name={name}"]
    loopback = "--environment_type=LOOPBACK" in added or given.get("environment_type") == "LOOPBACK"
    with contextlib.ExitStack() as stack:
        if streaming and master not in EMBEDDED and not packed:
            stack.enter_context(stopped_with_sources(master, name, drain=loopback))
        if "job_endpoint" in given:
            yield [*arguments, *added]
            return
        jar = find_job_server(given.get("flink_job_server_jar"))
        if not (embedded or packed):
            _check_cluster(master, jar)
        if "flink_submit_uber_jar" in given:
            own = [f"--flink_job_server_jar={jar}", f"--flink_version={BUILT_VERSION}"]
            yield [*arguments, *added, *(each for each in own if _name(each) not in given)]
            return
        staged = _staged(given, master)
        run_by = "[auto]" if packed else master
        address = stack.enter_context(running_job_server(jar, run_by, staged))
        yield [*arguments, *added, f"--job_endpoint={address}"]


@contextlib.contextmanager
def running_job_server(jar: str, master: str, staged: str | None = None) -> Iterator[str]:
    """Runs the job server, with an embedded Flink or for a cluster, while the block does.

    Args:
        jar: what `find_job_server` found.
        master: `[local]`, the address of the cluster, or `[auto]` for whatever runs a jar.
        staged: where files are laid down that workers fetch; None for a folder of this machine.

    Yields:
        Its address: what `--job_endpoint` takes.

    Raises:
        InputError: it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="flink-"))
    port, log = free_port(), folder / "log"
    # Flink leaves files behind.
    (folder / "tmp").mkdir()
    java: list[str | Path] = ["java", f"-Djava.io.tmpdir={folder / 'tmp'}", "-jar", jar]
    command = [*java, "--flink-master", master]
    command += ["--job-port", str(port), "--artifact-port", "0", "--expansion-port", "-1"]
    command += ["--artifacts-dir", staged or folder / "artifacts"]
    conf = folder / "conf"
    conf.mkdir()
    text = CONFIGURATION.format(folder=folder.as_uri()) if master == "[local]" else FOR_A_CLUSTER
    (conf / "flink-conf.yaml").write_text(text, "utf-8")
    command += ["--flink-conf-dir", conf]
    try:
        process = start_child(command, log)
        try:
            _wait(process, port, log)
            yield f"localhost:{port}"
        finally:
            stop_child(process, STOP_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
            return
        time.sleep(0.05)
    lines = log.read_text("utf-8", "replace").strip().splitlines() or ["it says nothing"]
    msg = f"Beam's job server for Flink does not start: {lines[-1].strip()}"
    raise InputError(msg)


def _name(argument: str) -> str:
    return argument.removeprefix("--").partition("=")[0]


def _master(given: dict[str, str | None]) -> str:
    """Where the job runs: `[local]`, or the address of a cluster with its scheme."""
    named = (given.get("flink_master") or "[local]").strip()
    if named in EMBEDDED:
        return "[local]"
    return named if "://" in named else f"http://{named}"


def _environment(given: dict[str, str | None], master: str, *, packed: bool) -> list[str]:
    """How workers run, where the options do not say.

    Raises:
        InputError: they could not be reached.
    """
    chosen = given.get("environment_type")
    if packed and chosen in {None, "LOOPBACK"}:
        msg = (
            "the workers of a job in a jar must be named: --environment_type=EXTERNAL "
            "--environment_config=localhost:50000, as deploy/flink describes"
        )
        raise InputError(msg)
    host = urllib.parse.urlsplit(master).hostname if master not in EMBEDDED else HERE[0]
    if host in HERE:
        return [] if chosen else ["--environment_type=LOOPBACK"]
    if chosen is None:
        msg = (
            f"the workers of a Flink at {host} must be named: --environment_type=EXTERNAL "
            "--environment_config=localhost:50000 where each TaskManager has a pool of them beside "
            "it, as deploy/flink describes"
        )
        raise InputError(msg)
    if chosen == "LOOPBACK":
        msg = (
            f"--environment_type=LOOPBACK has workers in this process, which a Flink at {host} "
            "cannot reach: use EXTERNAL, as deploy/flink describes"
        )
        raise InputError(msg)
    return []


def _staged(given: dict[str, str | None], master: str) -> str | None:
    """Where files are laid down that workers fetch by way of their TaskManager.

    Raises:
        InputError: a TaskManager elsewhere would not see them.
    """
    if master in EMBEDDED or is_here(master):
        return None
    folder = given.get("temp_location")
    if folder is None:
        msg = (
            "--temp_location must name a folder that every TaskManager sees, gs://BUCKET/FOLDER "
            "for example: what the workers fetch lies there"
        )
        raise InputError(msg)
    return f"{folder.rstrip('/')}/flink"


def _check_cluster(master: str, jar: str) -> None:
    """Asks the cluster who it is.

    Raises:
        InputError: it does not answer, or is of another version than the job server.
    """
    version = cluster_version(master)
    # Beam's own jars have the version in their names, too.
    wanted = next((each for each in Path(jar).name.split("-") if each[:1].isdigit()), None)
    if wanted is not None and not version.startswith(f"{wanted}."):
        msg = f"the Flink at {master} is {version}, and the job server {jar} is for {wanted}"
        raise InputError(msg)
