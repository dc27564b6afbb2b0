from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import made_up
import pandas as pd
import pytest

from dist_stilts.analysis.typology import Distances
from dist_stilts.study.figures import size_ticks
from dist_stilts.study.figures_curves import draw_curves
from dist_stilts.study.figures_effects import Gain, draw_gains, gains_by_language
from dist_stilts.study.figures_layers import draw_layers, sweeps
from dist_stilts.study.figures_overview import draw_enough, draw_heat_map
from dist_stilts.study.gallery import colouring, draw


def texts(figure: Any) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_ticks_name_both_ends_and_never_crowd() -> None:
    sizes = [0, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 392_702]
    ticks = size_ticks(sizes)
    assert (ticks[0], ticks[392_702]) == ("none", "393k")
    assert 300_000 not in ticks, "too near to the last"
    places = [0.6 + math.log10(size / 100) if size else 0.0 for size in ticks]
    assert all(b - a >= 0.1 * places[-1] for a, b in pairwise(places))
    assert size_ticks([0, 300]) == {0: "none", 300: "300"}
    assert size_ticks([300]) == {300: "300"}


def test_few_languages_are_all_named_and_of_many_the_ends_and_forty_are_drawn_fast() -> None:
    for languages, named in ((made_up.ALL_LANGUAGES[:8], 8), (made_up.ALL_LANGUAGES, 6 + 1)):
        curves, scale = made_up.curves_of(languages, ("xnli",), ("mnli",)), colouring(made_up.distances_of(languages))
        scores = made_up.scores_of(curves)
        start = time.process_time()
        (drawing,) = draw_curves(curves, scores, scale)
        assert time.process_time() - start < 2
        assert len(set(texts(drawing.figure)) & set(languages)) in (named, named - 1), "English may be an end itself"
        assert "mean" in texts(drawing.figure)
        assert f"a line for each of {len(languages)} languages" in drawing.description


def test_a_panel_dashes_curves_that_fall_and_bars_run_from_the_lowest_to_the_highest_run() -> None:
    curves = made_up.curves_of(("en", "aa", "ff"), ("xnli",), ("mnli",))
    (drawing,) = draw_curves(curves, made_up.scores_of(curves), None)
    axes = drawing.figure.axes[0]
    assert [dashes is not None for _, dashes in axes.collections[0].get_linestyle()] == [False, False, True], "aa en ff"
    assert axes.collections[0].get_colors()[:, 0].tolist() == [0.6, 0.0, 0.6], "no distance: grey"
    assert "not monotone: ff" in drawing.description
    mean = next(curve for curve in curves if curve.is_mean)
    bars = [line.get_xydata() for line in axes.lines if list(line.get_xdata()) == [300, 300]]
    assert bars[0][:, 1].tolist() == pytest.approx([mean.means[2] - 0.8, mean.means[2] + 0.8])


def test_the_heat_map_hatches_what_was_not_run_and_n_star_beyond_the_sizes_is_an_arrow() -> None:
    curves = made_up.curves_of(("en", "aa"), ("xnli", "panx"), ("mnli",))
    curves += made_up.curves_of(("en", "aa"), ("xnli",), ("squad",))
    (drawing,) = draw_heat_map(curves)
    assert sum(bool(patch.get_hatch()) for patch in drawing.figure.axes[0].patches) == 1
    assert texts(drawing.figure).count("± 1.2") == 3
    assert "Total gain in points of 3 pairs" in drawing.description
    assert draw_heat_map([curve for curve in curves if not curve.is_mean]) == []
    curves = made_up.curves_of(made_up.ALL_LANGUAGES[:6], ("xnli",), ("mnli",))
    noted = [replace(curve, enough=replace(curve.enough, note="says nothing")) for curve in curves]
    (drawing,) = draw_enough(noted, None)
    _, dots, arrows = drawing.figure.axes[0].collections
    assert len(arrows.get_offsets()) == sum(curve.enough.high == math.inf for curve in curves) > 0
    assert len(dots.get_offsets()) == sum(curve.enough.value is not None for curve in curves) > 0
    assert "2 of 6 languages without a value" in drawing.description


def test_gains_are_means_over_targets_at_the_largest_size_without_english() -> None:
    curves = made_up.curves_of(("en", "aa"), ("xnli", "panx"), ("mnli",))
    own = [curve.per_doubling[3000].value or 0 for curve in curves if curve.language == "aa"]
    assert gains_by_language(curves, "mnli") == {"aa": Gain(pytest.approx(sum(own) / 2))}, "with no interval of its own"
    assert gains_by_language(curves[:2], "mnli")["aa"].low is not None


def test_imputed_distances_are_hollow_and_unknown_ones_absent() -> None:
    languages = ("en", "aa", "bb", "cc", "dd")
    values = pd.DataFrame({"syntactic": [0.0, 0.2, 0.4, math.nan, 0.6], "genetic": math.nan}, list(languages))
    observed = pd.DataFrame({"syntactic": [1.0, 0.9, 0.3, 0.9, 0.5], "genetic": 0.0}, list(languages))
    distances = Distances(values, observed, "made up")
    curves = made_up.curves_of(languages, ("xnli",), ("mnli",))
    (drawing,) = draw_gains(curves, made_up.effects_of(("mnli",)), distances, "mnli")
    points = drawing.figure.axes[0].collections[-1]
    assert [red == 1 for red in points.get_facecolors()[:, 0]] == [False, True, False], "aa, bb, dd"
    assert "cc" not in texts(drawing.figure)
    assert "effect −0.123 [−0.201, −0.045], p = 0.002, Holm = 0.017" in drawing.description
    assert "1 of them" in drawing.description


def test_layers_are_compared_over_languages_that_all_cells_have() -> None:
    (sweep,) = sweeps(made_up.layer_records()[1:])  # without German, layer 1, none
    assert (sweep.languages, list(sweep.lines)) == (2, list(made_up.SIZES))
    assert sweep.lines[0][1] == pytest.approx(20 + 4 - 1 / 3 - 1.5)
    (drawing,) = draw_layers(made_up.layer_records())
    assert "3,000 examples: best at layer 7" in drawing.description
    assert draw_layers(made_up.layer_records(layers=(7,))) == []


def test_runs_that_collapsed_are_in_no_mean_over_layers_and_the_figure_says_so() -> None:
    records = made_up.layer_records()
    size = made_up.SIZES[1]
    ill = [
        replace(each, collapsed="one class") if each.training.intermediate_size == size else each for each in records
    ]
    (sweep,) = sweeps(ill)
    assert (sweep.left_out, size in sweep.lines) == ({size: 1}, False)
    (drawing,) = draw_layers(ill)
    for text in (" ".join(texts(drawing.figure)), drawing.description):
        assert f"left out: collapsed scores of 1 run (n={size:,})" in text
    assert "left out" not in draw_layers(records)[0].description


def test_layers_read_in_two_ways_are_two_figures() -> None:
    records = made_up.layer_records()
    both = [
        replace(each, reading=replace(each.reading, dtype=name)) for name in ("float32", "half") for each in records
    ]
    assert [sweep.setting for sweep in sweeps(both)] == ["mean pooling, float32", "mean pooling, half"]


def test_the_distance_known_for_most_languages_gives_the_colours() -> None:
    distances = made_up.distances_of(("en", "aa", "bb", "cc"), ("genetic", "script"))
    distances.values.loc["aa", "genetic"] = math.nan
    distances.values["script"] = 0.5
    scale = colouring(distances)
    assert scale is not None
    assert (scale.name, set(scale.distances)) == ("script", {"aa", "bb", "cc"})
    assert colouring(None) is None


def test_curves_without_scores_are_not_drawn(tmp_path: Path) -> None:
    blank = replace(made_up.curves_of(("aa",), ("xnli",), ("mnli",))[0], sizes=(), means=(), seeds=())
    assert draw([blank], made_up.scores_of([]), [], None, [], tmp_path / "figures").files == []
    assert not (tmp_path / "figures").exists()
