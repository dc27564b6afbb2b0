from __future__ import annotations

from typing import Any

import pytest
from results_made import record

from dist_stilts.report.lists import health_table, score_lines


def task(score: float | None, languages: dict[str, dict[str, float]], **changes: Any) -> dict[str, Any]:
    metrics = next(iter(languages.values()))
    average = {} if score is None else dict.fromkeys(metrics, score)
    return {
        "languages": languages,
        "average": average,
        "score": score,
        "missing": [],
        "extra": [],
        "notes": [],
    } | changes


@pytest.fixture
def scores() -> dict[str, Any]:
    return {
        "tasks": {
            "xnli": task(75.0, {"en": {"accuracy": 100.0}, "de": {"accuracy": 50.0}}, missing=["ar", "bg"]),
            "bucc2018": task(40.0, {"de": {"f1": 40.0, "recall": 30.0}}, notes=["de: 2 repeated lines count once"]),
            "tatoeba": task(None, {"qaa": {"accuracy": 7.0}}, extra=["qaa"]),
        },
        "groups": {"classification": None, "retrieval": 20.0},
        "overall": None,
        "without_retrieval": None,
        "incomplete": {"xnli": "2 of 4 languages"},
        "skipped": ["mnli: no task of XTREME"],
    }


def test_scores_are_printed_by_task_with_languages_across_and_totals_below(scores: dict[str, Any]) -> None:
    assert score_lines(scores).splitlines() == [
        "xnli 75.00 (INCOMPLETE: mean of 2 of 4 languages; accuracy 75.00)",
        "                   en     de",
        "  accuracy     100.00  50.00",
        "  missing: ar bg",
        "",
        "bucc2018 40.00 (mean of 1 languages; f1 40.00, recall 40.00)",
        "                   de",
        "  f1            40.00",
        "  recall        30.00",
        "  de: 2 repeated lines count once",
        "",
        "tatoeba - (mean of 0 languages)",
        "                  qaa",
        "  accuracy       7.00",
        "  no language of XTREME's task, in no mean: qaa",
        "",
        "classification           -",
        "retrieval            20.00",
        "without retrieval        -",
        "overall                  -",
        "-: not all of its tasks are here",
        "INCOMPLETE, not comparable with published numbers: xnli 2 of 4 languages",
        "",
        "not scored: mnli: no task of XTREME",
    ]


def test_many_languages_are_several_lines(scores: dict[str, Any]) -> None:
    codes = [f"l{number:02}" for number in range(30)]
    scores["tasks"] = {"panx": task(1.0, {code: {"f1": 1.0} for code in codes})}
    printed = score_lines(scores)
    assert all(code in printed for code in codes)
    assert max(map(len, printed.splitlines())) <= 100


def test_health_has_a_line_for_every_model_and_layer() -> None:
    health = {"task": "tatoeba", "health": {"hubness": 1.5}}
    models = [record(layer=layer, model_id=model, **health) for model in ("aa", "bb") for layer in (1, 2)]
    assert [line.split("  ")[0] for line in health_table([*models, record()]).splitlines()[1:]] == [
        f"tatoeba test de, digest {model}" for model in ("aa", "aa", "bb", "bb")
    ]
    assert health_table([record()]) == ""
