"""The runners that the project knows."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.groupings import BOTH, GROUPINGS, REGION, SENSOR

__all__ = ["BUNDLES", "CLUSTER", "EMBEDDED", "IN_PROCESS", "PRISM", "RUNNERS", "Runner"]


@dataclass(frozen=True)
class Runner:
    """A runner.

    Attributes:
        name: what the tests call it.
        title: what the docs call it.
        option: what stands after `--runner`.
        fed: how the tests feed it a stream: a `topic` of Kafka, by the command; or a
            `test_stream`, event by event; None where it runs none.
        needs: the fixtures without which it is not there.
        quick: the kinds of input that take it only a few seconds.
        by: how means are grouped in runs over files, and in streams.
        punctual: rows that are due by the clock come then. Else a busy machine may leave some out
            until the next change of their window, and what is due at the watermark may come early.
    """

    name: str
    title: str
    option: str
    fed: str | None
    needs: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    by: tuple[tuple[str, ...], tuple[str, ...]] = (GROUPINGS, GROUPINGS)
    punctual: bool = True

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it takes: `batch`, `stream`."""
        return ("batch",) if self.fed is None else ("batch", "stream")

    def groupings(self, kind: str) -> tuple[str, ...]:
        """How means are grouped in runs of that kind."""
        return self.by[kind != "batch"]

    def is_slow(self, kind: str) -> bool:
        """Whether that kind takes more than a few seconds."""
        return kind not in self.quick


IN_PROCESS = Runner("in_process", "FnApiRunner", "FnApiRunner", None, quick=("batch",))
PRISM = Runner("prism", "Prism", "PrismRunner", "topic", ("prism",), punctual=False)
BUNDLES = Runner(
    "bundles",
    "BundleBasedDirectRunner",
    "BundleBasedDirectRunner",
    "test_stream",
    quick=("batch",),
)
# A job on Flink takes long to start: each grouping is run once.
ON_FLINK = ((SENSOR,), (REGION, BOTH))
EMBEDDED = Runner(
    "flink", "Flink, embedded", "FlinkRunner", "topic", ("job_server_jar",), by=ON_FLINK
)
CLUSTER = Runner(
    *("cluster", "Flink, cluster", "FlinkRunner", "topic", ("job_server_jar", "flink_cluster")),
    by=ON_FLINK,
)

RUNNERS = (IN_PROCESS, PRISM, BUNDLES, EMBEDDED, CLUSTER)
