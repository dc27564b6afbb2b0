from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from dist_stilts.errors import UserError
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.study.design import study_runs

Recipes = Callable[..., Recipe]


def test_every_run_stands_once_and_after_its_parent(recipe: Recipe) -> None:
    runs = study_runs(recipe)
    assert not [name for name, number in Counter(run.name for run in runs).items() if number > 1]
    assert not [run_id for run_id, number in Counter(run.id for run in runs).items() if number > 1]
    seen: set[str] = set()
    for run in runs:
        assert run.parent is None or run.parent.name in seen
        assert run.parent is None or run.start == run.parent.name
        seen.add(run.name)


def test_sizes_by_subset_seeds_by_seeds_are_crossed(recipe: Recipe) -> None:
    trained = [run for run in study_runs(recipe) if run.phase == "mnli"]
    sized = {(run.size, run.subset_seed, run.seed) for run in trained if run.size}
    assert sized == {(size, subset, seed) for size in (100, 300, 1000) for subset in (0, 5) for seed in (0, 1)}


def test_all_rows_are_no_choice_so_they_are_trained_on_once_per_seed(recipe: Recipe) -> None:
    assert [run.name for run in study_runs(recipe) if run.phase == "mnli" and run.size is None] == [
        "mnli-s0",
        "mnli-s1",
    ]


def test_pretraining_happens_once_and_the_baseline_once_per_seed(recipe: Recipe) -> None:
    runs = study_runs(recipe)
    assert [run.name for run in runs if run.phase == "pretrain"] == ["pretrain"]
    baseline = [run for run in runs if run.phase == "xnli" and run.start == "pretrain"]
    assert [(run.name, run.seed) for run in baseline] == [("xnli-n200@pretrain-s0", 0), ("xnli-n200@pretrain-s1", 1)]


def test_a_target_keeps_its_own_choice_of_rows_whatever_the_intermediate_data_are(recipe: Recipe) -> None:
    assert {run.subset_seed for run in study_runs(recipe) if run.phase == "xnli"} == {recipe.subset_seed}


def test_a_start_as_it_is_is_scored_once(recipe: Recipe) -> None:
    recipe.phases["plain"] = replace(recipe.phases["mnli"], role="baseline", start=["encoder"], tasks={})
    assert [run.name for run in study_runs(recipe) if run.phase == "plain"] == ["plain"]


def test_without_a_study_its_runs_are_the_recipes(recipe_of: Recipes) -> None:
    recipe = recipe_of()
    assert [(run.name, run.id) for run in study_runs(recipe)] == [(run.name, run.id) for run in expand(recipe)]


def test_a_phases_own_sizes_go_before_the_studys(recipe: Recipe) -> None:
    recipe.phases["mnli"].sizes = [40]
    assert {run.size for run in study_runs(recipe) if run.phase == "mnli"} == {40}
    recipe.study.sizes_of = {"mnli": [50]}
    assert {run.size for run in study_runs(recipe) if run.phase == "mnli"} == {50}


def test_seeds_and_choices_of_rows_are_apart(recipe: Recipe) -> None:
    by_name = {run.name: run for run in study_runs(recipe)}
    one, other = by_name["mnli-n100-d5-s0"], by_name["mnli-n100-d5-s1"]
    assert one.subset_seed == other.subset_seed == 5
    assert (one.seed, other.seed) == (0, 1)
    assert one.id != other.id != by_name["mnli-n100-d0-s1"].id


def test_languages_narrow_what_is_scored_in_all_of_them_as_far_as_a_task_has_them(recipe: Recipe) -> None:
    recipe.study.languages = ["en", "de", "fi"]
    runs = study_runs(recipe)
    assert {tuple(run.evaluate["xnli"].languages) for run in runs if run.phase == "xnli"} == {("en", "de")}
    assert {tuple(run.evaluate["tatoeba"].languages) for run in runs if run.phase == "mnli"} == {("de", "fi")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seeds": [1, 1]}, "study.seeds: a seed stands there twice"),
        ({"subset_seeds": [1, 1]}, "study.subset_seeds: a seed stands there twice"),
        ({"sizes": [100, 100]}, "a size stands there twice"),
        ({"sizes": ["...", 100]}, "needs a smaller number before"),
        ({"sizes": [100, "all"]}, "all is no number of rows"),
        ({"sizes": [-3]}, "-3 is no number of rows"),
        ({"sizes_of": {"mnly": [100]}}, "'mnly' is no intermediate phase"),
        ({"languages": ["de", "xx"]}, "no task of the study has 'xx'"),
    ],
)
def test_a_study_without_meaning_is_one_clear_line(change: dict[str, object], said: str, recipe_of: Recipes) -> None:
    with pytest.raises(UserError, match=said):
        study_runs(recipe_of(**change))


def test_size_0_needs_a_run_without_an_intermediate_phase(recipe: Recipe) -> None:
    recipe.phases["xnli"].start = ["mnli"]
    with pytest.raises(UserError, match=r"study\.sizes has 0"):
        study_runs(recipe)
