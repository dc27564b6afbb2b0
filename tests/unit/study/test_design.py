from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dist_stilts.errors import UserError
from dist_stilts.experiment.plan import expand
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.study.design import study_runs

Recipes = Callable[..., Recipe]


def test_sizes_subset_seeds_and_seeds_are_crossed_and_what_does_not_depend_on_them_happens_once(recipe: Recipe) -> None:
    recipe.phases["plain"] = replace(recipe.phases["mnli"], role="baseline", start=["encoder"], tasks={})
    runs = study_runs(recipe)
    assert len({run.name for run in runs}) == len({run.id for run in runs}) == len(runs)
    for place, run in enumerate(runs):
        assert run.parent is None or run.start == run.parent.name
        assert run.parent is None or run.parent.name in {before.name for before in runs[:place]}
    sized = {(run.size, run.subset_seed, run.seed) for run in runs if run.phase == "mnli" and run.size}
    assert sized == {(size, subset, seed) for size in (100, 300, 1000) for subset in (0, 5) for seed in (0, 1)}
    all_rows = [run.name for run in runs if run.phase == "mnli" and run.size is None]
    assert all_rows == ["mnli-s0", "mnli-s1"], "all rows are no choice"
    assert [run.name for run in runs if run.phase in ("pretrain", "plain")] == ["pretrain", "plain"]
    baseline = [(run.name, run.seed) for run in runs if run.phase == "xnli" and run.start == "pretrain"]
    assert baseline == [("xnli-n200@pretrain-s0", 0), ("xnli-n200@pretrain-s1", 1)]
    assert {run.subset_seed for run in runs if run.phase == "xnli"} == {recipe.subset_seed}, "its own choice of rows"
    by_name = {run.name: run for run in runs}
    one, other = by_name["mnli-n100-d5-s0"], by_name["mnli-n100-d5-s1"]
    assert [(run.subset_seed, run.seed) for run in (one, other)] == [(5, 0), (5, 1)]
    assert one.id != other.id != by_name["mnli-n100-d0-s1"].id


def test_without_a_study_its_runs_are_the_recipes(recipe_of: Recipes) -> None:
    recipe = recipe_of()
    assert [(run.name, run.id) for run in study_runs(recipe)] == [(run.name, run.id) for run in expand(recipe)]


def test_a_phases_own_sizes_go_before_the_studys(recipe: Recipe) -> None:
    recipe.phases["mnli"].sizes = [40]
    assert {run.size for run in study_runs(recipe) if run.phase == "mnli"} == {40}
    recipe.study.sizes_of = {"mnli": [50]}
    assert {run.size for run in study_runs(recipe) if run.phase == "mnli"} == {50}


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
        ({"sizes_of": {"mnly": [100]}}, "'mnly' is no intermediate phase"),
        ({"languages": ["de", "xx"]}, "no task of the study has 'xx'"),
    ],
)
def test_a_study_without_meaning_is_one_clear_line(change: dict[str, object], said: str, recipe_of: Recipes) -> None:
    with pytest.raises(UserError, match=said):
        study_runs(recipe_of(**change))
    recipe = recipe_of(sizes=[0, 100])
    recipe.phases["xnli"].start = ["mnli"]  # no run without an intermediate phase is left
    with pytest.raises(UserError, match=r"study\.sizes has 0"):
        study_runs(recipe)
