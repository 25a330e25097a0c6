"""Sends rejected records again after a fix: `python -m pipelines.replay`."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.console import INTERRUPTED, fail, write_out
from pipelines.options import UsageError
from pipelines.replay_options import File, Folder, Topic, check, parse_replay_options
from pipelines.replay_report import Replayed, as_json, as_text
from transforms.windows import parse_duration

if TYPE_CHECKING:
    from connectors.dead_letters.letter import Letter
    from pipelines.replay_outputs import Output

__all__ = ["main"]

WHILE_RUNNING = re.compile(r"\s*\[while running .*", re.DOTALL)
LARGEST = 64 << 20
"""Bytes of the largest record that the pipeline reads, and so of the largest fetched."""

SHARE = 32 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line.

    Returns:
        0 where all that can be sent was sent, 1 where it failed, 2 for wrong usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        options, rest = parse_replay_options(sys.argv[1:] if arguments is None else arguments)
        return _main(options, rest)
    except UsageError as error:
        return fail(str(error), 2)
    except KeyboardInterrupt:
        return fail("interrupted; what is marked as replayed was sent", INTERRUPTED)


def _main(options: argparse.Namespace, rest: Sequence[str]) -> int:
    from connectors.input_error import InputError  # noqa: PLC0415 - Beam takes a second
    from connectors.local_store import StoreError  # noqa: PLC0415
    from connectors.output_error import OutputError  # noqa: PLC0415

    try:
        replayed = _replay(options, check(options, rest))
    except (InputError, OutputError, StoreError) as error:
        return fail(WHILE_RUNNING.sub("", str(error)))
    except OSError as error:
        return fail(f"{error.filename or 'the replay failed'}: {error.strerror or error}")
    text = (as_json if options.format == "json" else as_text)(replayed, options)
    return write_out(lambda: print(text), "the records are sent, but that cannot be shown")


def _replay(options: argparse.Namespace, main_options: Any) -> Replayed:
    from connectors.dead_letters.judge import Judge  # noqa: PLC0415
    from connectors.dead_letters.whole import whole_record  # noqa: PLC0415

    done, seen = Replayed(), set()
    judge = Judge(options.message_format, parse_duration(options.max_future))
    sender = _Sender(options, None if options.dry_run else _open(options, main_options))
    complete = False
    try:
        for letters in _letters(options, done):
            whole, texts = [], []
            for letter in letters:
                first = letter.key not in seen
                seen.add(letter.key)
                text = whole_record(letter, LARGEST, fetch=not isinstance(options.origin, Topic))
                done.found += first
                if text is not None:
                    whole.append((letter, first))
                    texts.append(text)
                elif first:
                    done.not_whole.append((letter.source, letter.raw_size))
            reasons = judge.reasons([letter for letter, _ in whole], texts)
            for (letter, first), text, reason in zip(whole, texts, reasons, strict=True):
                if reason is None:
                    done.good += first
                    sender.add(letter, text, send=first)
                elif first:
                    done.still_rejected[reason] += 1
            # A subscription's messages are acknowledged when the next ones are asked for.
            sender.flush(least=0 if isinstance(options.origin, Topic) else SHARE)
        sender.flush()
        complete = True
    finally:
        sender.close(complete=complete)
    done.counted = getattr(sender.output, "counted", None)
    return done


class _Sender:
    """Sends records, some at a time, and marks what was sent where it came from.

    What is sent and not marked, because the process ended between, is sent again by the next
    replay: a reading is told apart by its identity, and counts once.
    """

    def __init__(self, options: argparse.Namespace, output: Output | None) -> None:
        self.output = output
        self._options = options
        self._records: list[tuple[Letter, bytes]] = []
        self._marks: list[Letter] = []
        self._size = 0
        self._late_marks = isinstance(options.destination, File)

    def add(self, letter: Letter, text: bytes, *, send: bool) -> None:
        """Takes a record; one that another letter was about is marked only."""
        self._marks.append(letter)
        if send:
            self._records.append((letter, text))
            self._size += len(text)

    def flush(self, least: int = 0) -> None:
        """Sends what has gathered, if it is so many bytes."""
        if self.output is None:
            self._records, self._marks, self._size = [], [], 0
            return
        if self._size < least:
            return
        if self._records:
            self.output.send(self._records)
            self._records, self._size = [], 0
        if not self._late_marks:
            self._mark()

    def close(self, *, complete: bool) -> None:
        """Ends the output. A file is there only now, and only now its records are marked."""
        if self.output is None:
            return
        self.output.close(complete=complete)
        if complete and self._late_marks:
            self._mark()

    def _mark(self) -> None:
        marks, self._marks = self._marks, []
        if not marks or self.output is None:
            return
        from connectors.dead_letters import marks as writing  # noqa: PLC0415

        origin = self._options.origin
        if isinstance(origin, Folder):
            from connectors.local_store import LocalStore  # noqa: PLC0415

            writing.mark_in_store(LocalStore(origin.path), marks, self.output.name)
        elif not isinstance(origin, Topic):
            writing.mark_in_bigquery(origin.uri, marks, self.output.name)


def _letters(options: argparse.Namespace, done: Replayed) -> Iterator[list[Letter]]:
    from connectors.dead_letters import tables, topics  # noqa: PLC0415
    from connectors.dead_letters.letter import Selection  # noqa: PLC0415

    selection = Selection(
        frozenset(options.reason), options.since, options.until, options.source, options.again
    )
    origin = options.origin
    if isinstance(origin, Folder):
        from connectors.local_store import LocalStore  # noqa: PLC0415

        return tables.letters_of_store(LocalStore(origin.path), selection)
    if not isinstance(origin, Topic):
        return tables.letters_of_bigquery(origin.uri, selection)
    if origin.uri.startswith("kafka://"):
        from connectors.kafka_options import KafkaOptions  # noqa: PLC0415

        kafka = KafkaOptions.parse(options.kafka_option)
        return topics.letters_of_kafka(origin.uri, kafka, selection, done.note_strange)
    return topics.letters_of_subscription(
        origin.uri, selection, done.note_strange, keep=options.dry_run
    )


def _open(options: argparse.Namespace, main_options: Any) -> Output:
    from pipelines import replay_outputs as outputs  # noqa: PLC0415

    to = options.destination
    if isinstance(to, File):
        return outputs.FileOutput(to.path)
    if isinstance(to, Topic):
        return outputs.TopicOutput(to.uri, options.kafka_option)
    return outputs.StoreOutput(*main_options)


if __name__ == "__main__":
    sys.exit(main())
