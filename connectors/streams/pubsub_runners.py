"""Which runner reads Pub/Sub in which way, and what it cannot do."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.input_error import InputError

__all__ = ["BEAM", "POLLING", "PubSubWay", "way_to_read"]

POLLING, BEAM = "polling", "beam"

POLLED_BY = ("DirectRunner", "PrismRunner", "FlinkRunner", "PortableRunner")
"""For a stream the DirectRunner is Prism (`pipelines.stream_runner`)."""

NATIVE = ("DataflowRunner", "TestDataflowRunner")
BUNDLES = "BundleBasedDirectRunner"

NAME_ANOTHER = "use --runner=PrismRunner here, FlinkRunner or DataflowRunner elsewhere"
BUNDLE_LIMITS = (
    "on the BundleBasedDirectRunner Pub/Sub messages are acknowledged before they are processed "
    "(a crash loses them), the watermark is the clock, and about 1,000 messages a second are read"
)


@dataclass(frozen=True)
class PubSubWay:
    """How a runner reads Pub/Sub.

    Attributes:
        reader: `POLLING`: `ReadStream` with a `PubSubSource`; `BEAM`: `ReadPubSubWithBeam`.
        line: what to say at the start; None for nothing.
    """

    reader: str
    line: str | None = None


def way_to_read(runner: str | None, id_attribute: str | None = None) -> PubSubWay:
    """How this runner reads Pub/Sub.

    Args:
        runner: as it stands after `--runner`; None where none is named.
        id_attribute: the attribute that is to tell messages apart.

    Raises:
        InputError: it cannot, or not by that attribute.
    """
    name = _full_name(runner or "DirectRunner")
    if name in NATIVE:
        return PubSubWay(BEAM)
    if name not in {*POLLED_BY, BUNDLES}:
        msg = f"the {name} does not read Pub/Sub; {NAME_ANOTHER}"
        if name == "FnApiRunner":
            msg = f"the {name} ends at once without having read anything of Pub/Sub; {NAME_ANOTHER}"
        raise InputError(msg)
    if id_attribute is not None:
        msg = (
            f"--pubsub_id_attribute works on Dataflow only, not on the {name}; leave it out: "
            "messages with the same reading are settled by the reading's own identity"
        )
        raise InputError(msg)
    return PubSubWay(BEAM, BUNDLE_LIMITS) if name == BUNDLES else PubSubWay(POLLING)


def _full_name(runner: str) -> str:
    """The runner's class: Beam takes any case, the name without `Runner`, and whole paths."""
    last = runner.rpartition(".")[2]
    known = ("FnApiRunner", BUNDLES, *POLLED_BY, *NATIVE)
    for name in known:
        if last.lower() in {name.lower(), name.lower().removesuffix("runner")}:
            return name
    return last
