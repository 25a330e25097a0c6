"""Puts everything that was measured together: `benchmarks/RESULTS-streaming.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.report import Section, Target, render
from benchmarks.streaming.drain import HOT
from benchmarks.streaming.results import Result

__all__ = ["document"]

INTRODUCTION = (
    "Written by `make bench-stream`; do not edit. Each run is the whole way on one machine: a "
    "producer, a Kafka broker, `python -m pipelines.regional_means` with its runner, and the local "
    "store. The benchmark looks from outside; `benchmarks/README.md` says how. "
)
QUICK = "Quick runs are among them (`--quick`), which only show that the benchmark works. "
MOST_HOT = 1.1
Rows = Callable[[Result], list[list[str]]]
PARTS = ("broker", "producer", "runner", "python", "others")
CORES = ["Broker", "Producer", "Runner", "Python", "Others"]

SUSTAINED = (
    "Readings are sent as they are due by the clock, single or in arrays, while the job reads, "
    "with versions and archive. The lag is the age of the oldest message that the store does not "
    "have, after the first minute; its growth is that of a straight line through it, where that is "
    "no chance. Cores are the average while messages are sent; others is what else ran on the "
    "machine, the benchmark's own watch left out. Memory is the peak of each, without files that "
    "are mapped: the kernel takes these back when it wants to. Counts and means of all hours, and "
    "the rows and versions of the archive, were compared with what was sent."
)
DRAIN = (
    "The messages lie in the topic before the job starts. From the first to the last: from the "
    "last moment at which nothing was read to when all was read and, with an archive, stored. "
    "Whole: from the command to its end. Processor time a reading is from the first to the last."
)
LADDER = (
    "Messages of sensors of air quality, 15-minute windows every 5 minutes by sensor, "
    "`--early_every 1s`. Seconds from the measurement until all is in the topic (ingested), until "
    "the archive has the readings (stored), and until each window of each reading has a row that "
    "counts it (result), as a reader of the topic and of the store sees them."
)
SOAK = (
    "A stream with versions and archive; versions are remembered for a sixth of the time. The line "
    "is fitted to the last two thirds. State is Flink's checkpoints and all temporary files."
)


SCALE = (
    "The same stream at several rates. Lines of least squares go through all rates but the "
    "greatest; what they say of that is compared with what it was. Cores are those of the runner "
    "and of Python, in the last two thirds; memory is Python's and versions are those remembered, "
    "at the end; of it, 24 bytes a version are the index. `python -m deploy.capacity` says by them "
    "what other sizes need."
)


def document(results: Sequence[Result]) -> str:
    """The report.

    Args:
        results: all that are kept.

    Returns:
        Markdown.

    Raises:
        ValueError: a result was kept by another version of the benchmark.
    """
    sections = []
    for name, (title, text, header, rows) in SECTIONS.items():
        found = [result for result in results if result.section == name]
        if found:
            cells = [row for result in found for row in _rows(result, rows)]
            targets = [target for result in found for target in result.targets]
            targets += _beside_even(found) if name == "drain" else []
            sections.append(Section(title, text, header, cells, targets))
    introduction = INTRODUCTION
    if any(result.quick for result in results):
        introduction += QUICK
    if results:
        first, last = (choose(result.at for result in results) for choose in (min, max))
        when = f"at {first}" if first == last else f"from {first} to {last}"
        introduction += f"Measured {when} (UTC). "
        introduction += max(results, key=lambda result: result.at).machine
    text = render(introduction, sections)
    return text.replace("# Benchmark results", "# Benchmark results of streams", 1)


def _beside_even(drained: Sequence[Result]) -> list[Target]:
    """How much longer backlogs take that lie mostly in one region."""
    rates = {result.name: result.values["readings_a_second"] for result in drained}
    return [
        Target(f"a backlog, {name}: time beside an even one", rates[even] / rate, MOST_HOT)
        for name, rate in rates.items()
        for even in rates
        if name.startswith(f"{even} ") and name.endswith(HOT)
    ]


def _rows(result: Result, rows: Rows) -> list[list[str]]:
    """The rows of a result.

    Raises:
        ValueError: another version of the benchmark has kept it.
    """
    try:
        return rows(result)
    except KeyError as error:
        msg = (
            f"the result {result.section} {result.name} of {result.at} has no {error}: another "
            "version of the benchmark has kept it; measure again, or remove it"
        )
        raise ValueError(msg) from error


def _cores(values: Mapping[str, float]) -> list[str]:
    return [f"{values.get(part, 0.0):.2f}" for part in PARTS]


def _memory(values: Mapping[str, float]) -> list[str]:
    return [_mega(values.get(part, 0.0)) for part in ("runner", "python")]


def _mega(size: float) -> str:
    return f"{size / 1e6:,.0f}"


def _exact(result: Result) -> str:
    return "yes" if isinstance(result.values["exact"], dict) else "**no**"


def _sustained(result: Result) -> list[list[str]]:
    values = result.values
    return [
        [
            f"{result.name}, {result.settings['minutes']:g} min",
            f"{values['readings_a_second']:,.0f}",
            f"{values['megabytes_a_minute']:,.0f}",
            f"{values['age_mean']:.1f}",
            f"{values['age_most']:.1f}",
            f"{values['age_growth']:.1f}",
            *_cores(values["cores"]),
            *(f"{values['cost'][part]:.2f}" for part in ("runner", "python")),
            *_memory(values["memory_peak"]),
            _mega(values["checkpoints_most"]),
            _mega(values["store"]),
            _exact(result),
        ]
    ]


def _drain(result: Result) -> list[list[str]]:
    values = result.values
    return [
        [
            result.name,
            f"{values['gigabytes']:.2f}",
            f"{values['storing']:.1f}",
            f"{values['gigabytes_a_minute']:.2f}",
            f"{values['readings_a_second']:,.0f}",
            f"{values['whole']:.1f}",
            f"{values['whole_gigabytes_a_minute']:.2f}",
            *(f"{values['cost'][part]:.2f}" for part in ("broker", "runner", "python")),
            f"{values['cores']['others']:.2f}",
            *_memory(values["memory_peak"]),
            _exact(result),
        ]
    ]


def _ladder(result: Result) -> list[list[str]]:
    return [
        [
            f"{result.settings['runner']}, {result.settings['workers']}",
            f"{step['rate']:,}",
            f"{step['sensors']:,}",
            f"{step['ingested']['p95']:.2f}",
            *(f"{step['stored'][share]:.2f}" for share in ("p50", "p95", "p99")),
            *(f"{step['result'][share]:.2f}" for share in ("p50", "p95", "p99")),
            *_cores(step["cores"]),
            f"{step['lost']:,}",
        ]
        for step in result.values["steps"]
    ]


def _soak(result: Result) -> list[list[str]]:
    rows = []
    for name, trend in result.values["trends"].items():
        unit, factor = ("s", 1.0) if name == "age" else ("MB", 1e-6)
        rows.append(
            [
                f"{result.name}, {SOAKED[name]}, {unit}",
                f"{trend['mean'] * factor:,.1f}",
                f"{trend['most'] * factor:,.1f}",
                f"{trend['last'] * factor:,.1f}",
                f"{trend['growth'] * factor:,.1f}",
                f"{trend['error'] * trend['seconds'] * factor:,.1f}",
                "**yes**" if trend["rises"] else "no",
            ]
        )
    return rows


def _scale(result: Result) -> list[list[str]]:
    points, said = result.values["points"], result.values["predicted"]
    return [
        [
            result.name,
            f"{point['rate']:,.0f}",
            f"{point['versions']:,.0f}",
            f"{point['cores']:.2f}",
            f"{said['cores'] * point['cores']:.2f}" if point is points[-1] else "",
            _mega(point["memory"]),
            _mega(said["memory"] * point["memory"]) if point is points[-1] else "",
        ]
        for point in points
    ]


SOAKED = {
    "state": "state",
    "memory_python": "memory of Python",
    "memory_runner": "memory of the runner",
    "age": "lag",
}
SHARES = ["50 %", "95 %", "99 %"]
SECTIONS: dict[str, tuple[str, str, list[str], Rows]] = {
    "sustained": (
        "Sustained",
        SUSTAINED,
        [
            *("Runner, messages", "Readings/s", "MB/min", "Lag, s", "most", "growth"),
            *(f"{name}, cores" for name in CORES),
            *("Runner, µs a reading", "Python, µs a reading", "Runner, MB", "Python, MB"),
            *("Checkpoints, MB", "Store, MB", "Exact"),
        ],
        _sustained,
    ),
    "drain": (
        "A backlog",
        DRAIN,
        [
            *("Runner, messages, versions and archive", "GB", "First to last, s", "GB/min"),
            *("Readings/s", "Whole, s", "GB/min", "Broker, µs a reading"),
            *(
                "Runner, µs a reading",
                "Python, µs a reading",
                "Others, cores",
                "Runner, MB",
                "Python, MB",
                "Exact",
            ),
        ],
        _drain,
    ),
    "ladder": (
        "System E's ladder",
        LADDER,
        [
            *("Runner, workers", "Messages/s", "Sensors", "Ingested, 95 %"),
            *(f"Stored, {share}" for share in SHARES),
            *(f"Result, {share}" for share in SHARES),
            *(f"{name}, cores" for name in CORES),
            "Not seen",
        ],
        _ladder,
    ),
    "soak": (
        "Soak",
        SOAK,
        ["What", "Mean", "Most", "Last", "Rise of the line", "its error", "Grows"],
        _soak,
    ),
    "scale": (
        "By rate",
        SCALE,
        [
            *("Runner", "Readings/s", "Versions", "Cores", "predicted"),
            *("Memory, MB", "predicted"),
        ],
        _scale,
    ),
}
