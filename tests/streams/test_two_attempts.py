"""A job that is started again reads a partition while its former attempt still does: none is lost.

Which of the two is first cannot be told to a real broker, so the client here does as it is told.
"""

from __future__ import annotations

import threading

from connectors.streams.kafka_reader import KafkaReader

WAIT = 20.0
FORMER = 100
"""Where the former attempt is."""


class Message:
    """A message whose text is its offset."""

    def __init__(self, offset):
        self._offset = offset

    def error(self):
        return None

    def offset(self):
        return self._offset

    def value(self):
        return str(self._offset).encode()

    def timestamp(self):
        return 1, 1_700_000_000_000


class Client:
    """Gives five messages at a time, from wherever it was sent last, to who has asked first.

    It has nothing for the first one until it is sent elsewhere, or for a moment.
    """

    uri, servers, topic = "kafka://b:1/t", "b:1", "t"

    def __init__(self):
        self.at = 0
        self.asked, self.sent, self.answered = (threading.Event() for _ in range(3))

    def consumer(self, *_):
        return self

    def assign(self, where):
        self.at = where[0].offset
        if self.at != FORMER:
            self.sent.set()

    def consume(self, *_):
        if self.asked.is_set():
            assert self.answered.wait(WAIT)
        else:
            self.asked.set()
            self.sent.wait(0.5)
        at, self.at = self.at, self.at + 5
        self.answered.set()
        return [Message(offset) for offset in range(at, at + 5)]

    def get_watermark_offsets(self, *_, **__):
        return None


def test_the_former_attempt_does_not_take_what_the_new_one_reads(monkeypatch):
    monkeypatch.setattr("connectors.streams.kafka_reader.Message", Message)
    client = Client()
    reader = KafkaReader(client, 0, "t/0", "group", gone="fail", timeout=10.0)
    former = threading.Thread(target=reader.poll, args=(FORMER, 0.1), daemon=True)
    former.start()
    assert client.asked.wait(WAIT)
    found, position = [], 0
    for _ in range(2):
        poll = reader.poll(position, 0.1)
        found += poll.payload.messages.places.tolist()
        position = poll.position
    former.join(WAIT)
    assert found == list(range(10))
