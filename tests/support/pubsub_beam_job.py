"""Pub/Sub by Beam's own reader, as a process of its own: the runner cannot be stopped otherwise.

    python -m tests.support.pubsub_beam_job URI FILE [TIMESTAMP_ATTRIBUTE]

Appends a line of JSON for each payload to the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from connectors.streams.beam_pubsub import ReadPubSubWithBeam
from connectors.streams.pubsub import PubSubSource
from transforms.payload import Payload


def shown(payload: Payload, time: Any) -> dict[str, Any]:
    """What a test looks at."""
    assert payload.messages is not None
    assert isinstance(payload.data, bytes)
    return {
        "texts": payload.data.decode().split("\n"),
        "source": payload.source,
        "places": list(payload.messages.places),
        "unit": payload.messages.unit,
        "arrived_at": payload.messages.arrived_at.tolist(),
        "timestamp": float(time),
    }


def main(uri: str, file: str, attribute: str | None = None) -> None:
    def append(payload: Payload, time: Any = beam.DoFn.TimestampParam) -> None:
        with Path(file).open("a") as found:
            found.write(json.dumps(shown(payload, time)) + "\n")

    options = PipelineOptions(["--runner=BundleBasedDirectRunner"])
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(options=options)
    source = PubSubSource(uri, timestamp_attribute=attribute)
    pipeline | ReadPubSubWithBeam(source) | beam.Map(append)
    pipeline.run().wait_until_finish()


if __name__ == "__main__":
    main(*sys.argv[1:])
