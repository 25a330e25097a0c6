"""What the dashboard shows: each panel with its question, its expressions and its unit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "Panel"]

JOB = 'job_name=~"$job_name"'
RATE = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """A graph.

    Attributes:
        title: what it shows.
        description: how to read it.
        unit: Grafana's name of the unit.
        lines: pairs of a legend and an expression.
        stacked: the lines add up.
    """

    title: str
    description: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    stacked: bool = False


def _rate(name: str, by: str = "") -> str:
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate(regional_means_{name}{{{JOB}}}{RATE}))"


def _quantiles(name: str) -> tuple[tuple[str, str], ...]:
    bucket = f"sum by (le) (rate(regional_means_{name}_milliseconds_bucket{{{JOB}}}{RATE}))"
    return tuple(
        (f"{share} %", f"histogram_quantile({share / 100:g}, {bucket})") for share in (50, 95, 99)
    )


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Does it keep up?",
        (
            Panel(
                "Messages that wait",
                "Messages of each part of a source behind the last one read. Rising for minutes: "
                "the job is too slow.",
                "short",
                (("{{part}}", f"max by (part) (regional_means_lag_messages{{{JOB}}})"),),
            ),
            Panel(
                "Age of the watermark",
                "The clock less the watermark of each part. It follows the event times in the "
                "messages: while a backlog is read it is old rightly.",
                "s",
                (
                    (
                        "{{part}}",
                        (
                            "time() - min by (part) "
                            f"(regional_means_watermark_timestamp_seconds{{{JOB}}})"
                        ),
                    ),
                ),
            ),
            Panel(
                "From arrival to result",
                "How long the oldest new reading of a row has waited for it. Up to --early_every "
                "and a second is as it should be.",
                "ms",
                _quantiles("arrival_to_result"),
            ),
            Panel(
                "From event to arrival",
                "How late readings come in. What is more than --out_of_orderness comes after its "
                "window was complete.",
                "ms",
                _quantiles("event_to_arrival"),
            ),
        ),
    ),
    (
        "How much is it?",
        (
            Panel(
                "Readings read", "A second.", "cps", (("readings", _rate("readings_read_total")),)
            ),
            Panel(
                "Messages read",
                "A second.",
                "cps",
                (("messages", _rate("source_messages_total")),),
            ),
            Panel("Bytes read", "A second.", "Bps", (("text", _rate("source_bytes_read_total")),)),
            Panel(
                "Rows of windows given out",
                "A second: before the window was complete, when it was, after that.",
                "cps",
                (("{{timing}}", _rate("panes_total", "timing")),),
                stacked=True,
            ),
        ),
    ),
    (
        "What became of the readings?",
        (
            Panel(
                "Classes of the balance",
                "Readings a second by class. A correction takes away from a class, which is not "
                "shown here.",
                "cps",
                (
                    (
                        "{{class}}",
                        (
                            "clamp_min(sum by (class) "
                            f"(delta(regional_means_readings{{{JOB}}}[5m])) / 300, 0)"
                        ),
                    ),
                ),
                stacked=True,
            ),
            Panel(
                "Rejected, by reason",
                "Records a second that are no readings. The table rejected_readings has them.",
                "cps",
                (("{{reason}}", _rate("rejected_total", "reason")),),
                stacked=True,
            ),
            Panel(
                "Late and too late",
                "Readings a second that came into a complete window, and those that came after "
                "--allowed_lateness.",
                "cps",
                (
                    ("late", _rate("late_readings_total")),
                    (
                        "too late",
                        f'sum (rate(regional_means_readings{{class="too_late", {JOB}}}{RATE}))',
                    ),
                ),
            ),
            Panel(
                "Duplicates and superseded versions",
                "Readings a second that changed nothing.",
                "cps",
                (
                    (
                        "{{class}}",
                        (
                            "sum by (class) (rate(regional_means_readings"
                            f'{{class=~"duplicate|superseded", {JOB}}}{RATE}))'
                        ),
                    ),
                ),
            ),
        ),
    ),
    (
        "State, store and queues",
        (
            Panel(
                "Versions remembered",
                "Readings that workers hold in memory, for duplicates and corrections.",
                "short",
                (("{{instance}}", f"max by (instance) (regional_means_state_versions{{{JOB}}})"),),
            ),
            Panel(
                "Memory of remembered versions",
                "Bytes of workers' memory. Flink's own state is beside it.",
                "bytes",
                (("{{instance}}", f"max by (instance) (regional_means_state_bytes{{{JOB}}})"),),
            ),
            Panel(
                "Commits of the local store",
                "How long one takes on average, and how long ago the last one was.",
                "ms",
                (
                    (
                        "a commit",
                        (
                            f"{_rate('store_commit_milliseconds_total')} / "
                            f"{_rate('store_commits_total')}"
                        ),
                    ),
                    (
                        "since the last one",
                        (
                            "1000 * (time() - max "
                            f"(regional_means_store_last_commit_timestamp_seconds{{{JOB}}}))"
                        ),
                    ),
                ),
            ),
            Panel(
                "Results sent",
                "Messages and rows a second; rows that BigQuery refused.",
                "cps",
                (
                    ("Kafka", _rate("sink_messages_total")),
                    ("Pub/Sub", _rate("sink_published_total")),
                    ("BigQuery", _rate("bigquery_written_total")),
                    ("BigQuery, refused", _rate("bigquery_failed_total")),
                ),
            ),
        ),
    ),
    (
        "Flink",
        (
            Panel(
                "How long a checkpoint takes",
                "Near the interval: state is too large, or a step is held up.",
                "ms",
                (
                    (
                        "{{job_name}}",
                        f"max by (job_name) (flink_jobmanager_job_lastCheckpointDuration{{{JOB}}})",
                    ),
                ),
            ),
            Panel(
                "Size of a checkpoint",
                "All the state of the job, as Flink keeps it.",
                "bytes",
                (
                    (
                        "{{job_name}}",
                        f"max by (job_name) (flink_jobmanager_job_lastCheckpointFullSize{{{JOB}}})",
                    ),
                ),
            ),
            Panel(
                "Restarts and failed checkpoints",
                "Since the job was started.",
                "short",
                (
                    ("restarts", f"sum (flink_jobmanager_job_numRestarts{{{JOB}}})"),
                    (
                        "failed checkpoints",
                        f"sum (flink_jobmanager_job_numberOfFailedCheckpoints{{{JOB}}})",
                    ),
                ),
            ),
            Panel(
                "Steps that are held up",
                "Of a second, how long the most loaded task works, or waits for the next one.",
                "ms",
                (
                    ("busy", f"max (flink_taskmanager_job_task_busyTimeMsPerSecond{{{JOB}}})"),
                    (
                        "held up",
                        f"max (flink_taskmanager_job_task_backPressuredTimeMsPerSecond{{{JOB}}})",
                    ),
                ),
            ),
        ),
    ),
)
