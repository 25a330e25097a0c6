"""The options of Flink: which are set, which are refused, and what is said where parts miss."""

from __future__ import annotations

import contextlib
import http.server
import json
import sys
import threading

import pytest

from connectors.input_error import InputError
from connectors.streams.source import STOP
from pipelines import flink
from pipelines.flink import find_job_server, flink_arguments, running_job_server
from pipelines.flink_cluster import job_id, stopped_with_sources
from pipelines.flink_options import FLINK_OPTIONS, check_options, given_options, stream_defaults

RUNNER = "--runner=FlinkRunner"


@pytest.fixture
def jar(tmp_path, monkeypatch):
    """A jar that is there, and a job server that need not be started."""
    path = tmp_path / "beam-runners-flink-1.19-job-server-2.77.0.jar"
    path.touch()
    monkeypatch.setenv("FLINK_JOB_SERVER_JAR", str(path))
    monkeypatch.setattr(flink.shutil, "which", lambda _: "/usr/bin/java")

    @contextlib.contextmanager
    def started(*_):
        yield "localhost:1"

    monkeypatch.setattr(flink, "running_job_server", started)
    return str(path)


def complete(*arguments, **settings):
    with flink_arguments([RUNNER, *arguments], **settings) as found:
        return given_options(found)


class Cluster(http.server.BaseHTTPRequestHandler):
    """Answers as a Flink's REST interface does."""

    version = "1.19.0"
    stops = True
    asked: list = []  # noqa: RUF012
    away = 0
    fails = 0

    def do_GET(self):
        if Cluster.away:
            Cluster.away -= 1
            self.answer(503, {})
            return
        if "/savepoints/" in self.path:
            cause = {"failure-cause": {}} if len(self.asked) <= self.fails else {}
            self.answer(200, {"status": {"id": "COMPLETED"}, "operation": cause})
            return
        overview = {
            "jobs": [
                {"jid": "old", "name": "mine", "state": "FAILED", "start-time": 3},
                {"jid": "new", "name": "mine", "state": "RUNNING", "start-time": 2},
                {"jid": "first", "name": "mine", "state": "RUNNING", "start-time": 1},
            ]
        }
        config = {"flink-version": self.version}
        self.answer(200, config if self.path == "/config" else overview)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.command, self.path, body))
        self.answer(202 if self.stops else 400, {"request-id": "7"})

    def do_PATCH(self):
        self.asked.append((self.command, self.path))
        self.answer(202, {})

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def cluster():
    Cluster.asked, Cluster.stops, Cluster.version = [], True, "1.19.0"
    Cluster.away = Cluster.fails = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_other_runners_options_stay_as_they_are():
    for given in ([], ["--runner=PrismRunner", "--max_bundle_size", "5"]):
        with flink_arguments(given, streaming=True) as found:
            assert found == given


def test_options_are_read_in_every_way_of_writing_them():
    given = ["--runner", "FlinkRunner", "--streaming", "--parallelism=4", "--job_name"]
    assert given_options(given) == {
        "runner": "FlinkRunner",
        "streaming": None,
        "parallelism": "4",
        "job_name": None,
    }


@pytest.mark.usefixtures("jar")
def test_a_stream_gets_what_it_would_lose_data_without():
    found = complete(streaming=True, ends=True)
    assert found["finish_bundle_before_checkpointing"] is None
    assert int(found["checkpointing_interval"]) > 0
    assert found["max_bundle_time_mills"] == "20"
    assert found["shutdown_sources_after_idle_ms"] == "3000"
    # Its first checkpoint waits until the readers end: for months, if they read for months.
    assert int(found["checkpoint_timeout_millis"]) > 1e11
    assert found["environment_type"] == "LOOPBACK"
    assert found["job_endpoint"] == "localhost:1"


def test_what_the_user_gives_stays():
    given = {"checkpointing_interval": "7", "finish_bundle_before_checkpointing": None}
    assert stream_defaults(given, ends=False) == ["--max_bundle_time_mills=20"]


@pytest.mark.usefixtures("jar")
def test_files_need_no_checkpoints():
    assert "checkpointing_interval" not in complete()


def test_every_option_that_is_set_is_one_of_beams():
    assert set(given_options(stream_defaults({}, ends=True))) <= set(FLINK_OPTIONS)


@pytest.mark.parametrize(
    ("given", "ends", "said"),
    [
        ({"max_bundle_time_millis": "5"}, True, "did you mean --max_bundle_time_mills?"),
        ({"finish_bundle_before_checkpointing": "false"}, True, "loses what is left to read"),
        ({"checkpointing_mode": "AT_LEAST_ONCE"}, True, "readings count twice"),
        ({"checkpointing_interval": "0"}, True, "must be milliseconds, not 0"),
        ({"checkpointing_interval": "-1"}, True, "must be milliseconds, not -1"),
        ({"checkpointing_interval": "5s"}, True, "must be milliseconds, not 5s"),
        ({"shutdown_sources_after_idle_ms": "9"}, False, "no checkpoint is completed"),
    ],
)
def test_what_loses_data_is_refused_in_one_sentence(given, ends, said):
    with pytest.raises(InputError, match=said) as error:
        check_options(given, streaming=True, ends=ends)
    assert "\n" not in str(error.value)


def test_what_loses_no_data_is_not_refused():
    check_options({"checkpointing_mode": "AT_LEAST_ONCE"}, streaming=False)
    given = {"checkpointing_mode": "exactly_once", "some_new_thing": "1", "max_bundle_size": "9"}
    check_options(given, streaming=True)


def test_a_jar_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("FLINK_JOB_SERVER_JAR", raising=False)
    monkeypatch.setattr(flink, "BUILT", tmp_path / "none.jar")
    monkeypatch.setattr(flink.shutil, "which", lambda _: "/usr/bin/java")
    with pytest.raises(InputError, match="run `make flink-job-server`"):
        find_job_server()
    with pytest.raises(InputError, match=r"other\.jar is not there"):
        find_job_server("other.jar")
    (tmp_path / "none.jar").touch()
    assert find_job_server() == str(tmp_path / "none.jar")
    monkeypatch.setattr(flink.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="needs Java"):
        find_job_server()


def test_a_job_server_that_does_not_start_says_why(tmp_path, monkeypatch):
    said = "import sys; print('no such jar'); sys.exit(1)"
    real = flink.start_child
    monkeypatch.setattr(
        flink, "start_child", lambda _, log: real([sys.executable, "-c", said], log)
    )
    monkeypatch.setattr(flink.tempfile, "mkdtemp", lambda prefix: str(made(tmp_path / prefix)))
    with (
        pytest.raises(InputError, match="does not start: no such jar"),
        running_job_server("x.jar", "[local]"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def made(folder):
    folder.mkdir()
    return folder


@pytest.mark.usefixtures("jar")
def test_a_cluster_that_is_not_there_is_told_how_to_start():
    with pytest.raises(InputError, match=r"no Flink answers at .*; `make flink-start` starts one"):
        complete("--flink_master=127.0.0.1:1")


@pytest.mark.usefixtures("jar")
def test_a_cluster_of_another_version_is_refused(cluster):
    Cluster.version = "1.20.1"
    with pytest.raises(InputError, match=r"is 1\.20\.1, and the job server .* is for 1\.19"):
        complete(f"--flink_master={cluster}")


@pytest.mark.usefixtures("jar")
def test_a_stream_on_a_cluster_keeps_its_sources(cluster):
    found = complete(f"--flink_master={cluster}", streaming=True, ends=False)
    assert "shutdown_sources_after_idle_ms" not in found
    assert "parallelism" not in found


@pytest.mark.usefixtures("jar")
def test_workers_must_be_within_reach():
    there = "--flink_master=flink.example:8081"
    with pytest.raises(InputError, match="--environment_type=EXTERNAL"):
        complete(there)
    with pytest.raises(InputError, match="LOOPBACK has workers in this process"):
        complete(there, "--environment_type=LOOPBACK")


@pytest.mark.usefixtures("jar")
def test_a_job_in_a_jar_is_run_elsewhere():
    packed = "--output_executable_path=job.jar"
    with pytest.raises(InputError, match="the workers of a job in a jar must be named"):
        complete(packed, streaming=True)
    with pytest.raises(InputError, match="is for streams"):
        complete(packed)
    found = complete(packed, "--environment_type=EXTERNAL", streaming=True, ends=False)
    assert "parallelism" not in found
    assert "shutdown_sources_after_idle_ms" not in found
    assert found["job_endpoint"] == "localhost:1"


@pytest.mark.usefixtures("jar")
def test_files_for_workers_elsewhere_lie_where_they_see_them(monkeypatch):
    monkeypatch.setattr(flink, "cluster_version", lambda _: "1.19.0")
    there = ["--flink_master=https://flink.example", "--environment_type=EXTERNAL"]
    with pytest.raises(InputError, match="--temp_location must name a folder"):
        complete(*there)
    given = given_options([*there, "--temp_location=gs://bucket/temp/"])
    assert flink._staged(given, "https://flink.example") == "gs://bucket/temp/flink"


@pytest.mark.usefixtures("jar")
def test_a_job_server_that_is_named_is_used():
    found = complete("--job_endpoint=localhost:8099", streaming=True)
    assert found["job_endpoint"] == "localhost:8099"
    assert "shutdown_sources_after_idle_ms" not in found


def test_a_single_jar_for_the_cluster_needs_no_job_server(jar, cluster):
    found = complete(f"--flink_master={cluster}", "--flink_submit_uber_jar")
    assert found["flink_job_server_jar"] == jar
    assert "job_endpoint" not in found


@pytest.mark.parametrize("drain", [True, False])
def test_an_interrupt_stops_the_job_with_a_savepoint(cluster, drain):
    with stopped_with_sources(cluster, "mine", drain=drain):
        STOP.set()
        wait(lambda: Cluster.asked)
    STOP.clear()
    assert Cluster.asked == [("POST", "/jobs/new/stop", {"drain": drain})]


def test_a_cluster_that_is_away_or_starts_the_job_again_is_asked_again(cluster):
    Cluster.away, Cluster.fails = 2, 1
    with stopped_with_sources(cluster, "mine", drain=True):
        STOP.set()
        wait(lambda: len(Cluster.asked) == 2)
    STOP.clear()
    assert Cluster.away == 0
    assert Cluster.asked == 2 * [("POST", "/jobs/new/stop", {"drain": True})]


def test_a_job_that_takes_no_savepoint_is_cancelled(cluster):
    Cluster.stops = False
    with stopped_with_sources(cluster, "mine", drain=True):
        STOP.set()
        wait(lambda: len(Cluster.asked) == 2)
    STOP.clear()
    assert Cluster.asked[1] == ("PATCH", "/jobs/new?mode=cancel")


def test_without_an_interrupt_nothing_is_stopped(cluster):
    with stopped_with_sources(cluster, "mine", drain=True):
        pass
    assert not Cluster.asked
    assert job_id(cluster, "another") is None


def wait(condition):
    event = threading.Event()
    for _ in range(500):
        if condition():
            return
        event.wait(0.02)
    raise AssertionError


@pytest.mark.slow
def test_the_options_are_those_of_the_job_server():
    import grpc  # noqa: PLC0415
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc  # noqa: PLC0415

    try:
        jar = find_job_server()
    except InputError as error:
        pytest.skip(str(error))
    with running_job_server(jar, "[local]") as address, grpc.insecure_channel(address) as channel:
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        described = stub.DescribePipelineOptions(
            beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=60
        )
    found = {option.name for option in described.options}
    assert set(FLINK_OPTIONS) <= found, set(FLINK_OPTIONS) - found
