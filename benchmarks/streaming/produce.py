"""Sends readings into a topic, as they are due or as fast as possible; a process of its own.

`python -m benchmarks.streaming.produce '{"address": …}'` prints a line of JSON when it is ready,
begins when it is sent a line, and prints what it has sent at the end.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from confluent_kafka import KafkaError, Producer

from benchmarks.streaming.expected import Sent
from benchmarks.streaming.template import Block, Shares, make_blocks

__all__ = ["Load", "ProduceError", "earlier", "main"]

BLOCKS = 16
BLOCK_SECONDS = 0.1
FARTHEST = 64
"""Repeats and corrections are of one of so many rounds of blocks before."""

SETTINGS: dict[str, Any] = {
    "enable.idempotence": True,
    "delivery.report.only.error": True,
    "linger.ms": 20,
    "batch.size": 1_000_000,
    "batch.num.messages": 20_000,
    "queue.buffering.max.messages": 2_000_000,
    "queue.buffering.max.kbytes": 262_144,
    "message.max.bytes": 10_000_000,
}
FLUSH_SECONDS = 120.0


class ProduceError(Exception):
    """The broker has not taken all messages."""


@dataclass(frozen=True)
class Load:
    """What is sent.

    Attributes:
        address: `HOST:PORT` of the broker.
        topic: its topic.
        partitions: how many it has; blocks are cut into as many parts.
        rate: readings a second of event time.
        seconds: of event time, for which is sent.
        per_message: readings in a message.
        paced: when it is due; else as fast as possible, as a backlog that ends now: event times and
            the messages' own lie in the past then.
        repeats, corrections: shares of the readings.
        every_message: what is expected counts every message.
        compression: `none`, or what librdkafka names.
        seed: another seed, other readings.
        hot: share of the readings that lie in one region; None: as inhabitants do.
    """

    address: str
    topic: str
    partitions: int
    rate: float
    seconds: float
    per_message: int = 1
    paced: bool = True
    repeats: float = 0.02
    corrections: float = 0.02
    every_message: bool = False
    compression: str = "none"
    seed: int = 1
    hot: float | None = None

    @property
    def block_size(self) -> int:
        """Readings in a block: a tenth of a second's, in whole messages for each partition."""
        unit = self.per_message * (self.partitions if self.per_message > 1 else 1)
        return max(1, round(self.rate * BLOCK_SECONDS / unit)) * unit

    @property
    def blocks(self) -> int:
        """How many blocks are sent."""
        return max(1, round(self.rate * self.seconds / self.block_size))

    def due(self, start: float, number: int) -> float:
        """When a block is sent, in seconds since the epoch; of one below 0, when it would be."""
        return start + number * self.block_size / self.rate


class _Topic:
    """Hands messages to librdkafka."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._failure = ""
        settings = {**SETTINGS, "compression.type": load.compression}
        settings |= {"bootstrap.servers": load.address, "on_delivery": self._failed}
        self._producer = Producer(settings)

    def send(self, texts: list[bytes], milliseconds: int) -> None:
        """Sends messages with this time; 0: that of sending."""
        parts = self._load.partitions
        size = -(-len(texts) // parts)
        produce, topic = self._producer.produce, self._load.topic
        for part in range(parts):
            for text in texts[part * size : (part + 1) * size]:
                while True:
                    try:
                        produce(topic, text, None, part, None, None, milliseconds)
                        break
                    except BufferError:
                        self._producer.poll(0.02)
        self._producer.poll(0)
        self._check()

    def finish(self) -> None:
        """Waits until the broker has all."""
        if self._producer.flush(FLUSH_SECONDS):
            msg = "the broker does not take all messages in time"
            raise ProduceError(msg)
        self._check()

    def _failed(self, error: KafkaError | None, _message: Any) -> None:
        if error is not None:
            self._failure = error.str()

    def _check(self) -> None:
        if self._failure:
            msg = f"the broker has not taken a message: {self._failure}"
            raise ProduceError(msg)


def earlier(number: int) -> int:
    """The block whose readings a block repeats: the same template, so and so many rounds before."""
    rounds = number // BLOCKS
    return number - BLOCKS * (1 + number * 2_654_435_761 % 2**32 * min(FARTHEST, rounds) // 2**32)


def _sending(load: Load, topic: _Topic, blocks: list[Block], sent: Sent) -> Iterator[float]:
    """Sends all blocks; yields after each by how many seconds it was behind."""
    begin = time.time() + (0 if load.paced else -load.due(0, load.blocks))
    for number in range(load.blocks):
        due = load.due(begin, number)
        if load.paced:
            time.sleep(max(0.0, due - time.time()))
        source = earlier(number)
        second, before = int(due), (source, int(load.due(begin, source)))
        block = blocks[number % BLOCKS]
        # What was never sent has a number of its own, above all others.
        unsigned = before[0] % 2**32, before[1]
        topic.send(block.texts(number, second, unsigned), 0 if load.paced else int(due * 1000))
        sent.add(number, second, before)
        yield max(0.0, time.time() - due) if load.paced else 0.0


def main() -> int:
    """The command line; returns the exit code."""
    load = Load(**json.loads(sys.argv[1]))
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shares = Shares(load.repeats, load.corrections, load.hot)
    blocks = make_blocks(BLOCKS, load.block_size, load.per_message, shares, load.seed)
    sent = Sent(blocks, load.every_message)
    print(json.dumps({"ready": asdict(load)}), flush=True)
    sys.stdin.readline()
    began, cpu, behind = time.time(), time.process_time(), 0.0
    topic = _Topic(load)
    try:
        for late in _sending(load, topic, blocks, sent):
            behind = max(behind, late)
            if stopped:
                break
        topic.finish()
    except ProduceError as error:
        print(f"benchmarks: {error}", file=sys.stderr, flush=True)
        return 1
    done = {"seconds": time.time() - began, "cpu": time.process_time() - cpu, "behind": behind}
    print(json.dumps({**sent.as_dict(), **done, "began": began}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
