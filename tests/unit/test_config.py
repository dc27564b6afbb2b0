from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dist_stilts.config import (
    differences,
    dump,
    find_recipe,
    load,
    merge_into,
    number_of_bytes,
    shipped_recipes,
)
from dist_stilts.errors import UserError


@dataclass
class Train:
    learning_rate: float = 1e-3
    """Peak; see `schedule`."""
    epochs: float = 2.0
    steps: int | None = None
    schedule: str = "linear"


@dataclass
class Phase:
    sizes: list[int] = field(default_factory=list)
    train: dict[str, Any] = field(default_factory=dict)


@dataclass
class Small:
    name: str = "small"
    train: Train = field(default_factory=Train)
    phases: dict[str, Phase] = field(default_factory=dict)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "# a comment\nname: mine\ntrain:\n  epochs: 3\nphases:\n  xnli:\n    sizes: [1, 2]\n    train: {epochs: 5}\n"
    )
    return path


def test_file_wins_over_defaults_and_overrides_over_file(recipe: Path) -> None:
    config = load(Small, recipe, ["train.epochs=4", "train.steps=7", "train.steps=8"], name="of the caller")
    assert (config.name, config.train.epochs, config.train.steps) == ("mine", 4.0, 8)
    assert config.train.learning_rate == Train().learning_rate
    assert config.phases["xnli"].sizes == [1, 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "name: mine\n\ntrain:\n  epochs: 1\n  learning_rat: 1.0\n",
            r":5: unknown key 'train\.learning_rat'.*'train\.learning_rate' \(Peak\)\?",
        ),
        (
            "phases:\n  xnli:\n    train: {}\n    size: [3]\n",
            r":4: unknown key 'phases\.xnli\.size'.*'phases\.xnli\.sizes'\?",
        ),
        ("name: mine\ntrain:\n  schedule: cosine\n  epochs: many\n", r":4: wrong value for 'train\.epochs'.*many"),
        ("name: mine\ntrain:\n  epochs: [1\n  steps: 3\n", r":[34]: not valid YAML"),
        ("name: mine\nname: yours\n", r":2: .*duplicate key"),
        ("- name\n- train\n", ":1: a recipe: a list, not keys and values"),
        ("name: mine\nphases: []\n", r":2: wrong value for 'phases': a list, not keys and values"),
        ("phases:\n  xnli:\n    train: [1]\n", r":3: wrong value for 'phases\.xnli\.train'"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(recipe: Path, text: str, said: str) -> None:
    recipe.write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml" + said):
        load(Small, recipe)


@pytest.mark.parametrize("text", ["1e-5", "1.0e-05", "0.00001"])
def test_every_way_of_writing_a_rate_is_a_float(recipe: Path, text: str) -> None:
    recipe.write_text(f"train: {{learning_rate: {text}}}\nphases: {{a: {{train: {{learning_rate: {text}}}}}}}\n")
    config = load(Small, recipe)
    assert config.train.learning_rate == 1e-5
    assert config.phases["a"].train == {"learning_rate": 1e-5}
    overridden = load(Small, recipe, [f"train.learning_rate={text}", f"phases.a.train.learning_rate={text}"])
    assert overridden == config


def test_override_reaches_the_training_of_a_phase(recipe: Path) -> None:
    config = load(Small, recipe, ["phases.xnli.train.epochs=0.5", "phases.xnli.sizes=[9]"])
    assert config.phases["xnli"] == Phase([9], {"epochs": 0.5})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epoch=1", r"override train\.epoch=1: unknown key 'train\.epoch'.*'train\.epochs'\?"),
        ("train.steps=few", r"override train\.steps=few: wrong value for 'train\.steps'"),
        *((text, r"is not an override.*key=value") for text in ("train.steps", "=3", "")),
    ],
)
def test_a_wrong_override_is_named(recipe: Path, override: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(Small, recipe, [override])


def test_what_is_dumped_loads_to_the_same(recipe: Path) -> None:
    config = load(Small, recipe, ["train.learning_rate=1e-5", "name='ё: # 1'"])
    recipe.write_text(dump(config), encoding="utf-8")
    assert load(Small, recipe) == config


def test_changes_are_checked_and_leave_the_base_alone() -> None:
    base = Train()
    changed = merge_into(base, {"epochs": 9, "learning_rate": 1e-5}, "phases.x.train")
    assert (changed.epochs, changed.learning_rate, base) == (9.0, 1e-5, Train())
    with pytest.raises(UserError, match=r"phases\.x\.train: unknown key 'epoch'.*'epochs'\?"):
        merge_into(base, {"epoch": 9}, "phases.x.train")
    with pytest.raises(UserError, match=r"phases\.x\.train: wrong value for 'epochs'"):
        merge_into(base, {"epochs": "x"}, "phases.x.train")


def test_unknown_recipe_names_the_nearest_and_how_to_bring_ones_own() -> None:
    with pytest.raises(UserError, match=r"unknown recipe 'quickstar'. did you mean 'quickstart'\?.*\.yaml"):
        find_recipe("quickstar")


def test_every_shipped_recipe_is_found_by_name() -> None:
    assert "xstilts_large" in shipped_recipes()
    assert all(find_recipe(name).is_file() for name in shipped_recipes())


def test_missing_recipe_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml: no such recipe file"):
        find_recipe(str(tmp_path / "none.yaml"))


def test_differences_name_the_key_with_old_and_new() -> None:
    old = {"seed": 0, "train": {"epochs": 2, "steps": None}, "gone": 1}
    new = {"seed": 0, "train": {"epochs": 3, "steps": None}, "more": [1]}
    assert sorted(differences(old, new)) == ["gone: 1 -> None", "more: None -> [1]", "train.epochs: 2 -> 3"]
    assert differences(old, old) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("256M", 256 << 20), ("1.5GiB", 3 << 29), ("2 gb", 2 << 30), ("1000", 1000), ("3k", 3072), ("1T", 1 << 40)],
)
def test_memory_is_written_as_people_write_it(text: str, expected: int) -> None:
    assert number_of_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-1M", "1X", "M", "0"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no amount of memory"):
        number_of_bytes(text)


@dataclass
class Trainer:
    """How a phase trains. All of it."""

    batch_size: int = 8
    learning_rate: float = 1e-3
    """Peak learning rate."""
    max_micro_tokens: int | str = "auto"
    """Most tokens
    at once; the rest follows."""
    epochs: float = 2.0
    save_every: int = 500
    keep: int = 1
    """Of checkpoints."""
    eps: float = 1e-8


@dataclass
class Where:
    host: str = "here"
    port: int | None = None
    """A free one; null: any."""


@dataclass
class Parts:
    out: str = "runs"
    train: Trainer = field(default_factory=Trainer)
    dev: Trainer | None = None
    where: Where = field(default_factory=Where)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("train.lr", "did you mean 'train.learning_rate' (Peak learning rate)?"),
        ("train.bs", "did you mean 'train.batch_size'?"),
        ("train.epoch", "did you mean 'train.epochs'?"),
        ("train.Learning_Rate", "did you mean 'train.learning_rate' (Peak learning rate)?"),
        ("train.num_train_epochs", "did you mean 'train.epochs'?"),
        ("train.gradient_accumulation_steps", "did you mean 'train.max_micro_tokens' (Most tokens at once)?"),
        ("output_dir", "did you mean 'out'?"),
        ("lr", "did you mean 'train.learning_rate' (Peak learning rate)?"),
        ("epochs", "did you mean 'train.epochs'?"),
        ("trai.epochs", "did you mean 'train' (How a phase trains)?"),
        (
            "train.xyz",
            "known: batch_size, epochs, eps, keep, learning_rate, max_micro_tokens, save_every; "
            "`dist-stilts recipes keys train` says what each means",
        ),
        ("where.xyz", "known: 'where.host', 'where.port' (A free one)"),
    ],
)
def test_a_key_that_others_call_differently_or_that_stands_elsewhere_is_found_and_explained(
    tmp_path: Path, key: str, hint: str
) -> None:
    (tmp_path / "mine.yaml").write_text("out: here\n")
    with pytest.raises(UserError) as error:
        load(Parts, tmp_path / "mine.yaml", [f"{key}=1"])
    unknown = key.partition(".")[0] if key.startswith("trai.") else key
    assert str(error.value) == f"override {key}=1: unknown key '{unknown}'. {hint}"
