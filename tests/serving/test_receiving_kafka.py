"""The service as it is run, with a real Kafka broker behind it."""

import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.serving.device_messages import KINDS, NORMALISED, THERMOSTAT, device_message
from tests.serving.service_process import answer_of, run_to_its_end, running, wait_for
from tests.support.kafka_server import free_port, kafka_server  # noqa: F401 - a fixture

BAD = {"device_id": None, "timestamp": "yesterday", "temperature": "warm", "tag": "Thermostat"}


@pytest.fixture(scope="module")
def topics(kafka_server):  # noqa: F811
    return kafka_server.topic(2), kafka_server.topic()


@pytest.fixture(scope="module")
def service(kafka_server, topics):  # noqa: F811
    readings, raw = topics
    options = ["--max_in_flight", 2000, "--max_body", "300k", "--raw_messages", raw]
    with running("--output", kafka_server.uri(readings), *options) as started:
        yield started


@pytest.fixture
def published(kafka_server, topics):  # noqa: F811
    """What has come to the topics since the test began: (key, message), and raw text."""
    readings, raw = topics
    before = [counts(kafka_server, topic) for topic in (readings, raw)]

    def found():
        new = []
        for topic, old in zip((readings, raw), before, strict=True):
            rows = []
            for partition, (_, end) in counts(kafka_server, topic).items():
                if end > old[partition][1]:
                    rows += kafka_server.values(topic, end, partition)[old[partition][1] :]
            new.append(rows)
        return [(key.decode(), json.loads(text)) for key, text in new[0]], [t for _, t in new[1]]

    return found


def counts(server, topic):
    """The first and the next offset of every partition."""
    client = Consumer({"bootstrap.servers": server.address, "group.id": "counts"})
    try:
        partitions = client.list_topics(topic, timeout=20).topics[topic].partitions
        return {
            each: client.get_watermark_offsets(TopicPartition(topic, each), timeout=20)
            for each in partitions
        }
    finally:
        client.close()


def test_a_message_is_normalised_and_confirmed_before_the_answer(service, published):
    answer = service.post(THERMOSTAT)
    assert (answer.status, answer.body) == (202, {"accepted": 1})
    assert published() == ([("1", NORMALISED)], [json.dumps(THERMOSTAT).encode()])


def test_each_kind_of_device_has_its_quantity(service, published):
    sent = [
        device_message(device_id=kind, tag=kind, **{"temperature": ..., quantity: 60})
        for kind, quantity in KINDS.items()
    ]
    assert service.post(sent).status == 202
    said = {message["device_id"]: message for _, message in published()[0]}
    assert {kind: message["sensor"] for kind, message in said.items()} == KINDS
    assert {message["value"] for message in said.values()} == {60}


def test_a_normalised_message_passes_as_it_is(service, published):
    assert service.post(NORMALISED).status == 202
    assert published()[0] == [("1", NORMALISED)]


def test_of_an_array_with_bad_messages_nothing_is_published_and_every_fault_named(
    service, published
):
    answer = service.post([THERMOSTAT, BAD, 5, THERMOSTAT])
    assert answer.status == 422
    assert answer.body["accepted"] == 0
    found = {(e["index"], e["field"], e["reason"]) for e in answer.body["errors"]}
    assert found == {
        (1, "device_id", "null_value"),
        (1, "timestamp", "bad_timestamp"),
        (1, "temperature", "wrong_type"),
        (2, None, "not_an_object"),
    }
    assert all(error["detail"] for error in answer.body["errors"])
    readings, raw = published()
    assert readings == []
    assert [json.loads(text) for text in raw] == [THERMOSTAT, BAD, 5, THERMOSTAT]


def test_raw_messages_are_kept_byte_by_byte(service, published):
    text = b'{ "device_id":"x",\n\t"timestamp" : "2023-03-28 20:04:22", '
    text += '"temperature": "25.20","tag":"Thermostat", "note": "\\u00e9 ü"}'.encode()
    assert service.post(b"[ " + text + b" ]").status == 202
    assert published()[1] == [text]


def test_a_batch_of_a_thousand(service, published):
    sent = [device_message(device_id=str(n % 7), temperature=n / 10) for n in range(1000)]
    answer = service.post(sent)
    assert (answer.status, answer.body) == (202, {"accepted": 1000})
    readings, raw = published()
    assert sorted(message["value"] for _, message in readings) == [n / 10 for n in range(1000)]
    assert all(key == message["device_id"] for key, message in readings)
    assert len(raw) == 1000


def test_many_clients_at_once_lose_nothing_and_spoil_nothing_for_each_other(service, published):
    def send(number):
        good = number % 5 != 0
        message = device_message(device_id=str(number), temperature=1 if good else "warm")
        return service.post([message, THERMOSTAT]).status == (202 if good else 422)

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(send, range(300)))
    names = sorted(int(key) for key, message in published()[0] if message["value"] == 1)
    assert names == [number for number in range(300) if number % 5 != 0]


def test_the_same_message_again_is_taken_again(service, published):
    assert [service.post(THERMOSTAT).status for _ in range(2)] == [202, 202]
    assert published()[0] == [("1", NORMALISED)] * 2


def test_a_reading_from_the_future_is_refused(service):
    answer = service.post(device_message(timestamp="2999-01-01T00:00:00Z"))
    assert answer.status == 422
    assert [error["reason"] for error in answer.body["errors"]] == ["from_the_future"]


def test_a_message_that_is_too_large_is_named(service, published):
    answer = service.post([THERMOSTAT, device_message(note="x" * 70_000)])
    assert answer.status == 422
    assert [(e["index"], e["reason"]) for e in answer.body["errors"]] == [(1, "too_large")]
    assert published() == ([], [json.dumps(THERMOSTAT).encode()])


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{}", None, 415, "content type is missing"),
        (b"{}", "text/plain", 415, "text/plain"),
        (b"{", "application/json", 400, "not valid JSON"),
        (b"5", "Application/JSON; charset=utf-8", 400, "neither a JSON object nor an array"),
        (b"x" * 400_000, "application/json", 413, "307,200 bytes"),
        (json.dumps([1] * 2001).encode(), "application/json", 413, "2,001 messages"),
    ],
)
def test_a_request_that_is_none_is_refused_in_a_sentence(service, body, kind, status, words):
    answer = service.post(body, kind)
    assert answer.status == status
    assert words in answer.body["detail"]


def test_a_compressed_body_is_refused(service):
    headers = {"Content-Encoding": "gzip"}
    assert service.post(b"{}", **headers).status == 415


def test_a_body_without_an_end_is_cut_off(service):
    connection = service.connect()
    connection.putrequest("POST", "/devices/messages")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):  # noqa: PT012
        for _ in range(1000):
            connection.send(piece)
        assert answer_of(connection).status != 413, "it was refused, and the client told"
    connection.close()
    assert service.post(THERMOSTAT).status == 202


def test_the_service_answers_others_while_one_is_slow(service):
    slow = socket.create_connection((service.host, service.port))
    slow.sendall(
        b"POST /devices/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{"
    )
    assert service.post(THERMOSTAT).status == 202
    slow.close()
    assert service.get("/health").body == {"status": "alive"}


def test_it_says_that_it_is_ready_and_what_it_offers(service):
    assert service.get("/ready").body == {"status": "ready"}
    assert b"swagger-ui" in service.get("/docs").body
    assert b"cdn" not in service.get("/docs").body
    described = service.get("/openapi.json").body
    operation = described["paths"]["/devices/messages"]["post"]
    assert {"202", "400", "413", "415", "422", "429", "503"} <= set(operation["responses"])
    body = operation["requestBody"]["content"]["application/json"]
    for name, example in body["examples"].items():
        expected = 422 if name == "faulty" else 202
        answer = service.post(example["value"])
        assert answer.status == expected, name
        if name == "faulty":
            shown = operation["responses"]["422"]["content"]["application/json"]["example"]
            assert answer.body == shown


def test_the_log_has_a_line_a_request_without_what_the_messages_say(service):
    before = len(service.events("request"))
    service.post([device_message(device_id="secret-name", temperature="secret-value")])
    wait_for(lambda: len(service.events("request")) > before)
    line = service.events("request")[-1]
    assert line["status"] == 422
    assert line["reasons"] == {"wrong_type": 1}
    assert "secret" not in json.dumps(service.log)


def test_requests_that_have_begun_are_answered_when_it_is_told_to_stop(kafka_server):  # noqa: F811
    topic = kafka_server.topic()
    with running("--output", kafka_server.uri(topic)) as service:
        connection = service.connect()
        body = json.dumps([THERMOSTAT] * 3).encode()
        connection.putrequest("POST", "/devices/messages")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        assert service.post(THERMOSTAT).status == 202
        threading.Timer(0.3, lambda: connection.send(body[10:])).start()
        service.signal()
        assert answer_of(connection).body == {"accepted": 3}
        assert service.wait() == 0
    assert len(kafka_server.values(topic, 4)) == 4


def test_a_port_that_is_taken_is_told(kafka_server, service):  # noqa: F811
    arguments = ["--port", service.port, "--output", kafka_server.uri("any")]
    code, said = run_to_its_end(*arguments)
    assert code == 2
    assert said == (
        f"error: cannot listen on 127.0.0.1 port {service.port}: Address already in use\n"
    )


def test_a_topic_that_is_missing_is_told(kafka_server):  # noqa: F811
    uri = kafka_server.uri("no-such-topic")
    code, said = run_to_its_end("--port", 0, "--output", uri, "--log_level", "warning")
    assert code == 1
    assert said.splitlines()[-1].startswith("error: there is no topic no-such-topic")


def test_a_broker_that_is_not_there_is_told():
    uri = f"kafka://127.0.0.1:{free_port()}/readings"
    code, said = run_to_its_end("--port", 0, "--output", uri)
    assert code == 1
    assert uri.split("/")[2] in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("error: ")
