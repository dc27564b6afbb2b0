from __future__ import annotations

from typing import Any

import pytest

from dist_stilts.config import merge_into
from dist_stilts.errors import UserError
from dist_stilts.evaluate.suite import EvalTask
from dist_stilts.experiment.plan import Run, expand, select
from dist_stilts.experiment.run_config import DataConfig, PhaseConfig, Recipe, TrainTask
from dist_stilts.model.encoder import EncoderConfig
from dist_stilts.train.plan import OPERATIONAL, TrainConfig


def phase(*start: str, task: str | None = "xnli", **more: Any) -> PhaseConfig:
    return PhaseConfig(start=list(start), tasks={task: TrainTask()} if task else {}, **more)


def recipe(**changes: Any) -> Recipe:
    """An intermediate task of three sizes, and a target from it and from the plain encoder."""
    phases = {
        "xnli": phase("plain", "mnli", sizes=[50]),
        "mnli": phase("plain", task="mnli", role="intermediate", sizes=[300, 1000]),
        "plain": phase("encoder", task=None, role="baseline"),
    }
    return Recipe(**{"phases": phases, **changes})


def by_name(wanted: Recipe) -> dict[str, Run]:
    return {run.name: run for run in expand(wanted)}


def test_every_start_meets_every_size_names_say_which_and_parents_come_first() -> None:
    runs = expand(recipe())
    assert [run.name for run in runs] == [
        *("plain", "mnli-n300", "mnli-n1000"),
        *("xnli-n50@plain", "xnli-n50@mnli-n300", "xnli-n50@mnli-n1000"),
    ]
    assert len({run.id for run in runs}) == len(runs)
    assert [ancestor.name for ancestor in runs[4].lineage()] == ["plain", "mnli-n300", "xnli-n50@mnli-n300"]
    several = {"a": phase("random", "encoder", sizes=[1, 2])}
    assert sorted(by_name(recipe(phases=several))) == ["a-n1@encoder", "a-n1@random", "a-n2@encoder", "a-n2@random"]


def test_no_encoder_that_was_never_pretrained_is_called_pretrained() -> None:
    phases = {
        "untrained": phase("random", task=None),
        "mlm": phase("random", task="mlm", role="pretrain"),
        "a": phase("untrained"),
        "b": phase("mlm"),
        "c": phase("encoder"),
    }
    origins = {name: run.origin for name, run in by_name(recipe(phases=phases)).items()}
    assert origins == {"untrained": "random", "mlm": "pretrained", "a": "random", "b": "pretrained", "c": "pretrained"}


CIRCLE = {"a": phase("b"), "b": phase("c"), "c": phase("a")}


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ({}, "the recipe has no phases"),
        ({"a": phase("a")}, "phases start from each other: a"),
        ({**CIRCLE, "d": phase("encoder")}, "phases start from each other: a, b, c"),
        ({"mnli": phase("encoder"), "b": phase("mnlli")}, r"phases\.b\.start: unknown phase 'mnlli'.*'mnli'\?"),
        ({"../../x": phase("encoder")}, r"phases: '\.\./\.\./x' is no name.*letters"),
        ({"/x": phase("encoder")}, "phases: '/x' is no name"),
        ({"random": phase("encoder")}, "phases: 'random' is an encoder with fresh weights"),
        ({"study": phase("encoder")}, "phases: 'study' is a file or folder beside the runs"),
        ({"figures": phase("encoder")}, "phases: 'figures' is a file or folder beside the runs"),
        ({"a-n9": phase("encoder"), "a": phase("encoder", sizes=[9])}, "phases 'a-n9' and 'a' both have a run 'a-n9'"),
    ],
)
def test_phases_that_have_no_start_are_refused(phases: dict[str, PhaseConfig], message: str) -> None:
    with pytest.raises(UserError, match=message):
        expand(recipe(phases=phases))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (phase("encoder", task="xnl"), r"unknown task 'xnl'.*'xnli'\?"),
        (phase("encoder", task="tatoeba"), r"phases\.a\.tasks: tatoeba is retrieval and trains nothing"),
        (phase("encoder", train={"epoch": 3}), r"phases\.a\.train: unknown key 'epoch'.*'epochs' \(Passes"),
        (phase("encoder", train={"epochs": "x"}), r"phases\.a\.train: wrong value for 'epochs'"),
        (phase("encoder", evaluate={"bucc": EvalTask(), "tatoba": EvalTask()}), r"unknown task 'tatoba'.*'tatoeba'\?"),
    ],
)
def test_a_phase_that_cannot_run_is_refused_before_anything_starts(config: PhaseConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        expand(recipe(phases={"a": config}))


def test_a_phases_own_training_wins_over_the_recipes() -> None:
    phases = {"a": phase("encoder", train={"epochs": 9}), "b": phase("encoder")}
    runs = by_name(recipe(phases=phases, train=TrainConfig(epochs=3, learning_rate=1e-4)))
    assert [(run.train.epochs, run.train.learning_rate) for run in runs.values()] == [(9.0, 1e-4), (3.0, 1e-4)]


def changed_runs(changes: dict[str, Any], base: dict[str, Any] | None = None) -> set[str]:
    """Names of the runs that are others after a change."""
    before, after = by_name(recipe(**(base or {}))), by_name(recipe(**changes))
    return {name for name in before if before[name].id != after[name].id}


ALL = {"plain", "mnli-n300", "mnli-n1000", "xnli-n50@plain", "xnli-n50@mnli-n300", "xnli-n50@mnli-n1000"}
TRAINED = ALL - {"plain"}


@pytest.mark.parametrize("key", OPERATIONAL)
def test_identity_ignores_what_changes_no_weight(key: str) -> None:
    assert changed_runs({"train": merge_into(TrainConfig(), {key: 7}, "")}) == set()


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ({"name": "other", "out": "elsewhere", "ranks": 4}, set()),
        ({"seed": 1}, ALL),
        ({"encoder": EncoderConfig(path="FacebookAI/xlm-roberta-base")}, ALL),
        ({"data": DataConfig(max_length=128)}, ALL),
        ({"subset_seed": 1}, TRAINED),
        ({"head_seed": 5}, TRAINED),
        ({"head_seed": Recipe().seed}, set()),
        *(({"train": TrainConfig(deepspeed=f"{name}_bf16")}, set()) for name in ("zero1", "zero2_offload", "zero3")),
        *(({"train": TrainConfig(deepspeed=name)}, TRAINED) for name in ("zero2_fp32", "mine.json")),
        ({"train": TrainConfig(learning_rate=2e-5)}, TRAINED),
        ({"train": TrainConfig(batch_size=64)}, TRAINED),
        *(
            ({"train": TrainConfig(**later, evaluate_every=50)}, TRAINED)
            for later in ({"task_sampling": "uniform"}, {"restarts": 1}, {"patience": 3}, {"select": "best"})
        ),
    ],
)
def test_a_run_is_another_where_what_shapes_its_weights_is(changes: dict[str, Any], others: set[str]) -> None:
    assert changed_runs(changes) == others
    few, many = ({"train": TrainConfig(steps=9, epochs=epochs)} for epochs in (1, 2))
    assert changed_runs(few, many) == set(), "epochs that are not used"


def test_what_is_scored_has_no_part_in_the_identity_and_what_a_parent_is_has_in_its_childrens() -> None:
    before, scored, trained = by_name(recipe()), recipe(), recipe()
    scored.phases["xnli"].evaluate = {"xnli": EvalTask()}
    trained.phases["mnli"].train = {"epochs": 5}
    assert [run.id for run in expand(scored)] == [run.id for run in before.values()]
    assert {name for name, run in by_name(trained).items() if run.id != before[name].id} == {
        name for name in ALL if "mnli" in name
    }


@pytest.mark.parametrize(
    ("used", "unused"),
    [
        ({"select": "best", "evaluate_every": 50}, {"evaluate_every": 50}),
        ({"patience": 2, "evaluate_every": 50}, {"evaluate_every": 50}),
        ({"task_sampling": "temperature", "temperature": 5.0}, {"temperature": 5.0}),
        ({"select": "average", "averaged": 3}, {"averaged": 3}),
    ],
    ids=lambda settings: "+".join(settings),
)
def test_a_setting_counts_only_where_another_makes_use_of_it(used: dict[str, Any], unused: dict[str, Any]) -> None:
    without = {key: value for key, value in used.items() if key not in unused}
    assert changed_runs({"train": TrainConfig(**unused)}) == set()
    assert changed_runs({"train": TrainConfig(**used)}) == TRAINED
    if "evaluate_every" in used:  # what selects needs scores along the way; as often as they come
        without = {**used, "evaluate_every": 60}
    assert changed_runs(*({"train": TrainConfig(**settings)} for settings in (used, without))) == TRAINED


def test_later_settings_at_their_defaults_leave_older_runs_their_identities() -> None:
    """The identities are those that the version before these settings gave the same recipe."""
    assert {name: run.id for name, run in by_name(recipe()).items()} == {
        "plain": "74afd1bad79f",
        "mnli-n300": "50044e6a87e2",
        "mnli-n1000": "25915766c66d",
        "xnli-n50@plain": "c1a40b6a1a59",
        "xnli-n50@mnli-n300": "19faace7f41d",
        "xnli-n50@mnli-n1000": "5bd63d07a1c4",
    }


def test_heads_and_shares_are_part_of_what_a_run_is_and_fresh_heads_have_the_runs_seed_or_their_own() -> None:
    before, changed = by_name(recipe()), recipe()
    changed.phases["mnli"].tasks["mnli"].share = 0.5
    changed.phases["xnli"].heads = "reuse"
    after = by_name(changed)
    assert after["xnli-n50@plain"].heads == "reuse"
    assert {name for name in before if before[name].id == after[name].id} == {"plain"}
    assert {run.head_seed for run in expand(recipe(seed=3))} == {3}
    assert {run.head_seed for run in expand(recipe(seed=3, head_seed=0))} == {0}


def test_runs_are_chosen_by_name_by_phase_or_all() -> None:
    runs = expand(recipe())
    assert select(runs, "all") == runs
    assert [run.name for run in select(runs, "mnli")] == ["mnli-n300", "mnli-n1000"]
    assert [run.name for run in select(runs, "mnli-n300")] == ["mnli-n300"]
    with pytest.raises(UserError, match=r"no run or phase 'mnli-n30'.*'mnli-n300'\?"):
        select(runs, "mnli-n30")


@pytest.mark.parametrize(
    ("settings", "dev", "said"),
    [
        ({"select": "best"}, "dev", "phase 'mnli': train.select: best needs scores along the way"),
        ({"patience": 2}, "dev", "phase 'mnli': train.patience needs scores along the way"),
        ({"select": "best", "evaluate_every": 5}, None, "none of its tasks has an English dev split"),
    ],
)
def test_selection_without_scores_along_the_way_is_refused(
    settings: dict[str, Any], dev: str | None, said: str
) -> None:
    changed = recipe(train=TrainConfig(**settings))
    changed.phases["mnli"].tasks["mnli"].dev = dev
    with pytest.raises(UserError, match=said):
        expand(changed)
