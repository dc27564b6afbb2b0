from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dist_stilts.config import find_recipe, load
from dist_stilts.errors import UserError
from dist_stilts.experiment.forecast import TOKENS, check_sizes, cost, hours
from dist_stilts.experiment.run_config import Recipe
from dist_stilts.study.describe import plan_lines, plan_rows, totals
from dist_stilts.study.design import study_runs
from dist_stilts.study.progress import look

Recipes = Callable[..., Recipe]


@pytest.fixture
def large() -> Recipe:
    return load(Recipe, find_recipe("xstilts_large"), ["name=none", "study.sizes_of.mnli=[1000,100000]"])


def test_tokens_are_rows_times_epochs_times_a_typical_length_and_hours_follow_from_them(large: Recipe) -> None:
    runs = {run.name: run for run in study_runs(large)}
    small, much, scored = (cost(runs[name], large, 8) for name in ("mnli-n1000-s0", "mnli-n100000-s0", "plain"))
    assert small.rows == 2016  # two epochs of 1,000 rows, in whole batches of 32
    assert small.training == 2016 * TOKENS["mnli"]
    few, many = hours({"run": small}, large), hours({"run": much}, large)
    assert few
    assert many
    assert few < many
    large.study.gpu = "NVIDIA H100"
    assert hours({"run": much}, large) == pytest.approx(many * 312 / 989.4)
    assert (scored.training, scored.scoring > 1e6) == (0, True)
    assert scored.flops
    assert much.flops
    assert much.training
    of_training = much.flops / (much.training + much.scoring / 3)  # scoring costs a third per token
    assert scored.flops / (scored.scoring / 3) == pytest.approx(of_training, rel=0.02)  # longer rows attend to more


def test_an_unknown_device_an_impossible_share_and_a_size_beyond_the_data_are_refused(large: Recipe) -> None:
    for change, said in (({"gpu": "abacus"}, "peak of 'abacus'"), ({"mfu": 1.5}, "no share of the peak")):
        recipe = replace(large, study=replace(large.study, **change))
        with pytest.raises(UserError, match=said):
            hours({}, recipe)
    large.study.sizes_of["mnli"] = [500_000]
    with pytest.raises(UserError, match=r"mnli-n500000-s0: 500,000 rows of mnli train, there are 392,702"):
        check_sizes(study_runs(large), large)


def test_rows_that_are_not_known_here_make_no_hours(recipe_of: Recipes) -> None:
    recipe = recipe_of()
    runs = study_runs(recipe)
    assert cost(runs[0], recipe, 1).training is None  # plain text: nobody has published its rows
    assert hours({"pretrain": cost(runs[0], recipe, 1)}, recipe) is None


def test_the_plan_names_every_run_with_its_start_and_ends_with_totals(large: Recipe) -> None:
    runs = study_runs(large)
    standings, costs = look(runs, large), {run.name: cost(run, large, 8) for run in runs}
    lines = plan_lines(plan_rows(runs, standings, costs)).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [run.name for run in runs]
    told = "\n".join(totals(large, runs, standings, costs, 8, 1))
    assert f"{len(runs)} runs" in told
    assert "GPU-hours on NVIDIA A100" in told
