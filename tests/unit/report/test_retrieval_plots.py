from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from results_made import layer_record as record

from dist_stilts.report.retrieval_plots import Curve, layer_sweep, precision_recall
from dist_stilts.report.sweeps import FEW, panels
from dist_stilts.results.record import ResultRecord

PEAK = 6


def sweep(languages: int, **fields: Any) -> list[ResultRecord]:
    """Scores that are best at one layer; every language is better than the one before."""
    return [
        record(f"l{number:02}", layer, 40 + number - 5 * abs(layer - PEAK), **fields)
        for number in range(languages)
        for layer in range(9)
    ]


def drawn(figure: list[Path]) -> str:
    """The text of the SVG."""
    return figure[0].read_text(encoding="utf-8")


def test_tasks_metrics_poolings_and_models_have_panels_of_their_own(tmp_path: Path) -> None:
    others = [{"task": "bucc2018", "metric": "f1"}, {"metric": "accuracy_from_foreign"}, {"pooling": "cls"}]
    found = panels([row for other in [{}, *others, {"model_id": "n"}, {"split": "dev"}] for row in sweep(2, **other)])
    assert len(found) == 6
    text = drawn(layer_sweep(tmp_path / "sweep", [*sweep(2), *sweep(2, **others[0]), *sweep(2, **others[2])]))
    for said in ("tatoeba: accuracy by layer", "bucc2018: F1 by layer", "mean pooling", "cls pooling"):
        assert said in text


@pytest.mark.parametrize("languages", [1, FEW, FEW + 1, 36])
def test_a_sweep_names_its_best_layer_and_the_languages_that_can_be_told_apart(tmp_path: Path, languages: int) -> None:
    svg, png = layer_sweep(tmp_path / "new" / "sweep", sweep(languages))
    assert (svg.name, png.name) == ("sweep.svg", "sweep.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text(encoding="utf-8")
    assert drawn(layer_sweep(tmp_path / "again" / "sweep", sweep(languages))) == text, "the same records"
    assert f"layer {PEAK}, {40 + (languages - 1) / 2:.1f} ±" in text
    assert (f">mean of {languages}<" in text) == (languages > 1)
    named = [number for number in range(languages) if f">l{number:02}<" in text]
    few = languages <= FEW
    assert named == [*range(languages)] if few else [0, 1, 2, *range(languages - 3, languages)]


def test_one_layer_and_languages_with_gaps_can_be_drawn(tmp_path: Path) -> None:
    assert layer_sweep(tmp_path / "one", [record("aa", 3, 50)])
    assert layer_sweep(tmp_path / "gaps", [record("aa", 0, 20), record("bb", 1, 90, collapsed="collapsed")])
    assert layer_sweep(tmp_path / "none", [record("aa", None, 20)]) == []


def curve(chosen: int | None) -> Curve:
    return Curve([0.25, 0.5, 0.5, 0.75], [1.0, 1.0, 2 / 3, 0.75], [1.4, 1.3, 1.2, 1.1], chosen)


def test_f1_is_that_of_the_tuned_threshold_else_the_best() -> None:
    assert curve(1).f1 == pytest.approx(200 / 3)
    assert curve(None).f1 == pytest.approx(75)
    assert Curve([], [], []).f1 == Curve([0.0], [0.0], [1.0]).f1 == 0


def test_a_precision_recall_picture_names_the_tuned_threshold_and_its_f1_and_of_many_the_best_and_the_worst(
    tmp_path: Path,
) -> None:
    svg, png = precision_recall(tmp_path / "pr", {"zh": curve(1), "de": curve(None), "ru": Curve([], [], [])}, "Mine")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text(encoding="utf-8")
    for said in ("Mine", "zh: F1 66.7 at margin ≥ 1.300", "de: best F1 75.0", "ru: no candidates", "F1 90"):
        assert said in text
    many = {f"l{number:02}": Curve([1.0], [number / 100], [1.0], 0) for number in range(1, 37)}
    text = drawn(precision_recall(tmp_path / "many", many))
    assert [name for name in many if f"{name}: F1" in text] == ["l01", "l02", "l03", "l34", "l35", "l36"]
    assert "30 others" in text
