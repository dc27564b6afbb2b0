from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from dist_stilts import checksums
from dist_stilts.errors import UserError
from dist_stilts.model.encoder import load_encoder, load_tokenizer, most_tokens, new_encoder, set_dropout
from dist_stilts.model.export import export
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import PROVENANCE, Provenance, read_provenance, weights_digest
from dist_stilts.tasks.registry import get_task
from dist_stilts.writing import whole_folder

TEXTS = ["the hot sailor lifted the lamp", "cat"]
WEIGHTS = "model.safetensors"


def provenance_of(encoder: nn.Module) -> Provenance:
    trained = {"phase": "mnli", "role": "intermediate", "task": "mnli", "split": "train", "languages": ["en"]}
    heads = {head_name(get_task("xnli")): ["mnli"]}
    return Provenance("mnli-n300", "0" * 12, "random", weights_digest(encoder), [trained], heads)


@pytest.fixture
def exported(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    model = MultiTaskModel(tiny_encoder, [get_task("xnli")])
    export(folder, model, tokenizer, provenance_of(tiny_encoder))
    return folder


def change_weights(folder: Path, change: Any) -> None:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def outputs(encoder: Any, tokenizer: Any) -> torch.Tensor:
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        states: torch.Tensor = encoder(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return states


def test_export_loads_in_transformers_with_equal_outputs(exported: Path, tiny_encoder: Any, tokenizer: Any) -> None:
    from transformers import AutoModel, AutoTokenizer

    theirs = AutoModel.from_pretrained(str(exported)).eval()
    their_tokenizer = AutoTokenizer.from_pretrained(str(exported))
    assert their_tokenizer(TEXTS)["input_ids"] == tokenizer(TEXTS)["input_ids"]
    torch.testing.assert_close(outputs(theirs, their_tokenizer), outputs(tiny_encoder, tokenizer), rtol=0, atol=0)


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_every_file_of_an_export_can_be_read_by_whom_the_umask_lets(
    tiny_encoder: Any, tokenizer: Any, tmp_path: Path, mask: int
) -> None:
    specs = [get_task("xnli"), get_task("udpos")]
    before = os.umask(mask)
    try:
        with whole_folder(tmp_path / "model") as folder:
            heads = {head_name(spec): [spec.name] for spec in specs}
            export(
                folder,
                MultiTaskModel(tiny_encoder, specs),
                tokenizer,
                replace(provenance_of(tiny_encoder), heads=heads),
            )
    finally:
        os.umask(before)
    files = [file for file in (tmp_path / "model").rglob("*") if file.is_file()]
    assert len([file for file in files if file.suffix == ".safetensors"]) >= 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o666 & ~mask}


def test_an_export_says_its_pooling_and_provenance_and_is_loaded_as_it_was(
    exported: Path, tiny_encoder: Any, tokenizer: Any
) -> None:
    modules = json.loads((exported / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules] == ["Transformer", "Pooling", "Normalize"]
    pooling = json.loads((exported / modules[1]["path"] / "config.json").read_text())
    assert (pooling["word_embedding_dimension"], pooling["pooling_mode_mean_tokens"]) == (16, True)
    encoder, report = load_encoder(str(exported), expected_digest=weights_digest(tiny_encoder))
    torch.testing.assert_close(outputs(encoder.eval(), tokenizer), outputs(tiny_encoder, tokenizer), rtol=0, atol=0)
    assert set(report.loaded) >= {name for name, _ in tiny_encoder.named_parameters()}
    assert report.fresh == []
    assert {name.partition(".")[0] for name in report.dropped} == {"classifier"}
    files = {"model.safetensors": checksums.of_file(exported / "model.safetensors")}
    assert read_provenance(exported) == replace(provenance_of(tiny_encoder), files=files)
    (exported / PROVENANCE).unlink()
    assert read_provenance(exported) is None


def test_export_cuts_no_text_and_needs_no_heads(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> None:
    tokenizer("the cat", "a lamp", truncation="longest_first", max_length=5)  # as preparing data does
    export(tmp_path, MultiTaskModel(tiny_encoder, []), tokenizer, provenance_of(tiny_encoder))
    assert json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["truncation"] is None
    assert weights_digest(load_encoder(str(tmp_path))[0]) == weights_digest(tiny_encoder)


def test_tensors_that_nobody_reads_are_reported(exported: Path) -> None:
    change_weights(exported, lambda tensors: tensors.update({"decoder.weight": torch.ones(3)}))
    _, report = load_encoder(str(exported))
    assert "decoder.weight" in report.dropped
    assert re.search(r"0 fresh, 5 dropped \(classifier\.dense\.bias", report.line())


@pytest.mark.parametrize(
    ("new", "said"),
    [(None, r"1 encoder tensors are not in the file \(first: {}\)"), (torch.ones(3, 3), "{}")],
    ids=["missing", "of another shape"],
)
def test_an_encoder_that_lacks_a_tensor_of_its_shape_is_refused(
    exported: Path, new: torch.Tensor | None, said: str
) -> None:
    name = "encoder.layer.1.output.dense.weight"
    stored = f"roberta.{name}"
    change_weights(exported, lambda tensors: tensors.pop(stored) if new is None else tensors.update({stored: new}))
    with pytest.raises(UserError, match=said.format(re.escape(name))):
        load_encoder(str(exported))


def test_a_folder_without_a_whole_model_is_refused(exported: Path, tiny_encoder: Any, tmp_path: Path) -> None:
    (exported / WEIGHTS).write_bytes((exported / WEIGHTS).read_bytes()[:1000])
    for folder, said in (
        (exported, rf"{WEIGHTS}: damaged .* Copy or download it again"),
        (tmp_path, "this is no model: it has no config.json. A model is in .*model: give that folder"),
        (tmp_path / "none", "no such model folder"),
    ):
        with pytest.raises(UserError, match=said):
            load_encoder(str(folder))
    tiny_encoder.save_pretrained(str(tmp_path))
    with pytest.raises(UserError, match=r"the model folder has no tokenizer.*encoder\.tokenizer"):
        load_tokenizer(str(tmp_path))


def test_weights_that_are_not_the_parents_are_refused(exported: Path, tiny_encoder: Any) -> None:
    expected = weights_digest(tiny_encoder)
    change_weights(exported, lambda tensors: tensors["roberta.encoder.layer.0.output.dense.bias"][0].add_(1e-3))
    with pytest.raises(UserError, match=f"not the parent's weights .*expected {expected[:12]}"):
        load_encoder(str(exported), expected_digest=expected)


def test_a_new_encoder_is_a_function_of_its_seed_has_the_tokenizers_vocabulary_and_a_templates_architecture(
    tiny_config: dict[str, Any], tokenizer: Any, tiny_encoder: Any, exported: Path
) -> None:
    digests = []
    for seed, noise in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(noise)
        digests.append(weights_digest(new_encoder(tiny_config, None, None, tokenizer, seed)))
    assert digests[0] == digests[1] != digests[2]
    assert tiny_encoder.config.vocab_size == len(tokenizer)
    assert tiny_encoder.config.pad_token_id == tokenizer.pad_token_id
    assert not any("pooler" in name for name in tiny_encoder.state_dict())
    made = new_encoder(None, str(exported), None, tokenizer, seed=3)
    loaded, _ = load_encoder(str(exported))
    assert {n: t.shape for n, t in made.state_dict().items()} == {n: t.shape for n, t in loaded.state_dict().items()}
    assert weights_digest(made) != weights_digest(loaded)


def test_an_encoder_that_nothing_describes_is_refused(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"encoder\.path, or encoder\.config"):
        new_encoder(None, None, None, tokenizer, 0)
    with pytest.raises(UserError, match=r"encoder\.config: .*no-such-model"):
        new_encoder({"model_type": "no-such-model"}, None, None, tokenizer, 0)


WRONG_SIZES = [
    ({"hidden_size": 100, "num_attention_heads": 12}, "not a multiple of the number of attention heads"),
    ({"hidden_size": "wide"}, "'hidden_size' expected int, got str"),
    ({"num_attention_heads": 0}, "ZeroDivisionError"),
    ({"hidden_act": "sharp"}, "'sharp'"),
]


@pytest.mark.parametrize(("sizes", "why"), WRONG_SIZES)
def test_sizes_of_which_no_encoder_can_be_made_are_one_line(
    tiny_config: dict[str, Any], tokenizer: Any, exported: Path, sizes: dict[str, Any], why: str
) -> None:
    ranged = [name for name, value in sizes.items() if value in ("wide", 0)]  # of these the recipe says what is allowed
    said = rf"'encoder\.config\.{ranged[0]}': .* Allowed: 1 or more" if ranged else rf"^encoder\.config: .*{why}"
    with pytest.raises(UserError, match=said):
        new_encoder(tiny_config | sizes, None, None, tokenizer, 0)
    config = json.loads((exported / "config.json").read_text())
    (exported / "config.json").write_text(json.dumps(config | sizes))
    for read in (load_encoder, lambda path: new_encoder(None, path, None, tokenizer, 0)):
        with pytest.raises(UserError, match=rf"^{exported}: .*{why}"):
            read(str(exported))


def test_dropout_is_set_everywhere(tiny_encoder: Any, tokenizer: Any) -> None:
    set_dropout(tiny_encoder, 0.0)
    tiny_encoder.train()
    assert torch.equal(outputs(tiny_encoder, tokenizer), outputs(tiny_encoder, tokenizer))
    set_dropout(tiny_encoder, 0.5)
    assert not torch.equal(outputs(tiny_encoder, tokenizer), outputs(tiny_encoder, tokenizer))


def test_digest_does_not_depend_on_storage_but_on_every_value(tiny_encoder: Any) -> None:
    before = weights_digest(tiny_encoder)
    assert weights_digest(tiny_encoder.double()) == before
    with torch.no_grad():
        tiny_encoder.float().embeddings.LayerNorm.bias[3] += 1e-6
    assert weights_digest(tiny_encoder) != before


@pytest.mark.parametrize(
    ("table", "expected"),
    [(nn.Embedding(66, 4, padding_idx=1), 64), (nn.Embedding(66, 4), 66), (nn.Linear(1, 1), None)],
)
def test_an_encoder_is_asked_how_many_tokens_it_has_positions_for(table: nn.Module, expected: int | None) -> None:
    encoder = nn.ModuleDict({"embeddings": nn.ModuleDict({"position_embeddings": table})})
    assert most_tokens(encoder) == (expected or sys.maxsize)
