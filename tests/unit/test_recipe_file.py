"""Recipes as people, editors and accidents write them: read as meant, or refused on one line with its number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dist_stilts.config import load
from dist_stilts.errors import UserError
from dist_stilts.experiment.run_config import Recipe


def recipe(tmp_path: Path, content: bytes | str, *overrides: str, name: str = "mine") -> Recipe:
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(Recipe, path, overrides, name=path.stem)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: x\nout: caf\xe9\n", ":2: is not UTF-8"),
        ("name: x".encode("utf-16"), ":1: is not UTF-8"),
        ("name: x\nout: \x00\n", ":2: not valid YAML: special characters"),
        ("name: x\nphases: " + "[" * 100_000, ":2: nested too deeply"),
        ("- " * 5000, ":1: nested too deeply"),
        ("name: x\nphases: " + "{a: " * 60 + "1" + "}" * 60, ":2: nested more than 40 deep"),
        ("name: x\nphases: &a\n  x: *a\n", ":2: nested more than 40 deep"),
        (f"a: &a [{'1, ' * 99}]\nb: &b [{'*a, ' * 99}]\nc: [{'*b, ' * 99}]\n", ":1: more than 100,000 values"),
        ("\nseed: " + "9" * 400, ":2: wrong value for 'seed': 9999"),
        ("\nseed: " + "9" * 5000, ":2: not a value: '9999"),
        ("train: {learning_rate: 1e999}", ":1: wrong value for 'train.learning_rate': inf"),
        (f"train: {{learning_rate: 1{'0' * 400}}}", ":1: wrong value for 'train.learning_rate': inf"),
        ("name: x\n~: 3\n", ":2: a key is no text"),
        ("name: x\n[a]: 4\n", ":2: a key is no text"),
        ("name: x\n3: 4\n", ":2: unknown key '3'"),
        ("train:\n  steps: 3\n  steps: 4\n", ":3: not valid YAML: duplicate key 'steps'"),
        ("train:\n\tsteps: 3\n", ":2: not valid YAML: found character .* that cannot start"),
        ("name: x\nout: *nope\n", ":2: not valid YAML: found undefined alias 'nope'"),
        ("name: x\nout: ${nope}\n", ":2: wrong value for 'out': Interpolation key 'nope' not found"),
        ("name: x\nout: ${oc.env:NO_SUCH_VARIABLE}\n", ":2: wrong value for 'out': .*'NO_SUCH_VARIABLE' not found"),
        ("name: x\nout: '${'\n", ":2: wrong value for 'out'"),
        ("name: x\nout: ???\n", ":2: 'out' has no value"),
        ("name: x\nseed:\n", ":2: 'seed' has no value"),
        ("name: x\n---\nname: y\n", ":2: not valid YAML: expected a single document"),
        ("seed: !!timestamp x\n", ":1: not a value: 'x'"),
        ("name: !!python/object/apply:os.system [ls]\n", ":1: wrong value for 'name': a list"),
        ("just text", ":1: a recipe: a single value, not keys and values"),
        ("phases:\n  a:\n    train:\n      eps: -1\n", ":4: wrong value for 'phases.a.train.eps': -1.0"),
        ("phases:\n  a:\n    train:\n      epss: 1\n", ":4: unknown key 'phases.a.train.epss'. did you mean 'eps'"),
        ("train:\n  betas:\n  - 0.9\n  - x\n", ":4: wrong value for .*betas.*'x'"),
        ("data:\n  qa: {stride: 500}\n", ":2: data.qa.stride: a stride of 500 tokens leaves gaps"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, content: bytes | str, said: str) -> None:
    with pytest.raises(UserError, match=rf"mine\.yaml{said}"):
        recipe(tmp_path, content)


def test_a_folder_and_a_file_that_nobody_may_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(UserError, match=r"mine\.yaml: cannot be read: Is a directory"):
        load(Recipe, tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("content", "key", "value"),
    [
        ("\ufeffname: x", "name", "x"),
        ("name: 010", "name", "010"),
        ("seed: 010", "seed", 10),
        ("seed: 0x10", "seed", 16),
        ("name: 2001-01-01", "name", "2001-01-01"),
        ("name: no", "name", "no"),
        ("train: {learning_rate: 1e-5}", "train.learning_rate", 1e-5),
        ("train: {learning_rate: 1}", "train.learning_rate", 1.0),
        ("study: {languages: [no, de, on]}", "study.languages", ["no", "de", "on"]),
        ("encoder: {revision: 1234567}", "encoder.revision", "1234567"),
        ("encoder: {path: ~}", "encoder.path", None),
        ("encoder: {config: {tie_word_embeddings: no, hidden_size: 1_024}}", "encoder.config.hidden_size", 1024),
        ("seed: 7\nsubset_seed: ${seed}", "subset_seed", 7),
        ("out: ${oc.env:HOME}/x", "out", "HOME/x"),
        ("out: ~/x", "out", "HOME/x"),
        ("phases:\n  a: &a {heads: reuse}\n  b: {<<: *a, role: baseline}", "phases.b.heads", "reuse"),
        ("", "name", "mine"),
    ],
)
def test_a_value_is_of_its_keys_type_however_it_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, key: str, value: Any
) -> None:
    monkeypatch.setenv("HOME", "HOME")
    assert found(recipe(tmp_path, content), key) == value


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.root=/my data #1/a: b", "/my data #1/a: b"),
        ("data.root=*x", "*x"),
        ("data.root={a}", "{a}"),
        ("data.root=[a", "[a"),
        ("data.root=a=b", "a=b"),
        ("data.root='a'", "'a'"),
        ("data.root=010", "010"),
        ("data.root=null", None),
        ("data.root=~/x", "HOME/x"),
        ("encoder.path=~/x", "HOME/x"),
        ("encoder.tokenizer=~/x", "HOME/x"),
        ("study.distances=~/x", "HOME/x"),
        ("train.deepspeed=~/x.json", "HOME/x.json"),
        ("phases.a.train.deepspeed=010", "010"),
        ("phases.a.train.epochs=1e-5", 1e-5),
        ("phases.v1.0.train.epochs=7", 7.0),
        ("train.max_micro_tokens=auto", "auto"),
        ("train.max_micro_tokens=0100", 100),
        ("train.steps=null", None),
        ("train.cap=1_000", 1000),
        ("train.checkpoint_activations=yes", True),
        ("encoder.config.hidden_size=64", 64),
        ("encoder.config.hidden_act=gelu", "gelu"),
        ("phases.a.tasks={xnli: {share: 0.5, languages: [no]}}", None),
        ("name=null", "null"),
        ("data.own_tasks.t={family: mlm, files: {train: ~/x.txt}}", None),
    ],
)
def test_an_override_is_what_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, value: Any
) -> None:
    monkeypatch.setenv("HOME", "HOME")
    loaded = recipe(tmp_path, "phases: {a: {train: {epochs: 3}}, v1.0: {}}", override)
    if override.startswith("phases.a.tasks"):
        task = loaded.phases["a"].tasks["xnli"]
        assert (task.share, task.languages) == (0.5, ["no"])
    elif override.startswith("data.own_tasks"):
        assert loaded.data.own_tasks["t"].files == {"train": "HOME/x.txt"}
    elif override.startswith("phases.v1.0"):
        assert loaded.phases["v1.0"].train == {"epochs": value}
    else:
        assert found(loaded, override.partition("=")[0]) == value


@pytest.mark.parametrize("stem", ["null", "010", "yes", "1e5", "~"])
def test_a_files_name_is_the_recipes_literally(tmp_path: Path, stem: str) -> None:
    assert recipe(tmp_path, "seed: 1", name=stem).name == stem


def found(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config
