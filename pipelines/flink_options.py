"""Beam's options for Flink: those without which a stream loses data, and those that lose it."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from connectors.input_error import InputError

__all__ = ["FLINK", "FLINK_OPTIONS", "check_options", "given_options", "stream_defaults"]

FLINK = "FlinkRunner"

FLINK_OPTIONS = (
    *("allow_non_restored_state", "attached_mode", "auto_balance_write_files_sharding_enabled"),
    *("auto_watermark_interval", "checkpoint_timeout_millis", "checkpointing_interval"),
    *("checkpointing_mode", "disable_metrics", "enable_stable_input_drain"),
    *("execution_mode_for_batch", "execution_retry_delay", "externalized_checkpoints_enabled"),
    *("fail_on_checkpointing_errors", "faster_copy", "file_input_split_max_size_m_b"),
    *("finish_bundle_before_checkpointing", "flink_conf_dir", "flink_master"),
    *("force_unaligned_checkpoint_enabled", "job_check_interval_in_secs"),
    *("latency_tracking_interval", "max_bundle_size", "max_bundle_time_mills", "max_parallelism"),
    *("min_pause_between_checkpoints", "num_concurrent_checkpoints"),
    *("number_of_execution_retries", "object_reuse", "operator_chaining", "parallelism"),
    *("re_iterable_group_by_key_result", "report_checkpoint_duration"),
    *("retain_externalized_checkpoints_on_cancellation", "savepoint_path"),
    *("shutdown_sources_after_idle_ms", "state_backend", "state_backend_storage_path"),
    "unaligned_checkpoint_enabled",
)
"""What Beam's job server understands, besides what all of Beam's runners do."""

CLOSE = 0.75
IDLE = "shutdown_sources_after_idle_ms"
SAFE = "finish_bundle_before_checkpointing"


def given_options(arguments: Sequence[str]) -> dict[str, str | None]:
    """The options of a command line with their values; None where there is none."""
    given: dict[str, str | None] = {}
    for word, after in itertools.pairwise([*arguments, "--"]):
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            given[name] = value if equals else None if after.startswith("--") else after
    return given


def stream_defaults(given: Mapping[str, str | None], *, ends: bool) -> list[str]:
    """The options that a stream must have, without those that the user gave.

    Args:
        given: the user's.
        ends: the stream ends by itself.
    """
    options = {
        "checkpointing_interval": "5000",
        # The name is Beam's. Results wait for the end of a bundle.
        "max_bundle_time_mills": "20",
    }
    if ends:
        # What starts the readers is a source, too, and would keep the job alive.
        options[IDLE] = "3000"
        # Then the readers are in the last call of their step until they end, and no checkpoint is
        # completed meanwhile. Flink would give the first one up after ten minutes, and the job.
        options["checkpoint_timeout_millis"] = str(10 * 365 * 86_400_000)
    added = [f"--{name}={value}" for name, value in options.items() if name not in given]
    # Without it, a checkpoint in the middle of a bundle loses what a reader has left to read.
    return added if SAFE in given else [*added, f"--{SAFE}"]


def check_options(given: Mapping[str, str | None], *, streaming: bool, ends: bool = True) -> None:
    """Refuses options that lose data, or that Flink would ignore.

    Args:
        given: the user's options.
        streaming: the pipeline is a stream.
        ends: the stream ends by itself, or with this process.

    Raises:
        InputError: there is one.
    """
    known = {*FLINK_OPTIONS, *PipelineOptions([]).get_all_options()}
    for name in given:
        close = difflib.get_close_matches(name, FLINK_OPTIONS, n=1, cutoff=CLOSE)
        if name not in known and close:
            msg = f"unknown option --{name}, which Flink would ignore; did you mean --{close[0]}?"
            raise InputError(msg)
    if not streaming:
        return
    if given.get(SAFE) not in {None, "true"}:
        msg = (
            f"--{SAFE}={given[SAFE]} is refused: a checkpoint in the middle of a bundle loses what "
            "is left to read; leave the option out"
        )
        raise InputError(msg)
    if (given.get("checkpointing_mode") or "EXACTLY_ONCE").upper() != "EXACTLY_ONCE":
        msg = (
            "--checkpointing_mode must be EXACTLY_ONCE: otherwise readings count twice after a "
            "failure"
        )
        raise InputError(msg)
    if not ends and IDLE in given:
        msg = (
            f"--{IDLE} is refused for a stream that does not end: once the sources are shut down "
            "no checkpoint is completed; leave it out, or let the stream end by --stop_when_idle"
        )
        raise InputError(msg)
    interval = given.get("checkpointing_interval", "1")
    if not (interval or "").isdigit() or int(interval or 0) == 0:
        msg = (
            f"--checkpointing_interval must be milliseconds, not {interval}: without checkpoints "
            "a stream on Flink acknowledges nothing and cannot be restarted"
        )
        raise InputError(msg)
