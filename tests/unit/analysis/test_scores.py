from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import results_made

from dist_stilts.analysis.scores import TYPES, baseline, controls, frame, without_value
from dist_stilts.errors import UserError
from dist_stilts.results.record import ResultRecord

PLAIN = {
    "run": "xnli@plain",
    "run_id": "a",
    "model_id": "m",
    "role": "target",
    "train_tasks": ["xnli"],
    "train_size": 200,
    "seed": 0,
    "subset_seed": 0,
    "dev": 70.0,
}
"""A run that was trained on XNLI without an intermediate phase."""


def record(**fields: Any) -> ResultRecord:
    return results_made.record(**PLAIN | fields)


def retrieval(**fields: Any) -> ResultRecord:
    """A score of the pretrained encoder itself."""
    plain = {"run": "plain", "role": "baseline", "task": "tatoeba", "train_tasks": [], "train_size": None, "layer": 1}
    return record(**{**plain, "pooling": "mean", "dev": None, **fields})


MNLI = {"run": "xnli@mnli", "run_id": "b", "intermediate": "mnli", "intermediate_phase": "mnli"}


def test_a_row_says_what_the_record_does() -> None:
    scores = frame([record(**MNLI, intermediate_size=300, seed=2, subset_seed=1)])
    assert list(scores.columns) == list(TYPES)
    row = scores.iloc[0]
    assert row[["intermediate", "tasks", "size", "seed", "subset_seed"]].tolist() == ["mnli", "mnli", 300, 2, 1]
    assert row[["target", "metric", "language"]].tolist() == ["xnli", "accuracy", "de"]
    assert row[["value", "count", "dev", "run"]].tolist() == [60.0, 100, 70.0, "xnli@mnli"]
    assert (bool(row["trained"]), bool(row["degenerate"]), row["reason"]) == (True, False, "")


def test_no_record_gives_the_same_columns_with_the_same_types() -> None:
    assert frame([]).empty
    assert frame([]).dtypes.to_dict() == frame([record()]).dtypes.to_dict()


def test_a_record_that_knows_no_phase_is_named_by_its_tasks() -> None:
    assert frame([record(intermediate="mnli,mlm", intermediate_size=300)])["intermediate"].tolist() == ["mnli+mlm"]
    assert frame([record(intermediate_phase="mnli-mlm", intermediate="mnli,mlm", intermediate_size=300)])[
        ["intermediate", "tasks"]
    ].values.tolist() == [["mnli-mlm", "mnli,mlm"]]


def test_a_restarted_run_keeps_the_seed_it_was_planned_with() -> None:
    assert frame([record(seed=1001, planned_seed=1)])["seed"].tolist() == [1]
    assert frame([record(seed=0, planned_seed=0)])["seed"].tolist() == [0]


def test_a_score_counts_once_and_has_one_value() -> None:
    assert frame([record(value=1.0), record(value=1.0)])["value"].tolist() == [1.0]
    with pytest.raises(UserError, match="two values of one score"):
        frame([record(value=1.0), record(value=2.0)])


def test_only_a_tasks_main_metric_is_read() -> None:
    tagging = {"task": "udpos", "train_tasks": ["udpos"]}
    scores = frame([record(**tagging, main=False, value=99.0), record(**tagging, metric="f1", value=50.0)])
    assert scores[["metric", "value"]].values.tolist() == [["f1", 50.0]]


def test_a_run_is_read_on_its_test_splits_if_it_has_any() -> None:
    both = [record(split="dev"), record(split="test[50%:]")]
    assert frame(both)[["target", "value"]].values.tolist() == [["xnli", 60.0]]
    assert len(frame([record(split="dev[60%:]")])) == 1


def test_two_runs_on_different_splits_never_share_a_target() -> None:
    scores = frame([record(split="dev"), record(run="other", run_id="b")])
    assert scores["target"].tolist() == ["xnli dev", "xnli test"]


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ({"layer": 2}, ["tatoeba layer 1", "tatoeba layer 2"]),
        ({"pooling": "cls"}, ["tatoeba mean pooling", "tatoeba cls pooling"]),
        ({"layer": 2, "pooling": "cls"}, ["tatoeba layer 1", "tatoeba layer 2"]),
        ({"role": "target", "train_tasks": ["xnli"]}, ["tatoeba", "tatoeba after xnli"]),
    ],
)
def test_settings_that_differ_are_part_of_the_targets_name(setting: dict[str, Any], names: list[str]) -> None:
    assert frame([retrieval(), retrieval(run_id="b", **setting)])["target"].tolist() == names


def test_a_target_trained_on_fewer_rows_is_another_target() -> None:
    fewer = record(run="xnli-n50", run_id="b", train_size=50)
    assert frame([record(), fewer])["target"].tolist() == ["xnli n=200", "xnli n=50"]


def test_the_size_of_the_intermediate_phase_is_no_setting_of_retrieval() -> None:
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


def test_a_score_without_a_value_is_counted_and_not_in_the_frame() -> None:
    records = [record(), record(language="tr", value=None)]
    assert (len(frame(records)), without_value(records)) == (1, 1)


def test_a_run_that_is_stuck_where_another_is_not_stays_degenerate_with_its_reason() -> None:
    scores = frame([record(run="a"), record(run="b", collapsed="one class")])
    assert scores[["degenerate", "at_chance", "reason"]].values.tolist() == [
        [False, False, ""],
        [True, False, "one class"],
    ]


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
    assert dict(scores["at_chance"]) == {"a": True, "b": True, "c": True, "d": False, "e": False, "f": False}
    assert dict(scores["degenerate"]) == {"a": False, "b": False, "c": False, "d": False, "e": True, "f": True}


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


def test_models_with_seeds_of_their_own_keep_their_rows() -> None:
    scores = frame([record(run_id=str(seed), seed=seed) for seed in range(3)])
    assert scores[["seed", "trained"]].values.tolist() == [[0, True], [1, True], [2, True]]


def test_the_baseline_is_shared() -> None:
    records = [
        record(),
        record(**MNLI, intermediate_size=300),
        record(**{**MNLI, "run_id": "c", "intermediate_phase": "qqp", "intermediate": "qqp"}, intermediate_size=300),
    ]
    scores = frame(records)
    assert baseline(scores, "mnli")["intermediate"].tolist() == ["", "mnli"]
    assert baseline(scores, "qqp")["intermediate"].tolist() == ["", "qqp"]
