"""Which records count, and that no two contradict each other (law 11)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from results_made import record

from dist_stilts.errors import UserError
from dist_stilts.results.files import append, collect, read

OF_RUN = {"run": "a", "run_id": "x", "model_id": "m1", "seed": 0}


def written(folder: Path, *records: Any) -> Path:
    append(folder / "results.jsonl", records)
    return folder


def values(folders: list[Path]) -> list[float | None]:
    return [found.value for found in collect(folders)[0]]


def test_run_folders_and_recipe_folders_are_read_and_one_without_results_is_a_user_error(tmp_path: Path) -> None:
    written(tmp_path / "recipe" / "a", record(value=1.0, run="a"))
    written(tmp_path / "recipe" / "b", record(value=2.0, run="b"))
    (tmp_path / "recipe" / "world").mkdir()
    assert sorted(values([tmp_path / "recipe" / "b", tmp_path / "recipe"])) == [1.0, 2.0], "b was named twice"
    for missing in ("world", "absent"):
        with pytest.raises(UserError, match=f"{missing}: no results here"):
            collect([tmp_path / "recipe", tmp_path / "recipe" / missing])


@pytest.mark.parametrize(
    "other",
    [
        *({"model_id": "m2"}, {"run": "b"}, {"seed": 1}, {"data_revision": "new"}, {"inputs": "hypothesis"}),
        *({"layer": 3}, {"pooling": "cls"}, {"mining": "csls"}, {"max_length": 128}, {"dtype": "bfloat16"}),
        *({"split": "dev"}, {"metric": "f1"}, {"language": "tr"}, {"task": "pawsx"}),
    ],
)
def test_whatever_scores_may_differ_by_makes_two_of_them(tmp_path: Path, other: dict[str, Any]) -> None:
    first, second = record(), record(**({"value": 1.0} | other))
    assert collect([written(tmp_path / "a", first), written(tmp_path / "b", second)])[0] == [first, second]


def test_identical_repeats_count_once_whenever_and_wherever_they_were_scored(tmp_path: Path) -> None:
    again = record(value=60.0 + 1e-9, world_size=3, wall_seconds=9.0, time=2.0, versions={"torch": "9"})
    folders = [written(tmp_path / "a", record(time=1.0), again), written(tmp_path / "b", record())]
    assert values(folders) == [60.0]


@pytest.mark.parametrize("change", [{"value": 60.1}, {"value": None}, {"count": 99}])
def test_two_values_of_one_score_are_an_error_that_names_both_places(tmp_path: Path, change: dict[str, Any]) -> None:
    old, new = {"versions": {"torch": "2.3", "numpy": "2"}}, {"versions": {"torch": "2.4", "numpy": "2"}}
    one = written(tmp_path / "one", record("en"), record(**old))
    two = written(tmp_path / "two", record(**new, **change))
    with pytest.raises(UserError) as error:
        collect([one, two])
    said = str(error.value)
    assert said.startswith(f"{two / 'results.jsonl'}:1: two values of one score (xnli test de: accuracy)")
    assert f"at {one / 'results.jsonl'}:2; torch 2.4 and 2.3. Name one of the folders" in said
    with pytest.raises(UserError, match=r"both.results.jsonl:2: two values of one score"):
        read(written(tmp_path / "both", record(), record(**change)) / "results.jsonl")


def test_scores_of_texts_that_changed_since_give_way_in_their_own_file_only(tmp_path: Path) -> None:
    before, after = record(data_revision="r1"), record(value=70.0, data_revision="r2")
    untouched = record("en", data_revision="r1")
    assert collect([written(tmp_path / "one", before, untouched, after)])[0] == [untouched, after]
    assert values([written(tmp_path / "old", before), written(tmp_path / "new", after)]) == [60.0, 70.0]


def test_a_run_has_one_model_and_evaluate_any_number(tmp_path: Path) -> None:
    """A run that was trained again is scored again; its folder's earlier scores are of weights that are gone."""
    trained_again = [record(**OF_RUN), record(value=70.0, **OF_RUN | {"model_id": "m2", "seed": 1})]
    assert values([written(tmp_path / "run", *trained_again)]) == [70.0]
    of_evaluate = [replace(each, training=replace(each.training, run_id="", seed=None)) for each in trained_again]
    assert values([written(tmp_path / "scores", *of_evaluate)]) == [60.0, 70.0]


def test_of_texts_that_changed_and_changed_back_the_latest_scores_count(tmp_path: Path) -> None:
    texts = [("r1", 60.0), ("r2", 70.0), ("r1", 61.0)]
    records = [record(value=value, data_revision=revision) for revision, value in texts]
    assert values([written(tmp_path / "scores", *records)]) == [61.0]
    weights = [record(value=value, **OF_RUN | {"model_id": name}) for name, value in texts]
    assert values([written(tmp_path / "run", *weights)]) == [61.0]


def test_weights_that_were_replaced_keep_no_score_not_even_one_that_was_not_taken_again(tmp_path: Path) -> None:
    old = [record("de", 60.0, **OF_RUN), record("tr", 50.0, **OF_RUN), record("de", task="pawsx", **OF_RUN)]
    new = record("de", 70.0, **OF_RUN | {"model_id": "m2"})
    assert collect([written(tmp_path / "run", *old, new)])[0] == [new]
    other = record("tr", 40.0, **OF_RUN | {"run": "b", "run_id": "y"})
    assert collect([written(tmp_path / "shared", *old, other, new)])[0] == [other, new]


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        written(tmp_path, record(value=1.0), replace(record("en"), value=math.nan))
    assert not (tmp_path / "results.jsonl").exists()
