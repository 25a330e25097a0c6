"""Secrets come from the environment or from Secret Manager, and are shown nowhere."""

from __future__ import annotations

import pickle
from concurrent import futures

import grpc
import pytest
from google.api_core.client_options import ClientOptions
from google.cloud import secretmanager
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceGrpcTransport,
)
from google.cloud.secretmanager_v1.types import AccessSecretVersionResponse

from connectors import secrets
from connectors.input_error import InputError
from connectors.kafka_client import Cluster
from connectors.kafka_options import KafkaOptions
from connectors.streams.http_options import HttpOptions, read_key
from connectors.streams.java_kafka import java_settings
from pipelines.option_table import OPTIONS
from serving.options import parse_options as serving_options
from tests.support.jobs import run_job

USER, PASSWORD = "user", "not-to-be-shown"
METHOD = "/google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion"
REFERENCE = "secret:projects/p-1/secrets/kafka"


class Manager(grpc.GenericRpcHandler):
    """Answers as Secret Manager does, over gRPC."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.values = {"projects/p-1/secrets/kafka/versions/latest": PASSWORD.encode()}

    def service(self, call):
        return grpc.unary_unary_rpc_method_handler(self._answer) if call.method == METHOD else None

    def _answer(self, request, context):
        name = secretmanager.AccessSecretVersionRequest.deserialize(request).name
        self.asked.append(name)
        if name not in self.values:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{name}] not found")
        payload = {"data": self.values[name]}
        answer = AccessSecretVersionResponse(name=name, payload=payload)
        return AccessSecretVersionResponse.serialize(answer)


@pytest.fixture
def manager(monkeypatch):
    """A server that speaks the interface of Secret Manager, and the client that asks it."""
    handler = Manager()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    client = secretmanager.SecretManagerServiceClient(
        transport=SecretManagerServiceGrpcTransport(channel=channel),
        client_options=ClientOptions(),
    )
    monkeypatch.setattr(secrets, "client", lambda: client)
    monkeypatch.setattr(secrets, "_known", {})
    yield handler
    channel.close()
    server.stop(0)


def test_a_reference_to_secret_manager_is_asked_for_once(manager):
    options = KafkaOptions.parse([f"sasl.password={REFERENCE}"])
    assert REFERENCE.encode() in pickle.dumps(options)
    for _ in range(2):
        assert options.settings() == {"sasl.password": PASSWORD}
    assert manager.asked == ["projects/p-1/secrets/kafka/versions/latest"]
    assert PASSWORD.encode() not in pickle.dumps(options)
    assert PASSWORD not in repr(options)
    assert options.hide(f"refused {PASSWORD}") == "refused (hidden)"


def test_a_version_can_be_named(manager):
    manager.values["projects/p-1/secrets/kafka/versions/7"] = b"seven"
    assert secrets.secret_of(f"{REFERENCE}/versions/7") == "seven"


def test_an_environment_variable_may_hold_a_reference(manager, monkeypatch):
    monkeypatch.setenv("SECURITY_TEST_KEY", REFERENCE)
    assert read_key(HttpOptions(key_env="SECURITY_TEST_KEY")) == PASSWORD
    options = KafkaOptions.parse(["sasl.password=env:SECURITY_TEST_KEY"])
    assert options.settings() == {"sasl.password": PASSWORD}
    assert options.hide(PASSWORD) == "(hidden)"
    assert len(manager.asked) == 1


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("secret:projects/p-1/secrets/other", "roles/secretmanager.secretAccessor"),
        ("secret:hunter2", "is written secret:projects/PROJECT/secrets/SECRET"),
        ("secret:projects/p-1/secrets/bytes", "is no text"),
        ("env:SECURITY_TEST_NONE", "SECURITY_TEST_NONE is not set"),
    ],
)
def test_a_secret_that_cannot_be_had_is_one_sentence(manager, reference, sentence):
    manager.values["projects/p-1/secrets/bytes/versions/latest"] = b"\xff" + PASSWORD.encode()
    options = KafkaOptions.parse([f"sasl.password={reference}"])
    with pytest.raises(InputError, match=r"--kafka_option sasl\.password: ") as caught:
        options.settings()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "SASL.Password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "ssl.truststore.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.config",
        "sasl.jaas.config",
    ],
)
def test_a_password_in_the_open_is_refused_with_the_way_to_do_it(name, tmp_path):
    given = f"{name}={PASSWORD}"
    done = run_job("--input", "kafka://h:1/t", "--output", tmp_path, "--kafka_option", given)
    assert done.code != 0
    assert f"write {name}=env:VARIABLE" in done.err
    assert PASSWORD not in done.out + done.err


@pytest.mark.parametrize(
    "option",
    ["enable.ssl.certificate.verification=false", "ssl.endpoint.identification.algorithm=none"],
)
def test_the_certificate_of_a_broker_is_always_looked_at(option):
    with pytest.raises(InputError, match="could be anybody: name the authority"):
        KafkaOptions.parse([option])


def test_a_password_is_not_sent_as_it_is():
    plain = ["security.protocol=SASL_PLAINTEXT", "sasl.mechanisms=PLAIN"]
    with pytest.raises(InputError, match="would send the password as it is"):
        KafkaOptions.parse([*plain, "sasl.password=env:X"])
    KafkaOptions.parse(["security.protocol=SASL_PLAINTEXT", "sasl.mechanisms=SCRAM-SHA-512"])
    KafkaOptions.parse(["security.protocol=SASL_SSL", "sasl.mechanisms=PLAIN"])


def test_the_java_reader_has_no_way_to_secret_manager():
    options = KafkaOptions.parse([f"sasl.jaas.config={REFERENCE}"])
    with pytest.raises(InputError, match="from the environment only"):
        java_settings(options)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--input", f"https://{USER}:{PASSWORD}@host/readings"),
        ("--input", f"kafka://{USER}:{PASSWORD}@host:9092/topic"),
        ("--input", f"pubsub://{USER}:{PASSWORD}@projects/p/subscriptions/s"),
        ("--input", "https://host/x", "--output", f"kafka://{USER}:{PASSWORD}@host:9092/topic"),
        ("--dead_letters", f"kafka://{USER}:{PASSWORD}@host:9092/topic"),
        ("--output", f"bigquery://{USER}:{PASSWORD}@p.d"),
        ("--output", f"ftp://{USER}:{PASSWORD}@host/x"),
        ("--dead_letters", f"ftp://{USER}:{PASSWORD}@host/x"),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_job(*arguments, "--quiet")
    assert done.code != 0
    assert done.err.count("\n") == 1
    assert PASSWORD not in done.out + done.err
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in found if PASSWORD.encode() in path.read_bytes()]


def test_no_option_takes_a_secret():
    """Who adds an option for a secret has to name a variable or a reference, not the value."""
    words = ("password", "secret", "token", "credential", "key")
    named = {option.name for option in OPTIONS if any(word in option.name for word in words)}
    assert named <= {"http_key_env"}
    assert serving_options(["--output", "kafka://h:1/t"])


@pytest.mark.usefixtures("manager")
def test_an_error_of_the_client_does_not_repeat_a_secret():
    options = KafkaOptions.parse([f"security.protocol={REFERENCE}"])
    cluster = Cluster("127.0.0.1:1", "t", options)
    with pytest.raises(InputError, match="a --kafka_option is wrong") as caught:
        cluster.consumer({"group.id": "x"}, type("T", (), {"hear": print})())
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "said"),
    [("ftp://u:p@h/x", "ftp://h/x"), ("a@b/c", "b/c"), ("/data/x", "/data/x"), ("s://h", "s://h")],
)
def test_an_address_is_repeated_without_what_stands_before_the_host(uri, said):
    assert secrets.shown(uri) == said
