"""What of a Dataflow job must stay as it is, so that a running job can be updated.

`python -m tests.support.launches` writes the recorded graphs anew.
"""

from __future__ import annotations

from typing import Any

from apache_beam.portability.api import beam_runner_api_pb2 as api
from google.protobuf.json_format import MessageToDict
from google.protobuf.wrappers_pb2 import BytesValue

__all__ = ["graph_of", "request_of"]

PAR_DO = "beam:transform:pardo:v1"
PICKLED = "beam:coder:pickled_python:v1"


def graph_of(pipeline: api.Pipeline) -> dict[str, Any]:
    """The graph by names, without what differs between two launches.

    For each step: what it is, what goes in, and what comes out with which coder and in which
    windows; the states and timers of a ParDo with their coders.

    Args:
        pipeline: as the runner has staged it.
    """
    return _Graph(pipeline.components).steps()


class _Graph:
    def __init__(self, components: api.Components) -> None:
        self._components = components
        self._producers = {
            collection: f"{step.unique_name}[{tag}]"
            for step in components.transforms.values()
            if not step.subtransforms
            for tag, collection in step.outputs.items()
        }

    def steps(self) -> dict[str, Any]:
        found = {}
        for step in self._components.transforms.values():
            if step.subtransforms or not step.spec.urn:
                continue
            if step.unique_name in found:
                msg = f"two steps are named {step.unique_name}"
                raise AssertionError(msg)
            found[step.unique_name] = self._step(step)
        return dict(sorted(found.items()))

    def _step(self, step: api.PTransform) -> dict[str, Any]:
        described: dict[str, Any] = {
            "urn": step.spec.urn,
            "in": {tag: self._producers[each] for tag, each in sorted(step.inputs.items())},
            "out": {tag: self._collection(each) for tag, each in sorted(step.outputs.items())},
        }
        if step.spec.urn == PAR_DO:
            described |= self._par_do(api.ParDoPayload.FromString(step.spec.payload))
        elif step.environment_id == "":
            described["runner's own"] = True
        return described

    def _collection(self, name: str) -> dict[str, Any]:
        collection = self._components.pcollections[name]
        strategy = self._components.windowing_strategies[collection.windowing_strategy_id]
        windows = MessageToDict(strategy)
        for volatile in ("environmentId", "windowCoderId"):
            windows.pop(volatile, None)
        # Pickled window functions differ in their bytes from one Python to the next.
        windows["windowFn"] = strategy.window_fn.urn
        windows["windowCoder"] = self._coder(strategy.window_coder_id)
        return {
            "coder": self._coder(collection.coder_id),
            "bounded": collection.is_bounded == api.IsBounded.BOUNDED,
            "windows": windows,
        }

    def _par_do(self, payload: api.ParDoPayload) -> dict[str, Any]:
        described: dict[str, Any] = {}
        if payload.state_specs:
            described["states"] = {
                name: self._state(spec) for name, spec in sorted(payload.state_specs.items())
            }
        if payload.timer_family_specs:
            described["timers"] = {
                name: {
                    "domain": api.TimeDomain.Enum.Name(spec.time_domain),
                    "coder": self._coder(spec.timer_family_coder_id),
                }
                for name, spec in sorted(payload.timer_family_specs.items())
            }
        if payload.side_inputs:
            described["side inputs"] = {
                name: side.access_pattern.urn for name, side in sorted(payload.side_inputs.items())
            }
        if payload.restriction_coder_id:
            described["restriction"] = self._coder(payload.restriction_coder_id)
        return described

    def _state(self, spec: api.StateSpec) -> dict[str, Any]:
        kind = spec.WhichOneof("spec")
        inner = getattr(spec, kind)
        coders = {
            field.name: self._coder(getattr(inner, field.name))
            for field in inner.DESCRIPTOR.fields
            if field.name.endswith("coder_id") and getattr(inner, field.name)
        }
        return {"kind": kind, **coders}

    def _coder(self, name: str) -> str:
        coder = self._components.coders[name]
        urn = coder.spec.urn.removeprefix("beam:coder:").removesuffix(":v1")
        if coder.spec.urn == PICKLED:
            # The name of the class stands before its pickled state.
            urn = BytesValue.FromString(coder.spec.payload).value.split(b"$")[0].decode()
        inner = ", ".join(self._coder(each) for each in coder.component_coder_ids)
        return f"{urn}<{inner}>" if inner else urn


def request_of(job: dict[str, Any]) -> dict[str, Any]:
    """The job request without what differs between two launches.

    Args:
        job: the request as the runner writes it.
    """
    environment = job["environment"]
    (pool,) = environment["workerPools"]
    options = environment["sdkPipelineOptions"]["options"]
    return {
        "type": job["type"],
        "experiments": sorted(environment["experiments"]),
        "serviceOptions": environment.get("serviceOptions", []),
        "version": environment["version"],
        "packages": [each["name"] for each in pool["packages"]],
        "images": sorted(each["containerImage"] for each in pool["sdkHarnessContainerImages"]),
        "autoscaling": pool["autoscalingSettings"],
        "streaming": options["streaming"],
        "streamingEngine": options["enable_streaming_engine"],
        "saveMainSession": options["save_main_session"],
        "pickleLibrary": options["pickle_library"],
    }
