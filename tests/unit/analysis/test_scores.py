from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import results_made

from dist_stilts.analysis.outcomes import load
from dist_stilts.analysis.scores import TYPES, baseline, controls, frame, without_value
from dist_stilts.errors import UserError
from dist_stilts.layout import RecipeFolder, layer_folder, prediction_file
from dist_stilts.results.record import ResultRecord
from dist_stilts.writing import write_text

PLAIN = {"run": "xnli@plain", "run_id": "a", "model_id": "m", "role": "target", "train_tasks": ["xnli"]}
PLAIN |= {"train_size": 200, "seed": 0, "subset_seed": 0, "dev": 70.0}
"""A run that was trained on XNLI without an intermediate phase."""


def record(**fields: Any) -> ResultRecord:
    return results_made.record(**PLAIN | fields)


def retrieval(**fields: Any) -> ResultRecord:
    """A score of the pretrained encoder itself."""
    plain = {"run": "plain", "role": "baseline", "task": "tatoeba", "train_tasks": [], "train_size": None, "layer": 1}
    return record(**{**plain, "pooling": "mean", "dev": None, **fields})


MNLI = {"run": "xnli@mnli", "run_id": "b", "intermediate": "mnli", "intermediate_phase": "mnli"}


def test_a_row_says_what_the_record_does_and_no_record_gives_the_same_columns() -> None:
    scores = frame([record(**MNLI, intermediate_size=300, seed=2, subset_seed=1)])
    assert list(scores.columns) == list(TYPES)
    row = scores.iloc[0]
    assert row[["intermediate", "tasks", "size", "seed", "subset_seed"]].tolist() == ["mnli", "mnli", 300, 2, 1]
    assert row[["target", "metric", "language"]].tolist() == ["xnli", "accuracy", "de"]
    assert row[["value", "count", "dev", "run"]].tolist() == [60.0, 100, 70.0, "xnli@mnli"]
    assert (bool(row["trained"]), bool(row["degenerate"]), row["reason"]) == (True, False, "")
    assert frame([]).empty
    assert frame([]).dtypes.to_dict() == frame([record()]).dtypes.to_dict()


def test_a_record_that_knows_no_phase_is_named_by_its_tasks_and_a_restarted_run_keeps_its_planned_seed() -> None:
    assert frame([record(intermediate="mnli,mlm", intermediate_size=300)])["intermediate"].tolist() == ["mnli+mlm"]
    scores = frame([record(intermediate_phase="mnli-mlm", intermediate="mnli,mlm", intermediate_size=300)])
    assert scores[["intermediate", "tasks"]].values.tolist() == [["mnli-mlm", "mnli,mlm"]]
    assert frame([record(seed=1001, planned_seed=1)])["seed"].tolist() == [1]
    assert frame([record(seed=0, planned_seed=0)])["seed"].tolist() == [0]


def test_a_score_counts_once_has_one_value_and_is_of_the_tasks_main_metric() -> None:
    assert frame([record(value=1.0), record(value=1.0)])["value"].tolist() == [1.0]
    with pytest.raises(UserError, match="two values of one score"):
        frame([record(value=1.0), record(value=2.0)])
    tagging = {"task": "udpos", "train_tasks": ["udpos"]}
    scores = frame([record(**tagging, main=False, value=99.0), record(**tagging, metric="f1", value=50.0)])
    assert scores[["metric", "value"]].values.tolist() == [["f1", 50.0]]
    records = [record(), record(language="tr", value=None)]
    assert (len(frame(records)), without_value(records)) == (1, 1)


def test_a_run_is_read_on_its_test_splits_if_it_has_any_and_two_on_different_splits_share_no_target() -> None:
    both = [record(split="dev"), record(split="test[50%:]")]
    assert frame(both)[["target", "value"]].values.tolist() == [["xnli", 60.0]]
    assert len(frame([record(split="dev[60%:]")])) == 1
    scores = frame([record(split="dev"), record(run="other", run_id="b")])
    assert scores["target"].tolist() == ["xnli dev", "xnli test"]


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ({"layer": 2}, ["tatoeba layer 1", "tatoeba layer 2"]),
        ({"pooling": "cls"}, ["tatoeba mean pooling", "tatoeba cls pooling"]),
        ({"layer": 2, "pooling": "cls"}, ["tatoeba layer 1", "tatoeba layer 2"]),
        ({"role": "target", "train_tasks": ["xnli"]}, ["tatoeba", "tatoeba after xnli"]),
        ({"max_length": 64}, ["tatoeba", "tatoeba max_length 64"]),
        ({"stride": 32}, ["tatoeba", "tatoeba stride 32"]),
        ({"dtype": "bfloat16"}, ["tatoeba", "tatoeba bfloat16"]),
    ],
)
def test_settings_that_differ_are_part_of_the_targets_name(setting: dict[str, Any], names: list[str]) -> None:
    assert frame([retrieval(), retrieval(run_id="b", **setting)])["target"].tolist() == names


def test_a_run_that_was_scored_again_in_another_precision_is_two_targets_and_never_two_seeds() -> None:
    scores = frame([record(dtype=dtype, value=value) for dtype, value in (("float32", 60.0), ("bfloat16", 61.0))])
    assert scores[["run", "target"]].values.tolist() == [
        ["xnli@plain", "xnli float32"],
        ["xnli@plain", "xnli bfloat16"],
    ]


@pytest.mark.parametrize("other", [{"run_id": "b", "model_id": "m2", "seed": 1}, {}])
def test_one_target_is_on_the_same_texts_in_all_runs(other: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="xnli de: scores of texts that differ"):
        frame([record(data_revision="r1"), record(**other, data_revision="r2")])
    assert len(frame([record(data_revision="r1"), record(language="tr", data_revision="r2")])) == 2
    assert len(frame([record(), record(run_id="b", seed=1, data_revision="r2")])) == 2, "of the old one it is not known"


def test_a_run_has_one_score_per_target_and_language() -> None:
    with pytest.raises(UserError, match="two scores of run xnli@plain on xnli de"):
        frame([record(), record(data_revision="r2")])


def test_the_size_of_the_target_phase_makes_another_target_and_that_of_the_intermediate_phase_none() -> None:
    fewer = record(run="xnli-n50", run_id="b", train_size=50)
    assert frame([record(), fewer])["target"].tolist() == ["xnli n=200", "xnli n=50"]
    intermediate = {**MNLI, "role": "intermediate", "train_tasks": ["mnli"], "train_size": 300}
    scores = frame([retrieval(), retrieval(**{**intermediate, "intermediate_size": 300})])
    assert scores["target"].tolist() == ["tatoeba", "tatoeba"]


def test_runs_of_one_name_are_several_runs() -> None:
    """Recipes may call their runs alike, and `evaluate` scores a run's model beside the run."""
    scores = frame([record(), record(run_id="b", model_id="m2", value=50.0), record(language="tr")])
    assert scores[["run", "value"]].values.tolist() == [
        ["xnli@plain run_id a", 60.0],
        ["xnli@plain run_id b", 50.0],
        ["xnli@plain run_id a", 60.0],
    ]


def test_controls_are_in_a_frame_of_their_own() -> None:
    records = [record(), record(origin="random", run_id="b"), record(inputs="hypothesis", run_id="c")]
    assert frame(records)["run"].tolist() == ["xnli@plain"]
    assert controls(records)["control"].tolist() == ["random encoder", "hypothesis only"]


def test_a_run_that_is_stuck_where_another_is_not_stays_degenerate_with_its_reason() -> None:
    scores = frame([record(run="a"), record(run="b", collapsed="one class")])
    said = scores[["degenerate", "at_chance", "reason"]].values.tolist()
    assert said == [[False, False, ""], [True, False, "one class"]]


def test_where_every_run_of_a_size_and_of_all_smaller_ones_is_stuck_chance_is_what_the_size_brings() -> None:
    after = {"intermediate": "mnli", "intermediate_phase": "mnli"}
    stuck = {"collapsed": "at chance", **after}
    scores = frame(
        [
            record(run="a", intermediate_size=100, **stuck),
            record(run="b", intermediate_size=100, seed=1, **stuck),
            record(run="c", intermediate_size=300, **stuck),
            record(run="d", intermediate_size=1000, **after),
            record(run="e", intermediate_size=1000, seed=1, **stuck),
            record(run="f", intermediate_size=3000, **stuck),
        ]
    ).set_index("run")
    assert list(scores.index[scores["at_chance"]]) == ["a", "b", "c"]
    assert list(scores.index[scores["degenerate"]]) == ["e", "f"]


def test_dev_is_of_the_target_and_retrieval_has_none() -> None:
    on_target = frame([record()])["dev"]
    own_dev = {**MNLI, "role": "intermediate", "train_tasks": ["mnli"], "intermediate_size": 300, "dev": 80.0}
    of_intermediate = frame([record(**own_dev), retrieval(**own_dev)])["dev"]
    after_target = frame([retrieval(role="target", train_tasks=["xnli"], dev=70.0)])["dev"]
    assert on_target.tolist() == [70.0]
    assert pd.concat([of_intermediate, after_target]).isna().all()


@pytest.mark.parametrize("role", ["pretrain", "baseline"])
def test_a_model_that_nothing_was_trained_on_has_one_row_per_score(role: str) -> None:
    """The same encoder, scored under the name of several runs, is one observation and has no seeds."""
    tasks = ["mlm"] if role == "pretrain" else []
    scores = frame([retrieval(role=role, train_tasks=tasks, run_id=str(seed), seed=seed) for seed in range(3)])
    assert scores["trained"].tolist() == [False]
    scores = frame([record(run_id=str(seed), seed=seed) for seed in range(3)])
    assert scores[["seed", "trained"]].values.tolist() == [[0, True], [1, True], [2, True]]


def test_a_model_that_nothing_was_trained_on_has_one_value_in_whatever_order_its_runs_come() -> None:
    runs = [retrieval(run_id=str(seed), seed=seed, value=50.0 + 20 * seed) for seed in range(2)]
    for records in (runs, runs[::-1]):
        with pytest.raises(UserError, match="two values of one score"):
            frame(records)


def test_a_run_that_evaluate_scored_as_well_is_one_run_and_no_seed_is_made_up() -> None:
    run, copy = record(seed=2, run_id="a"), record(run_id=None, seed=None)
    for records in ([run, copy], [copy, run]):
        assert frame(records)[["run", "seed"]].values.tolist() == [["xnli@plain", 2]]
    with pytest.raises(UserError, match="two values of one score"):
        frame([run, record(run_id=None, seed=None, value=10.0)])
    unknown = [
        record(run_id=None, seed=None, run=name, model_id=name, language=to) for name in "xy" for to in ("de", "tr")
    ]
    seeds = frame([run, *unknown]).groupby("run")["seed"].unique()
    assert [len(found) for found in seeds] == [1, 1, 1]
    assert seeds["x"][0] < 0 > seeds["y"][0] != seeds["x"][0]


def test_the_baseline_is_shared() -> None:
    qqp = {**MNLI, "run_id": "c", "intermediate_phase": "qqp", "intermediate": "qqp"}
    scores = frame([record(), record(**MNLI, intermediate_size=300), record(**qqp, intermediate_size=300)])
    for name in ("mnli", "qqp"):
        assert baseline(scores, name)["intermediate"].tolist() == ["", name]


def of_four(**fields: Any) -> ResultRecord:
    return results_made.record(**{"run": "a", "value": 75.0, "count": 4} | fields)


@pytest.fixture
def runs(tmp_path: Path) -> RecipeFolder:
    return RecipeFolder(tmp_path, "study")


def write(runs: RecipeFolder, text: str, task: str = "xnli", layer: int | None = None, run: str = "a") -> None:
    folder = runs.run(run).predictions
    folder = folder if layer is None else layer_folder(folder, layer)
    write_text(prediction_file(folder, task, "test", "de", "outcomes"), text)


def test_outcomes_are_found_under_the_names_that_the_frame_has(runs: RecipeFolder) -> None:
    assert load([of_four()], runs.run) == {}
    write(runs, "1\n0\n1\n1\n")
    records = [of_four(), of_four(run="b", split="dev")]
    found = load(records, runs.run)
    assert set(found) == {("a", "xnli test", "de")}
    assert ("a", "xnli test", "de") in set(frame(records)[["run", "target", "language"]].itertuples(index=False))
    assert found["a", "xnli test", "de"].tolist() == [1, 0, 1, 1]
    assert found["a", "xnli test", "de"].dtype == np.float32
    write(runs, "0.3333\n0.6667\n1\n0\n")
    assert len(load([of_four(value=50.0004)], runs.run)) == 1


def test_outcomes_have_the_runs_name_that_the_frame_gives_it(runs: RecipeFolder) -> None:
    write(runs, "1\n0\n1\n1\n")
    records = [of_four(run_id="x", model_id="m1", value=25.0), of_four(run_id="y", model_id="m2")]
    assert list(load(records, runs.run)) == [("a run_id y", "xnli", "de")]
    assert frame(records)["run"].tolist() == ["a run_id x", "a run_id y"]


def test_of_several_layers_each_has_its_own_and_the_file_of_one_lies_where_others_do(runs: RecipeFolder) -> None:
    write(runs, "1\n1\n1\n0\n", "tatoeba", layer=1)
    write(runs, "0\n1\n1\n1\n", "tatoeba", layer=2)
    found = load([of_four(task="tatoeba", layer=layer) for layer in (1, 2)], runs.run)
    assert [found["a", f"tatoeba layer {layer}", "de"].tolist()[0] for layer in (1, 2)] == [1, 0]
    write(runs, "1\n1\n1\n0\n", "tatoeba")
    assert list(load([of_four(task="tatoeba", layer=14)], runs.run)) == [("a", "tatoeba", "de")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1\n1\n1\n", "3 rows, but the score is of 4"),
        ("1\n1\n0\n0\n", "the rows' mean is 50.00, but the score is 75.00"),
        ("1\n1\none\n0\n", "not one number per line"),
    ],
)
def test_a_file_that_does_not_fit_its_score_is_ignored_aloud(
    text: str, why: str, runs: RecipeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    write(runs, text)
    assert load([of_four()], runs.run) == {}
    assert why in caplog.text
    assert "test-de.outcomes" in caplog.text
