from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from dist_stilts.errors import UserError
from dist_stilts.layout import RunFolder
from dist_stilts.model.averaging import average
from dist_stilts.model.encoder import new_encoder
from dist_stilts.model.export import export
from dist_stilts.model.fine_tuned import load_model
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import PROVENANCE, Provenance, weights_digest
from dist_stilts.tasks.registry import get_task
from dist_stilts.writing import is_complete, whole_folder

XNLI, UDPOS = get_task("xnli"), get_task("udpos")
Make = Callable[..., Path]


@pytest.fixture
def make(tiny_config: dict[str, Any], tokenizer: Any, tmp_path: Path) -> Make:
    """Write the run of a seed: an encoder and heads of that seed's, said to have begun as those of all other seeds."""

    def make_(seed: int, tasks: tuple[str, ...] = ("xnli",), width: int = 16, **known: Any) -> Path:
        encoder = new_encoder({**tiny_config, "hidden_size": width}, None, None, tokenizer, seed)
        model = MultiTaskModel(encoder, [get_task(task) for task in tasks])
        seen = [{"phase": "xnli", "task": task, "split": f"dev[:{10 + seed}%]"} for task in tasks]
        heads = {head_name(get_task(task)): [task] for task in tasks}
        digest = weights_digest(encoder)
        provenance = Provenance(f"seed{seed}", f"id{seed}", "pretrained", digest, seen, heads, "start", "heads")
        folder = RunFolder(tmp_path / f"run{seed}-{len(list(tmp_path.iterdir()))}")
        with whole_folder(folder.model) as temporary:
            export(temporary, model, tokenizer, replace(provenance, **known))
        return folder.path

    return make_


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_the_average_is_the_mean_of_every_tensor_encoder_and_heads_and_can_be_averaged_again(
    make: Make, tmp_path: Path
) -> None:
    runs = [make(seed) for seed in range(3)]
    average(runs, tmp_path / "out")
    parts, made = [weights(run / "model") for run in runs], weights(tmp_path / "out")
    assert made.keys() == parts[0].keys()
    for name, tensor in made.items():
        expected = torch.stack([part[name].double() for part in parts]).mean(0).float()
        torch.testing.assert_close(tensor, expected, rtol=1e-7, atol=0)
    average([tmp_path / "out", make(3)], tmp_path / "again")
    assert is_complete(tmp_path / "again")


def test_the_average_of_equal_models_is_the_model_to_the_bit(make: Make, tmp_path: Path) -> None:
    run = make(1)
    copies = [shutil.copytree(run, tmp_path / f"copy{number}") for number in range(3)]
    made, _ = average(copies, tmp_path / "out")
    assert made.digest == made.averaged_from[0]["digest"]
    assert all(torch.equal(tensor, weights(run / "model")[name]) for name, tensor in weights(tmp_path / "out").items())


def test_the_average_is_a_model_that_says_what_it_was_made_from_and_trained_on(make: Make, tmp_path: Path) -> None:
    runs = [make(seed, ("xnli", "udpos")) for seed in range(2)]
    made, doubts = average([runs[0], runs[1] / "model"], tmp_path / "out")
    model, _, provenance = load_model(str(tmp_path / "out"), [XNLI, UDPOS])
    assert is_complete(tmp_path / "out")
    assert provenance == replace(made, files=provenance.files)
    assert "model.safetensors" in provenance.files
    assert made.digest == weights_digest(model.encoder)
    assert doubts == []
    tokenizers = {(folder / "tokenizer.json").read_bytes() for folder in (tmp_path / "out", runs[0] / "model")}
    assert len(tokenizers) == 1
    parts = [json.loads((run / "model" / PROVENANCE).read_text()) for run in runs]
    assert made.averaged_from == [{key: part[key] for key in ("run", "run_id", "digest")} for part in parts]
    assert [entry["split"] for entry in made.trained_on] == ["dev[:10%]"] * 2 + ["dev[:11%]"] * 2
    assert made.heads == {head_name(XNLI): ["xnli"], head_name(UDPOS): ["udpos"]}
    assert (made.start, made.start_heads, made.origin) == ("start", "heads", "pretrained")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"width": 32}, "architecture"),
        ({"tasks": ("xnli", "udpos")}, "heads"),
        ({"tasks": ("pawsx",)}, "heads"),
        ({"start": "elsewhere"}, "start"),
        ({"origin": "random"}, "start"),
    ],
    ids=str,
)
def test_models_that_are_not_alike_have_no_average(other: Any, what: str, make: Make, tmp_path: Path) -> None:
    runs = [make(0), make(1, **other)]
    with pytest.raises(UserError, match=rf"{runs[1]}.*not the same {what} as {runs[0]}"):
        average(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_list_of_whole_models_with_one_tokenizer_is_refused(make: Make, tmp_path: Path) -> None:
    run = make(0)
    for models, message in (
        ([run], "one model has no average"),
        ([run, run / "model"], "given twice"),
        ([run, tmp_path / "none"], "no model of ours"),
        ([run, make(1, start="")], "does not say what it started from"),
    ):
        with pytest.raises(UserError, match=message):
            average(models, tmp_path / "out")
    with pytest.raises(UserError, match="exists already"):
        average([run, make(1)], run)
    second, other = make(1), make(2)
    shutil.copy(other / "model" / "model.safetensors", second / "model" / "model.safetensors")
    tokenizer = other / "model" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace("▁", "_", 1), encoding="utf-8")
    for changed, message in ((second, "damaged, or changed since it was exported"), (other, "not the same tokenizer")):
        with pytest.raises(UserError, match=message):
            average([run, changed], tmp_path / "out")
    (second / "model" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json: the model lacks a file"):
        average([run, second], tmp_path / "out")


def test_heads_that_began_apart_and_degenerate_models_are_warned_of(make: Make, tmp_path: Path) -> None:
    first = make(0)
    made, doubts = average([first, make(1, start_heads="others")], tmp_path / "a")
    assert len(doubts) == 1
    assert "heads did not begin alike" in doubts[0]
    assert made.start_heads == ""
    encoders = [make(seed, tasks=(), start_heads=str(seed)) for seed in (0, 1)]
    assert average(encoders, tmp_path / "b")[1] == []
    one_class = make(1, degenerate="one class")
    assert average([first, one_class], tmp_path / "c")[1] == [f"{one_class / 'model'}: degenerate: one class"]


def test_provenance_of_earlier_versions_is_read(make: Make) -> None:
    file = make(0) / "model" / PROVENANCE
    known = {"run", "run_id", "origin", "digest", "trained_on", "heads"}
    old = {key: value for key, value in json.loads(file.read_text()).items() if key in known}
    assert asdict(Provenance(**old))["averaged_from"] == []
