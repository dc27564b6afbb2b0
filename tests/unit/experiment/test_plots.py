from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import results_made

from dist_stilts.experiment.plots import curves, gains, mean_curve, series
from dist_stilts.results.record import ResultRecord

DISTANCES = {"aa": 0.1, "bb": 0.4, "cc": 0.8}


def record(language: str, value: float | None, size: int = 0, **fields: Any) -> ResultRecord:
    base = {"intermediate": "mnli" if size else None, "intermediate_size": size, "seed": 0}
    return results_made.record(language, value, **base | fields)


def study(seed: int = 0) -> list[ResultRecord]:
    """Scores that rise with size, the less the farther a language is, and both controls."""
    records = [
        record(lang, 40 + 10 * step * (1 - distance), size, seed=seed)
        for step, size in enumerate((0, 300, 1000, 3000))
        for lang, distance in {"en": 0.0, **DISTANCES}.items()
    ]
    for lang in ("en", *DISTANCES):
        records += [record(lang, 34.0, origin="random"), record(lang, 42.0, inputs="hypothesis")]
    return records


def test_one_figure_holds_one_target_one_intermediate_and_one_setting() -> None:
    records = [*study(), record("en", 50, 300, intermediate="squad")]
    records += [record("aa", 9, size, task="tatoeba", layer=layer) for size in (0, 300) for layer in (1, 14)]
    names = [one.name for one in series(records)]
    assert names == ["xnli-mnli", "xnli-squad", "tatoeba-mnli-layer-1", "tatoeba-mnli-layer-14"]
    assert series(records)[1].sizes == [0, 300], "the run without intermediate task belongs to every series"


def test_scores_of_one_run_that_were_read_in_two_ways_are_no_two_seeds() -> None:
    records = [record("en", 40 + size, size, dtype=dtype) for dtype in ("float32", "bfloat16") for size in (0, 30)]
    assert [one.name for one in series(records)] == ["xnli-mnli-float32", "xnli-mnli-bfloat16"]
    assert [one.name for one in series(records[:2])] == ["xnli-mnli"], "what they share is not named"


def test_f1_is_drawn_where_a_task_has_it_and_dev_scores_never() -> None:
    records = [record("en", 1, 300, task="udpos", main=False), record("en", 2, 300, task="udpos", metric="f1")]
    records += [record("en", 3, 300, task="udpos", metric="f1", split="dev"), record("en", None, 300, task="mnli")]
    assert [(one.task, one.metric, one.points[300]["en"].value) for one in series(records)] == [("udpos", "f1", 2)]


def test_controls_are_means_over_languages_and_no_points() -> None:
    records = [*study(), record("aa", 99, 3000, origin="random")]
    one = series(records)[0]
    assert one.controls == {"random encoder": 34.0, "hypothesis only": 42.0}
    assert one.points[3000]["aa"].value < 99


def test_seeds_are_averaged_but_do_not_enlarge_the_test_set() -> None:
    one = series([record("en", 40, 300, seed=0), record("en", 60, 300, seed=1, collapsed="stuck")])[0]
    assert (one.points[300]["en"].value, one.points[300]["en"].count, one.seeds) == (50, 100, 2)
    assert one.points[300]["en"].degenerate


def test_mean_is_over_languages_that_every_size_has() -> None:
    one = series([record("en", 40), record("aa", 20), record("en", 60, 300)])[0]
    assert [(size, mean) for size, mean, _ in mean_curve(one)] == [(0, 40), (300, 60)]
    assert mean_curve(series([record("en", 40), record("aa", 20, 300)])[0]) == []


def test_gain_is_largest_size_minus_none_with_the_error_of_a_difference() -> None:
    gain = gains(series(study())[0])
    assert gain["en"][0] == pytest.approx(30)
    assert gain["en"][1] == pytest.approx(1.959964 * 100 * math.sqrt(0.4 * 0.6 / 100 + 0.7 * 0.3 / 100))
    assert gains(series([record("en", 1, 300), record("en", 1, 1000)])[0]) == {}, "no run without intermediate task"


def test_figures_are_written_as_svg_and_png_and_name_what_they_show(tmp_path: Path) -> None:
    files = curves([*study(), record("bb", 33, 300, collapsed="stuck", seed=1)], tmp_path / "figures", DISTANCES)
    assert [file.name for file in files] == [
        "xnli-mnli-curves.svg",
        "xnli-mnli-curves.png",
        "xnli-mnli-gain.svg",
        "xnli-mnli-gain.png",
    ]
    assert files[1].read_bytes().startswith(b"\x89PNG")
    curve, gain = files[0].read_text(), files[2].read_text()
    for text in ("none", "300", "1,000", "3,000", "random encoder (mean)", "hypothesis only (mean)", "cc"):
        assert f">{text}</text>" in curve
    assert ">degenerate run</text>" in curve
    assert "2 seeds; band: 95 %" in curve
    assert "Spearman rho = -1.00, p &lt; 0.001, n = 3 languages (without English)" in gain


def test_the_same_records_give_the_same_svg_and_without_distances_or_intermediate_runs_there_are_fewer(
    tmp_path: Path,
) -> None:
    first, second = (curves(study(), tmp_path / name, DISTANCES)[0].read_bytes() for name in "ab")
    assert first == second
    without = curves(study(), tmp_path / "without distances", None)
    assert [file.name for file in without] == ["xnli-mnli-curves.svg", "xnli-mnli-curves.png"]
    assert curves([record("en", 50), record("aa", 40)], tmp_path / "none", DISTANCES) == []
    assert not (tmp_path / "none").exists()
