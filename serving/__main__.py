"""Starts the service: `python -m serving --output kafka://127.0.0.1:9092/readings`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from connectors.input_error import InputError
from connectors.output_error import OutputError
from pipelines.console import fail
from serving.health import Readiness, health_router
from serving.intake import Intake
from serving.log import set_up_log
from serving.options import parse_options
from serving.publishers import open_publisher, sibling
from serving.receiving import receiving_router
from serving.server import listen, serve

__all__ = ["main"]

FAILURE, USAGE = 1, 2
REACHED_WITHIN = 5.0
"""Seconds that a queue has for its first answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the service until it is told to stop.

    Args:
        arguments: without the program's name; those of the process by default.

    Returns:
        The exit code: 0 after a signal, 1 where the queue cannot be reached or has not confirmed
        everything, 2 where the command line is wrong or the port is taken.
    """
    options = parse_options(arguments)
    uris = [options.output]
    if options.raw_messages is not None:
        given = options.raw_messages
        uris.append(given if "://" in given else sibling(options.output, given))
    if len(set(uris)) < len(uris):
        return fail("raw messages cannot go to the topic of the others", USAGE)
    set_up_log(options.log_level)
    try:
        opened = listen(options.host, options.port)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return fail(f"cannot listen on {options.host} port {options.port}: {why}", USAGE)
    with opened:
        try:
            publishers = [
                open_publisher(
                    uri,
                    confirm_within=options.confirm_within,
                    kafka_options=options.kafka_option,
                )
                for uri in uris
            ]
            for publisher in publishers:
                publisher.check(REACHED_WITHIN)
        except InputError as error:
            return fail(str(error), USAGE)
        except OutputError as error:
            return fail(str(error), FAILURE)
        raw = publishers[1] if len(publishers) > 1 else None
        intake = Intake(publishers[0], raw, options.limits)
        routers = [receiving_router(intake, options.limits), health_router(Readiness(publishers))]
        serve(routers, opened, options.confirm_within + 1)
        left = intake.close(options.confirm_within)
    if left:
        return fail(f"the queue has not confirmed {left:,} messages", FAILURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
