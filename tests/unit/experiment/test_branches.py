"""A trunk and its branches: what starts from what, on which rows, at which rate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from models_made import features_of

from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.dry_run import describe_run
from dist_stilts.experiment.phases import conditions_of
from dist_stilts.experiment.plan import Run, expand
from dist_stilts.experiment.run_config import TRUNK, PhaseConfig, Recipe, TrainTask
from dist_stilts.experiment.start import provenance_of
from dist_stilts.experiment.training_data import TrainingData, chosen_examples
from dist_stilts.families.features import Features
from dist_stilts.model.provenance import Provenance
from dist_stilts.results.record import Training
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import PairRow
from dist_stilts.train.plan import TrainConfig, derive, learning_rate

EPOCHS, BATCH, SHARE, RATE = 3.0, 32, 0.2, 1e-3
SPEC = get_task("mnli")


def recipe(branch: float | None = SHARE, sizes: tuple[int | str, ...] = (1000, 100, 300), **more: Any) -> Recipe:
    """MNLI at several sizes, and a target from each."""
    train = {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": RATE, **more.pop("train", {})}
    mnli = {"role": "intermediate", "tasks": {"mnli": TrainTask()}, "evaluate": {"tatoeba": EvalTask()}, **more}
    phases = {
        "mnli": PhaseConfig(sizes=list(sizes), branch=branch, **mnli),
        "xnli": PhaseConfig(start=["mnli"], tasks={"xnli": TrainTask()}),
    }
    return Recipe(train=TrainConfig(**train), phases=phases)


def by_name(wanted: Recipe) -> dict[str, Run]:
    return {run.name: run for run in expand(wanted)}


@pytest.fixture(scope="module")
def features(tokenizer: Any) -> Features:
    return features_of(
        SPEC, [PairRow(f"r{n}", f"r{n}", "the cat", "a lamp", SPEC.labels[n % 3]) for n in range(400)], tokenizer
    )


def test_each_size_is_a_segment_of_the_trunk_and_a_branch_in_the_full_runs_place() -> None:
    starts = {name: run.start for name, run in by_name(recipe()).items()}
    assert starts == {
        "mnli-trunk-n100": "encoder",
        "mnli-n100": "mnli-trunk-n100",
        "mnli-trunk-n300": "mnli-trunk-n100",
        "mnli-n300": "mnli-trunk-n300",
        "mnli-trunk-n1000": "mnli-trunk-n300",
        "mnli-n1000": "mnli-trunk-n1000",
        "xnli@mnli-n100": "mnli-n100",
        "xnli@mnli-n300": "mnli-n300",
        "xnli@mnli-n1000": "mnli-n1000",
    }


def test_branches_have_the_names_of_full_runs_other_identities_and_keep_them_whatever_sizes_follow() -> None:
    full, branched = by_name(recipe(branch=None)), by_name(recipe())
    assert branched.keys() - full.keys() == {"mnli-trunk-n100", "mnli-trunk-n300", "mnli-trunk-n1000"}
    assert full.keys() < branched.keys()
    assert len({run.id for run in (*full.values(), *branched.values())}) == len(full) + len(branched)
    few, many = by_name(recipe(sizes=(100, 300))), by_name(recipe(sizes=(100, 300, "full")))
    assert {name: run.id for name, run in few.items()}.items() <= {name: run.id for name, run in many.items()}.items()
    assert (many["mnli-trunk"].start, many["mnli"].start, many["mnli"].size) == ("mnli-trunk-n300", "mnli-trunk", None)


def test_every_start_has_a_trunk_of_its_own() -> None:
    runs = by_name(recipe(sizes=(100, 300), start=["encoder", "random"]))
    assert runs["mnli-trunk-n300@random"].start == "mnli-trunk-n100@random"
    assert runs["mnli-n300@encoder"].start == "mnli-trunk-n300@encoder"
    assert {run.start for run in runs.values() if run.phase == "xnli"} == {
        f"mnli-n{size}@{start}" for size in (100, 300) for start in ("encoder", "random")
    }


def test_a_trunk_scores_nothing_and_selects_nothing() -> None:
    runs = by_name(recipe(train={"select": "best", "patience": 2, "evaluate_every": 5, "restarts": 1}))
    trunk, branch = runs["mnli-trunk-n300"], runs["mnli-n300"]
    assert (trunk.role, trunk.evaluate, trunk.tasks["mnli"].dev) == (TRUNK, {}, None)
    assert (trunk.train.select, trunk.train.patience, trunk.train.restarts) == ("last", 0, 0)
    assert (branch.role, list(branch.evaluate), branch.tasks["mnli"].dev) == ("intermediate", ["tatoeba"], "dev")
    assert (branch.train.select, branch.train.patience, branch.train.restarts) == ("best", 2, 1)


def test_segments_share_no_row_together_are_the_subset_and_cannot_be_larger_than_what_is_left(
    features: Features,
) -> None:
    runs = by_name(recipe(sizes=(30, 100, "full")))

    def rows(name: str) -> set[int]:
        return set(chosen_examples(features, runs[name], SPEC).tolist())

    first, second, third = rows("mnli-trunk-n30"), rows("mnli-trunk-n100"), rows("mnli-trunk")
    assert (len(first), len(second), len(third)) == (30, 70, 300)
    assert first == rows("mnli-n30")
    assert first | second == rows("mnli-n100")
    assert first | second | third == rows("mnli") == set(range(400))
    full = by_name(recipe(branch=None, sizes=(30, 100)))["mnli-n100"]
    assert set(chosen_examples(features, full, SPEC).tolist()) == rows("mnli-n100")
    for sizes in ((30, 400, "full"), (30, 500)):
        last = [run for run in expand(recipe(sizes=sizes)) if run.role == TRUNK][-1]
        with pytest.raises(UserError, match=r"Lower phases\.mnli\.sizes"):
            chosen_examples(features, last, SPEC)


def rates(run: Run, rows: int) -> list[float]:
    plan = derive(run.train, [rows], ranks=1)
    return [learning_rate(run.train, plan, step) for step in range(plan.steps)]


def test_the_trunk_warms_up_once_and_a_branch_takes_over_its_rate_and_ends_near_zero() -> None:
    runs = by_name(recipe())
    first = rates(runs["mnli-trunk-n100"], 100)
    assert first[0] == pytest.approx(RATE / 2)
    assert set(first[1:]) == {RATE}
    assert set(rates(runs["mnli-trunk-n300"], 200) + rates(runs["mnli-trunk-n1000"], 700)) == {RATE}
    for size, segments in ((100, (100,)), (300, (100, 200)), (1000, (100, 200, 700))):
        branch = rates(runs[f"mnli-n{size}"], size)
        trunk = sum(math.ceil(rows * EPOCHS / BATCH) for rows in segments)
        assert abs(len(branch) - math.ceil(SHARE * trunk)) <= 1
        assert branch[0] == RATE
        assert np.diff(branch) == pytest.approx(-RATE / len(branch))
        assert branch[-1] == pytest.approx(RATE / len(branch))


def test_whoever_goes_on_with_a_training_draws_other_batches_than_it_did() -> None:
    runs = by_name(recipe())
    chain = [runs[name].order_seed for name in ("mnli-trunk-n100", "mnli-n100", "mnli-n300", "mnli-n1000")]
    assert len(set(chain)) == 4
    assert chain[0] == runs["xnli@mnli-n100"].order_seed == 0
    assert by_name(recipe(branch=None))["mnli-n300"].order_seed == 0


def after(run: Run, examples: dict[str, int]) -> Provenance:
    """What the run's model says of itself."""
    known = Provenance("", "", "pretrained", "")
    for ancestor in run.lineage():
        spec = get_task(next(iter(ancestor.tasks)))
        known = provenance_of(ancestor, TrainingData([spec], [], [], [examples[ancestor.name]], {}, "", {}), known, "d")
    return known


def test_the_intermediate_size_of_a_branch_is_its_own_and_all_its_rows_stay_known() -> None:
    runs = by_name(recipe(sizes=(100, 300)))
    examples = {"mnli-trunk-n100": 100, "mnli-trunk-n300": 200, "mnli-n300": 300, "xnli@mnli-n300": 50}
    known = after(runs["mnli-n300"], examples)
    branch = conditions_of(runs["mnli-n300"], known, Training())
    target = conditions_of(runs["xnli@mnli-n300"], after(runs["xnli@mnli-n300"], examples), Training())
    for said, own in ((branch, ("mnli", 300)), (target, ("xnli", 50))):
        assert (said.intermediate, said.intermediate_phase, said.intermediate_size) == ("mnli", "mnli", 300)
        assert (said.train_tasks, said.train_size, said.branched) == ((own[0],), own[1], True)
    stuck = replace(known, degenerate="stuck at chance")
    for story, why in ((Training(), "stuck at chance"), (Training(collapsed="run a, why"), "run a, why")):
        assert conditions_of(runs["mnli-n300"], stuck, story).collapsed == why
    assert [entry["role"] for entry in known.trained_on] == [TRUNK, TRUNK, "intermediate"]  # what law 7 looks through
    full = by_name(recipe(branch=None))["mnli-n300"]
    assert not conditions_of(full, after(full, {full.name: 300}), Training()).branched


def test_a_dry_run_shows_the_rows_and_steps_of_trunk_and_branches() -> None:
    wanted = recipe(sizes=(100, 300, "full"))
    lines = {run.name: "\n".join(describe_run(run, wanted, 1)) for run in expand(wanted)}
    assert "mnli (100 rows)\n    10 steps (1 warm-up) of 32 rows" in lines["mnli-trunk-n100"]
    assert "at a constant rate" in lines["mnli-trunk-n100"]
    assert "goes on with its weights, heads and optimiser" in lines["mnli-trunk-n300"]
    assert "mnli (200 rows)\n    19 steps (0 warm-up) of 32 rows" in lines["mnli-trunk-n300"]
    assert "mnli (300 rows)\n    6 steps (0 warm-up) of 32 rows" in lines["mnli-n300"]
    assert "linear decay" in lines["mnli-n300"]
    assert f"mnli ({392_702 - 300:,} rows)" in lines["mnli-trunk"]
    assert "scores" not in "".join(line for name, line in lines.items() if "trunk" in name.split("@")[0])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (recipe(sizes=(100,)), r"phases\.mnli\.branch needs tasks and two sizes or more"),
        (recipe(sizes=(100, 300), tasks={}), r"phases\.mnli\.branch needs tasks and two sizes or more"),
        (recipe(train={"steps": 700}), r"branches follow from epochs, but train\.steps=700.*mnli\.train\.steps=null"),
        (recipe(train={"max_steps": 9}), r"branches follow from epochs, but train\.max_steps=9"),
        (recipe(train={"schedule": "constant"}), r"branches decay, but train\.schedule is constant"),
    ],
)
def test_what_has_no_trunk_or_no_branches_is_refused(wanted: Recipe, message: str) -> None:
    with pytest.raises(UserError, match=message):
        expand(wanted)
