from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from results_made import record

from dist_stilts.errors import UserError
from dist_stilts.report.intervals import mean_of_languages
from dist_stilts.report.table import header, lines, pivot, render, sheets
from dist_stilts.results.files import append, collect, gather
from dist_stilts.results.record import ResultRecord


def run(values: dict[str, float], **fields: Any) -> list[ResultRecord]:
    return [record(language, value, **fields) for language, value in values.items()]


def test_rows_go_by_size_controls_come_last_and_like_labels_are_told_apart_by_the_setting_that_differs() -> None:
    records = [
        *run({"en": 1}, inputs="hypothesis"),
        *run({"en": 1}, origin="random"),
        *run({"en": 1}, intermediate="mnli", intermediate_size=1000),
        *run({"en": 1}, intermediate="mnli", intermediate_size=300),
        *run({"en": 1}),
    ]
    names = [row.label for row in pivot(records)[0].rows]
    assert names == ["no intermediate", "mnli n=300", "mnli n=1000", "random encoder", "hypothesis only"]
    records = [*run({"de": 1}, seed=0, run="a"), *run({"de": 1}, seed=1, run="b"), *run({"de": 1}, origin="random")]
    names = [row.label for row in pivot(records)[0].rows]
    assert names == ["no intermediate, seed 0", "no intermediate, seed 1", "random encoder"]
    layers = [*run({"de": 1}, layer=2, seed=0), *run({"de": 1}, layer=14, seed=0), *run({"de": 1}, layer=14, seed=1)]
    assert len({row.label for row in pivot(layers)[0].rows}) == 3


def test_mean_is_the_one_of_scoring_intervals_with_and_without_english() -> None:
    table = pivot([record("en", 80.0, count=400), record("de", 60.0, count=100), record("tr", 40.0, count=50)])[0]
    mean, mean_xx = table.rows[0].mean, table.rows[0].mean_xx
    assert mean is not None
    assert mean_xx is not None
    assert (mean.value, mean.half_width) == pytest.approx(mean_of_languages([80, 60, 40], [400, 100, 50]))
    assert (mean_xx.value, mean_xx.half_width) == pytest.approx(mean_of_languages([60, 40], [100, 50]))
    assert header(table) == ["run", "en", "de", "tr", "mean", "mean xx"]
    assert header(pivot(run({"de": 1.0, "fr": 2.0}))[0]) == ["run", "de", "fr", "mean"]


def test_a_degenerate_run_is_marked_named_and_kept_in_the_mean() -> None:
    records = [record("en", 90.0, count=100), record("de", 30.0, count=100, collapsed="one class")]
    table = pivot(records)[0]
    assert lines(table)[0][1:3] == ["90.0", "30.0†"]
    assert lines(table)[0][3].startswith("60.0 ±")
    assert lines(table)[0][3].endswith("†")
    assert table.notes == ["† no intermediate, de: one class (kept in the mean)"]
    assert "† no intermediate, de: one class" in render([table], "md")


def test_a_mean_over_fewer_languages_says_so() -> None:
    records = [
        *run({"en": 50, "de": 40}),
        record("en", 60, count=9, origin="random"),
        record("de", None, count=9, collapsed="never ran", origin="random"),
    ]
    table = pivot(records)[0]
    assert lines(table)[1][2] == "-†"
    assert table.notes == ["† random encoder, de: never ran (no score)", "random encoder: mean over 1 of 2 languages"]


def test_gold_that_no_training_row_has_is_counted_beside_the_score_that_it_explains() -> None:
    (table,) = pivot(run({"de": 0.0, "en": 80.0}, unseen=3))
    (note,) = table.notes
    assert note.endswith("gold labels that no training row has, scored as wrong: 3 in en, 3 in de")


def test_counts_are_in_the_caption() -> None:
    assert "n = 100 rows per language" in pivot(run({"en": 1, "de": 2}))[0].caption
    mixed = [record("en", 1, count=10), record("de", 1, count=5), record("de", 1, count=7, origin="random")]
    assert "n = en 10, de 5 to 7 rows" in pivot(mixed)[0].caption


TWO_MODELS = [
    (
        {"run": "pretrain", "model": "pretrain"},
        {"run": "xnli", "model": "xnli"},
        ["no intermediate, run pretrain", "no intermediate, run xnli"],
    ),
    ({"model_path": "a/model"}, {"model_path": "b/model"}, ["a/model", "b/model"]),
    (
        {"run": "x", "model": "x"},
        {"run": "x", "model": "x"},
        ["no intermediate, digest aa", "no intermediate, digest bb"],
    ),
    ({"model_path": "a/model"}, {"model_path": "a/model"}, ["a/model, digest aa", "a/model, digest bb"]),
    ({}, {}, ["no intermediate, digest aa", "no intermediate, digest bb"]),
]


@pytest.mark.parametrize(("one", "other", "names"), TWO_MODELS)
def test_two_models_are_two_rows_whatever_they_are_called(
    one: dict[str, str], other: dict[str, str], names: list[str]
) -> None:
    records = [*run({"en": 80, "de": 70}, model_id="aa", **one), *run({"en": 60, "de": 50}, model_id="bb", **other)]
    (table,) = pivot(records)
    assert [row.label for row in table.rows] == names
    assert [row.cells["en"].value for row in table.rows] == [80, 60]
    called = [one.get("model", one.get("model_path", "aa")), other.get("model", other.get("model_path", "bb"))]
    models = [row["model"] for row in csv.DictReader(io.StringIO(render([table], "csv")))]
    assert list(dict.fromkeys(models)) == list(dict.fromkeys(called))


def test_one_model_on_texts_that_differ_is_a_row_for_each_folder(tmp_path: Path) -> None:
    for folder, value in (("old", 60.0), ("new", 70.0)):
        append(tmp_path / folder / "results.jsonl", [record("de", value, data_revision=folder), record("tr", 1.0)])
    (table,) = pivot(collect([tmp_path / "old", tmp_path / "new"])[0])
    assert [row.label for row in table.rows] == [f"no intermediate, in {tmp_path / name}" for name in ("new", "old")]
    assert [row.cells["de"].value for row in table.rows] == [70.0, 60.0]


def test_what_two_folders_have_in_common_is_in_the_rows_of_both(tmp_path: Path) -> None:
    english = record("en", 80.0, data_revision="a")
    for folder, revision, value in (("s4", "a", 60.0), ("s5", "b", 70.0), ("s6", "a", 60.0)):
        append(tmp_path / folder / "results.jsonl", [english, record("de", value, data_revision=revision)])
    append(tmp_path / "part" / "results.jsonl", [english])
    (table,) = pivot(gather(tmp_path / folder for folder in ("s4", "s5", "s6", "part"))[0])
    assert [row.label for row in table.rows] == [f"no intermediate, in {tmp_path / name}" for name in ("s4", "s5")]
    assert [line[1:3] for line in lines(table)] == [["80.0", "60.0"], ["80.0", "70.0"]]
    assert table.notes == []
    append(tmp_path / "part" / "results.jsonl", [record("de", 1.0, data_revision="a")])
    with pytest.raises(UserError, match="two values of one score"):
        gather([tmp_path / "s4", tmp_path / "part"])


def test_reading_tables_show_main_metrics_with_their_notes_and_data_formats_everything() -> None:
    base = {"count": 3, "task": "bucc2018", "collapsed": "stuck"}
    of = {"f1": True, "precision": False, "threshold": False}
    tables = pivot([record("de", 1.5, metric=metric, main=main, **base) for metric, main in of.items()])
    assert [table.is_main for table in tables] == [True, False, False]
    (other,) = pivot([record("de", 1.5, metric="my_own_metric")])
    assert other.is_main, "whichever its records say"
    assert "bucc2018 test: f1" in render(tables, "md")
    for shown in (render(tables, "md"), render(tables, "latex")):
        assert "stuck" in shown
        assert "1.5" in shown
        assert "precision" not in shown
    assert [sheet.caption for sheet in sheets(tables)] == [tables[0].caption]
    (beside,) = pivot([record("de", 1.5, task="udpos", metric="accuracy", main=False)])
    assert "udpos test: accuracy (percent, ±" in render([beside], "md"), (
        "what stands beside a task's own score is read, too"
    )
    assert {table["metric"] for table in json.loads(render(tables, "json"))} == set(of)
    assert tables[2].rows[0].mean is not None
    assert tables[2].rows[0].mean.half_width is None, "a threshold is no proportion"
    with pytest.raises(UserError, match="did you mean 'latex'"):
        render([], "latx")


def test_csv_has_one_line_per_score_and_mean() -> None:
    rows = list(csv.DictReader(io.StringIO(render(pivot(run({"en": 80, "de": 60})), "csv"))))
    assert [(row["language"], float(row["value"])) for row in rows] == [
        ("en", 80.0),
        ("de", 60.0),
        ("mean", 70.0),
        ("mean xx", 60.0),
    ]
    assert rows[0]["half_width"] == ""
    assert float(rows[2]["half_width"]) > 0
