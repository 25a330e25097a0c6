"""The views of the means against a plain reading of what they promise."""

from __future__ import annotations

import datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from means_rows import START, TABLE, means_row, means_table

from connectors.local_store import LocalStore

HOUR = datetime.timedelta(hours=1)


def views(folder, *rows, files=1):
    """The rows of `hourly_means` and of `sliding_means` in a store of these revisions."""
    store = LocalStore(folder)
    parts = [rows[i::files] for i in range(files)]
    written = [store.write(TABLE, means_table(*part)) for part in parts if part]
    with store.transaction() as change:
        change.add(written, "run")
    with store.connect() as connection:
        return [
            connection.table(name).to_arrow_table().to_pylist()
            for name in ("hourly_means", "sliding_means")
        ]


def hourly_view(folder, *rows, files=1):
    return views(folder, *rows, files=files)[0]


def test_an_hour_carries_the_mean_of_three_hours_before(tmp_path):
    rows = [means_row(hour, mean=10.0 + hour) for hour in (0, 1, 2, 3, 5, 6)]
    before = {row["hour"]: row["mean_3h_before"] for row in hourly_view(tmp_path, *rows)}
    expected = {0: None, 1: None, 2: None, 3: 10.0, 5: 12.0, 6: 13.0}
    assert before == {START + hour * HOUR: mean for hour, mean in expected.items()}


def test_the_mean_before_is_of_the_same_region_and_quantity(tmp_path):
    rows = [
        means_row(0, region="11", mean=1.0),
        means_row(0, quantity="humidity", mean=2.0),
        means_row(3, mean=3.0),
    ]
    shown = hourly_view(tmp_path, *rows)
    assert [row["mean_3h_before"] for row in shown if row["mean"] == 3.0] == [None]


def test_the_newest_row_of_a_window_is_shown(tmp_path):
    rows = [
        means_row(0, mean=1.0, revision=2, emitted=0, run_id="b"),
        means_row(0, mean=2.0, revision=2, emitted=5, run_id="a"),
        means_row(0, mean=3.0, revision=2, emitted=5, run_id="b"),
        means_row(0, mean=4.0, revision=1, emitted=9, run_id="c"),
    ]
    (shown,) = hourly_view(tmp_path, *rows)
    assert shown["mean"] == 3.0


def test_revisions_are_compared_as_numbers(tmp_path):
    rows = [means_row(0, mean=1.0, revision=9), means_row(0, mean=2.0, revision=10)]
    (shown,) = hourly_view(tmp_path, *rows)
    assert shown["mean"] == 2.0


def test_a_window_that_lost_its_readings_is_hidden_and_gives_no_mean_before(tmp_path):
    rows = [
        means_row(0, mean=1.0, revision=1),
        means_row(0, count=0, revision=2, mean=7.0),
        means_row(3, mean=3.0),
        means_row(6, count=0),
        means_row(6, mean=6.0, revision=2),
    ]
    shown = hourly_view(tmp_path, *rows)
    assert {(row["mean"], row["mean_3h_before"]) for row in shown} == {(3.0, None), (6.0, 3.0)}


def test_a_correction_shows_in_the_row_three_hours_on(tmp_path):
    rows = [means_row(0, mean=1.0), means_row(3, mean=3.0), means_row(0, mean=5.0, revision=2)]
    shown = hourly_view(tmp_path, *rows)
    assert [(row["mean"], row["mean_3h_before"]) for row in shown if row["hour"] > START] == [
        (3.0, 5.0)
    ]


def test_the_same_row_written_by_two_files_is_shown_once(tmp_path):
    rows = [means_row(0), means_row(0)]
    assert len(hourly_view(tmp_path, *rows, files=2)) == 1


def test_each_size_and_period_is_a_window_of_its_own(tmp_path):
    rows = [
        means_row(0, mean=1.0),
        means_row(0, mean=2.0, size=3600, period=300),
        means_row(0, mean=3.0, size=900, period=300),
        means_row(0, mean=4.0, size=900, period=900),
    ]
    hourly, sliding = views(tmp_path, *rows)
    assert [row["mean"] for row in hourly] == [1.0]
    assert {(r["window_size"], r["window_period"], r["mean"]) for r in sliding} == {
        (3600, 300, 2.0),
        (900, 300, 3.0),
        (900, 900, 4.0),
    }


ROWS = st.builds(
    lambda hour, region, count, mean, revision, emitted, run_id, window: means_row(
        hour,
        region=region,
        count=count,
        mean=mean,
        revision=revision,
        emitted=emitted,
        run_id=run_id,
        size=window[0],
        period=window[1],
    ),
    hour=st.integers(0, 7),
    region=st.sampled_from(["76", "11"]),
    count=st.integers(0, 3),
    mean=st.floats(-50, 50),
    revision=st.integers(1, 3),
    emitted=st.integers(0, 1),
    run_id=st.sampled_from("ab"),
    window=st.sampled_from([(3600, 3600), (3600, 3600), (3600, 300)]),
)
KEY = ("region_code", "quantity", "window_size", "window_period", "window_start")


def expected_views(rows):
    newest = {}
    for row in rows:
        key = tuple(row[name] for name in KEY)
        order = (row["revision"], row["emitted_at"], row["run_id"])
        if key not in newest or order > newest[key][0]:
            newest[key] = (order, row)
    shown = {key: row for key, (_, row) in newest.items() if row["count"]}
    hourly, sliding = [], []
    for key, row in shown.items():
        size, period, start = key[2:]
        if (size, period) == (3600, 3600):
            earlier = shown.get((*key[:4], start - 3 * HOUR))
            columns = {"hour": start, "mean_3h_before": earlier["mean"] if earlier else None}
            hidden = ("window_start", "window_end", "window_size", "window_period", "run_id")
            kept = {name: value for name, value in row.items() if name not in hidden}
            hourly.append(kept | columns)
        else:
            sliding.append({name: value for name, value in row.items() if name != "run_id"})
    return hourly, sliding


def canonical(rows):
    return sorted(sorted((name, str(value)) for name, value in row.items()) for row in rows)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(ROWS, max_size=25), data=st.data())
def test_the_views_are_what_a_plain_reading_of_the_revisions_says(tmp_path_factory, rows, data):
    # Rows that only differ in their numbers have no order among them: keep one.
    unique = {
        (*(row[name] for name in KEY), row["revision"], row["emitted_at"], row["run_id"]): row
        for row in rows
    }
    rows = list(unique.values())
    files = data.draw(st.integers(1, 3))
    shown = views(tmp_path_factory.mktemp("store"), *rows, files=files)
    for actual, expected in zip(shown, expected_views(rows), strict=True):
        assert canonical(actual) == canonical(expected)
