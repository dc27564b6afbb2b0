from __future__ import annotations

import pytest
from results_made import layer_record as record

from dist_stilts.report.sweeps import panels, sweep_table


def test_the_mean_is_over_languages_that_have_every_layer() -> None:
    (panel,) = panels([record("aa", 0, 20), record("aa", 1, 40), record("bb", 0, 60), record("bb", 1, 50)])
    assert [(mean.layer, mean.value) for mean in panel.means] == [(0, 40), (1, 45)]
    assert panel.means[0].half_width == pytest.approx(1.959964 * (2 * 2000 / 400 + 2 * 400 / 400) ** 0.5 / 2, abs=1)
    (panel,) = panels([record("aa", 0, 20), record("aa", 1, 40), record("bb", 0, 90)])
    assert [(mean.layer, mean.value) for mean in panel.means] == [(0, 20), (1, 40)]
    assert panel.in_means == 1
    (panel,) = panels([record("aa", 0, 20), record("bb", 1, 90)])
    assert (panel.means, panel.best) == ([], None)


def test_readings_that_differ_are_sweeps_of_their_own() -> None:
    mined = [record("aa", layer, 10 * k, metric="f1", mining=f"k={k}") for k in (1, 4) for layer in (0, 1)]
    assert [(panel.apart, panel.lines["aa"][0].value) for panel in panels(mined)] == [("k=1", 10), ("k=4", 40)]
    assert "(test; mean pooling; m; k=4; best" in sweep_table(mined)


def test_sweeps_of_one_model_that_several_runs_scored_are_told_apart() -> None:
    runs = [record("aa", layer, 9, run="a", run_id=name, seed=0) for name in "xy" for layer in (0, 1)]
    assert [panel.apart for panel in panels(runs)] == ["run_id x", "run_id y"]


def test_what_has_no_layer_or_no_score_is_left_out_and_the_best_layer_is_the_lowest_of_equals() -> None:
    left_out = [record("aa", None, 1), record("aa", 0, None), record("aa", 0, 1, metric="threshold")]
    assert panels(left_out) == []
    (panel,) = panels([*left_out, *(record("aa", layer, value) for layer, value in ((4, 9), (2, 70), (3, 70)))])
    assert panel.best is not None
    assert panel.best.layer == 2


def test_the_table_has_a_row_for_each_layer() -> None:
    text = sweep_table([record("aa", 0, 20), record("aa", 12, 40), record("bb", 0, 60, collapsed="collapsed")])
    assert "best: layer 12, 40.0 ±" in text
    assert [line for line in text.splitlines() if line.startswith("| ")] == [
        "| layer | mean of 1 | aa | bb |",
        "| ---: | ---: | ---: | ---: |",
        "| 0 | 20.0 ± 3.9 | 20.0 | 60.0† |",
        "| 12 | 40.0 ± 4.8 | 40.0 | - |",
    ]
