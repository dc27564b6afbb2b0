from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, XLMRobertaConfig, XLMRobertaForMaskedLM

from dist_stilts.data.batches import plain
from dist_stilts.errors import UserError
from dist_stilts.model.carry_over import HeadReport, carry_over, without_language_model
from dist_stilts.model.encoder import HEADS, Provenance, encoder_digest, export, load_encoder, save_heads
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel, load_model
from dist_stilts.tasks.registry import get_task

MNLI, XNLI, UDPOS, MLM = (get_task(name) for name in ("mnli", "xnli", "udpos", "mlm"))
SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SIZES |= {"max_position_embeddings": 40, "hidden_act": "gelu"}
KINDS = {"xlm-r": (XLMRobertaForMaskedLM, XLMRobertaConfig), "bert": (BertForMaskedLM, BertConfig)}


def pretrained(kind: str, folder: Path, form: str = "safetensors", **config: Any) -> Any:
    """A language model none of whose tensors is zero or one, so that none can be missed; written to ``folder``."""
    model_class, config_class = KINDS[kind]
    torch.manual_seed(5)
    model: Any = model_class(config_class(**{**SIZES, **config})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder, **({"max_shard_size": "4KB"} if form == "shards" else {}))
    if form == "bin":
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model


def started(folder: Path, *tasks: Any, reuse: bool = False) -> tuple[MultiTaskModel, HeadReport]:
    torch.manual_seed(0)
    model = MultiTaskModel(load_encoder(str(folder))[0], list(tasks)).eval()
    return model, carry_over(model.heads, model.encoder.config, str(folder), reuse=reuse)


@pytest.mark.parametrize("form", ["safetensors", "shards", "bin"])
@pytest.mark.parametrize("kind", KINDS)
def test_our_language_model_predicts_what_the_hugging_face_model_predicts(kind: str, form: str, tmp_path: Path) -> None:
    pretrained(kind, tmp_path, form)
    model, report = started(tmp_path, MLM, XNLI)
    assert report == HeadReport(["mlm"], [head_name(XNLI)], [])
    ids = torch.randint(5, 60, (3, 9), generator=torch.Generator().manual_seed(0))
    batch = {**plain(ids.flatten().numpy(), np.full(3, 9)), "targets": torch.arange(27)}
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        torch.testing.assert_close(model.logits("mlm", batch), expected.flatten(0, 1))


def test_layer_norms_of_old_checkpoints_are_known_by_their_old_names(tmp_path: Path) -> None:
    theirs = pretrained("bert", tmp_path, "bin")
    weights = torch.load(tmp_path / "pytorch_model.bin")
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): tensor for name, tensor in weights.items()}
    torch.save(old, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    model, _ = started(tmp_path, MLM)
    head: Any = model.heads["mlm"]
    assert torch.equal(head.layer_norm.weight, theirs.cls.predictions.transform.LayerNorm.weight)


def test_a_language_model_that_computes_something_else_is_not_taken_for_ours(tmp_path: Path) -> None:
    for kind, change in (("xlm-r", {"tie_word_embeddings": False}), ("bert", {"hidden_act": "relu"})):
        pretrained(kind, tmp_path / kind, **change)
        assert started(tmp_path / kind, MLM)[1] == HeadReport([], ["mlm"], [])


@pytest.mark.parametrize("name", ["lm_head.layer_norm.bias", "lm_head.dense.weight", "lm_head.bias"])
def test_a_language_model_that_lacks_a_tensor_is_refused(name: str, tmp_path: Path) -> None:
    pretrained("xlm-r", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    part = name.removeprefix("lm_head.")
    with pytest.raises(UserError, match=rf"the head 'mlm' does not fit: {part} has shape None"):
        started(tmp_path, MLM)
    assert started(tmp_path, XNLI)[1].dropped == ["mlm"]


def test_the_encoders_report_leaves_out_what_the_head_took(tmp_path: Path) -> None:
    pretrained("xlm-r", tmp_path)
    _, report = load_encoder(str(tmp_path))
    assert all(name.startswith("lm_head.") for name in report.dropped)
    _, taken = started(tmp_path, MLM)
    assert without_language_model(report, taken) == replace(report, dropped=[])
    _, left = started(tmp_path, XNLI)
    assert (left, without_language_model(report, left)) == (HeadReport([], [head_name(XNLI)], ["mlm"]), report)


@pytest.fixture
def start(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> Path:
    """An export of ours with heads of MNLI, UDPOS and masked language modelling."""
    torch.manual_seed(7)
    tiny_encoder.save_pretrained(tmp_path)
    save_heads(tmp_path, MultiTaskModel(tiny_encoder, [MNLI, UDPOS, MLM]).heads.state_dict())
    return tmp_path


def equal(head: nn.Module, folder: Path, name: str) -> bool:
    there = load_file(folder / HEADS)
    return all(torch.equal(tensor, there[f"{name}.{part}"]) for part, tensor in head.state_dict().items())


def test_task_heads_are_fresh_and_the_language_model_goes_on(start: Path) -> None:
    model, report = started(start, XNLI, MLM)
    name = head_name(XNLI)
    assert report == HeadReport(["mlm"], [name], [head_name(MNLI), head_name(UDPOS)])
    assert equal(model.heads["mlm"], start, "mlm")
    assert not equal(model.heads[name], start, name)
    assert report.line() == f"heads: 1 (mlm) loaded, 1 ({name}) fresh, 2 ({name}, {head_name(UDPOS)}) dropped"


def test_heads_that_fit_are_reused_on_demand_and_fresh_ones_are_the_same_whether_others_are_loaded_or_not(
    start: Path, tiny_encoder: Any
) -> None:
    other_labels = replace(UDPOS, labels=("A", "B"))
    model, report = started(start, XNLI, other_labels, reuse=True)
    assert report == HeadReport([head_name(XNLI)], [head_name(other_labels)], ["mlm", head_name(UDPOS)])
    assert equal(model.heads[head_name(XNLI)], start, head_name(XNLI))
    one, two = (started(start, XNLI, get_task("commonsenseqa"), reuse=reuse)[0] for reuse in (False, True))
    name = head_name(get_task("commonsenseqa"))
    first, second = one.heads[name].state_dict(), two.heads[name].state_dict()
    assert all(torch.equal(first[part], second[part]) for part in first)
    heads = MultiTaskModel(tiny_encoder, [XNLI, MLM]).heads
    assert carry_over(heads, tiny_encoder.config, None, reuse=True) == HeadReport([], [head_name(XNLI), "mlm"], [])


@pytest.mark.parametrize("shape", [(2, 16), None])
def test_a_head_that_goes_on_but_does_not_fit_is_refused(shape: tuple[int, ...] | None, start: Path) -> None:
    heads, name = load_file(start / HEADS), f"{head_name(MNLI)}.out.weight"
    heads.pop(name)
    save_heads(start, {**heads, **({name: torch.ones(shape)} if shape else {})})
    message = r"does not fit: out\.weight has shape " + (r"\(2, 16\), not \(3, 16\)" if shape else "None")
    with pytest.raises(UserError, match=message):
        started(start, XNLI, reuse=True)
    assert started(start, XNLI)[1].loaded == []


ROWS = ([0, 20, 30, 40, 2], [0, 50, 2])


def packed(rows: Sequence[list[int]], **more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**plain(np.concatenate(rows), np.array(list(map(len, rows)))), **more}


BATCH = packed(ROWS, labels=torch.tensor([2, 0]))


@pytest.fixture
def model(tiny_encoder: Any) -> MultiTaskModel:
    torch.manual_seed(0)
    return MultiTaskModel(tiny_encoder, [MNLI, XNLI, UDPOS, MLM]).eval()


@pytest.fixture
def folder(model: MultiTaskModel, tokenizer: Any, tmp_path: Path) -> Path:
    heads = {head_name(MNLI): ["mnli"], head_name(UDPOS): ["udpos"]}
    provenance = Provenance("run", "id", "random", encoder_digest(model.encoder), [], heads)
    del model.heads["mlm"]
    export(tmp_path, model.encoder, model.heads, tokenizer, provenance)
    return tmp_path


def test_rows_of_a_batch_have_logits_of_their_own_and_their_losses_sum_up(model: MultiTaskModel) -> None:
    assert set(model.heads) == {head_name(MNLI), head_name(UDPOS), "mlm"}, "MNLI and XNLI train one head"
    rows, name = zip(ROWS, BATCH["labels"], strict=True), head_name(XNLI)
    alone = sum(model(name, packed([row], labels=label[None])) for row, label in rows)
    torch.testing.assert_close(model(name, BATCH), alone)
    logits = model.logits(name, BATCH)
    torch.testing.assert_close(logits[1:], model.logits(name, packed(ROWS[1:])))
    assert model.logits(name, BATCH).argmax(-1).tolist() == logits.argmax(-1).tolist()
    assert len(model.logits(head_name(UDPOS), {**BATCH, "targets": torch.tensor([1, 2])})) == 2


def test_masked_language_modelling_trains_the_word_embeddings_it_predicts_with(model: MultiTaskModel) -> None:
    model("mlm", {**BATCH, "targets": torch.tensor([2]), "labels": torch.tensor([777])}).backward()
    assert model.encoder.get_input_embeddings().weight.grad[777].abs().sum() > 0


def test_a_loaded_model_gives_the_logits_of_the_exported_one(model: MultiTaskModel, folder: Path) -> None:
    loaded, tokenizer, provenance = load_model(str(folder), [XNLI, UDPOS])
    name = head_name(XNLI)
    torch.testing.assert_close(loaded.eval().logits(name, BATCH), model.logits(name, BATCH), rtol=0, atol=0)
    assert provenance.run == "run"
    assert tokenizer.pad_token_id == 1


def test_a_model_without_the_tasks_head_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"no trained head for 'commonsenseqa' \(heads: mnli, udpos\)"):
        load_model(str(folder), [XNLI, get_task("commonsenseqa")])
    (folder / HEADS).unlink()
    with pytest.raises(UserError, match="no trained head for 'xnli'"):
        load_model(str(folder), [XNLI])
    assert len(load_model(str(folder), [])[0].heads) == 0, "retrieval needs none"


def test_weights_that_are_not_what_their_provenance_says_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"][0] += 1e-3
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="not the parent's weights"):
        load_model(str(folder), [XNLI])
