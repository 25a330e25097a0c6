from benchmarks import geo_index


def test_benchmark_gives_a_speed_for_every_mix_and_peer(monkeypatch, capsys):
    monkeypatch.setattr(geo_index, "ROUNDS", 1)
    monkeypatch.setattr(geo_index, "POINTS", 500_000)
    monkeypatch.setattr(geo_index, "PREPARED_POINTS", 20_000)
    table = geo_index.rows(points=500_000)
    assert len(table) == 7
    for row in table:
        mix, *speeds = row.values()
        assert mix
        assert all(float(speed) > 0 for speed in speeds)
        # The promise is 20 million; a machine of tests may be busy.
        assert float(row["RegionIndex"]) > 5 * float(row["boxes, then prepared polygons"]) > 0
    monkeypatch.setattr(geo_index, "rows", lambda: table)
    geo_index.main()
    assert capsys.readouterr().out.count("\n") == 8
