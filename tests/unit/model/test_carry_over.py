from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models_made import export_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForTokenClassification,
)
from transformers import XLMRobertaForSequenceClassification as TheirClassifier

from dist_stilts.data.batches import plain
from dist_stilts.errors import UserError
from dist_stilts.model.carry_over import HeadReport, carry_over, without_heads
from dist_stilts.model.encoder import load_encoder
from dist_stilts.model.export import export
from dist_stilts.model.fine_tuned import load_model
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import PROVENANCE, Provenance, weights_digest
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
    return model, carry_over(model, tasks, str(folder), reuse=reuse)


@pytest.mark.parametrize("form", ["safetensors", "shards", "bin"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [{}, {"tie_word_embeddings": False}, {"hidden_act": "relu"}], ids=str)
def test_our_language_model_predicts_what_the_hugging_face_model_predicts(
    change: dict[str, Any], kind: str, form: str, tmp_path: Path
) -> None:
    pretrained(kind, tmp_path, form, **change)
    model, report = started(tmp_path, MLM, XNLI)
    assert report == HeadReport(["mlm"], [head_name(XNLI)], [])
    ids = torch.randint(5, 60, (3, 9), generator=torch.Generator().manual_seed(0))
    batch = {**plain(ids.flatten().numpy(), np.full(3, 9)), "targets": torch.arange(27)}
    theirs = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        torch.testing.assert_close(model.eval().logits("mlm", batch), expected.flatten(0, 1))


def test_layer_norms_of_old_checkpoints_are_known_by_their_old_names(tmp_path: Path) -> None:
    theirs = pretrained("bert", tmp_path, "bin")
    weights = torch.load(tmp_path / "pytorch_model.bin")
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma"): tensor for name, tensor in weights.items()}
    torch.save(old, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    model, _ = started(tmp_path, MLM)
    head: Any = model.heads["mlm"]
    assert torch.equal(
        head.task.cls.predictions.transform.LayerNorm.weight, theirs.cls.predictions.transform.LayerNorm.weight
    )


@pytest.mark.parametrize("name", ["lm_head.layer_norm.bias", "lm_head.dense.weight", "lm_head.bias"])
def test_a_language_model_that_lacks_a_tensor_is_refused(name: str, tmp_path: Path) -> None:
    pretrained("xlm-r", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights[name]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=rf"tensors are not in the file \(first: {name}\) and would be random"):
        started(tmp_path, MLM)
    assert started(tmp_path, XNLI)[1].loaded == []


def test_an_encoder_alone_has_no_language_model(tmp_path: Path) -> None:
    pretrained("xlm-r", tmp_path / "whole").roberta.save_pretrained(tmp_path / "encoder")
    assert started(tmp_path / "encoder", MLM)[1] == HeadReport([], ["mlm"], [])


def test_the_encoders_report_leaves_out_what_the_head_took(tmp_path: Path) -> None:
    pretrained("xlm-r", tmp_path)
    _, report = load_encoder(str(tmp_path))
    assert all(name.startswith("lm_head.") for name in report.dropped)
    model, _ = started(tmp_path, MLM)
    assert without_heads(report, [model.heads["mlm"]]) == replace(report, dropped=[])
    _, left = started(tmp_path, XNLI)
    assert left.fresh == [head_name(XNLI)]
    assert without_heads(report, []) == report


@pytest.fixture
def start(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> Path:
    """An export of ours with heads of MNLI, UDPOS and masked language modelling."""
    torch.manual_seed(7)
    export_model(tmp_path, tiny_encoder, tokenizer, [MNLI, UDPOS, MLM])
    return tmp_path


def equal(model: MultiTaskModel, folder: Path, spec: Any) -> bool:
    """Whether a head is that of an export of ours."""
    there = load_model(str(folder), [spec])[0].heads[head_name(spec)].state_dict()
    mine = model.heads[head_name(spec)].state_dict()
    return there.keys() == mine.keys() and all(torch.equal(tensor, there[part]) for part, tensor in mine.items())


def test_task_heads_are_fresh_and_the_language_model_goes_on(start: Path) -> None:
    model, report = started(start, XNLI, MLM)
    name = head_name(XNLI)
    assert report == HeadReport(["mlm"], [name], [head_name(MNLI), head_name(UDPOS)])
    assert equal(model, start, MLM)
    assert not equal(model, start, XNLI)
    assert report.line() == f"heads: 1 (mlm) loaded, 1 ({name}) fresh, 2 ({name}, {head_name(UDPOS)}) dropped"


def test_heads_that_fit_are_reused_on_demand_and_fresh_ones_are_the_same_whether_others_are_loaded_or_not(
    start: Path, tiny_encoder: Any
) -> None:
    other_labels = replace(UDPOS, labels=("A", "B"))
    model, report = started(start, XNLI, other_labels, reuse=True)
    assert report == HeadReport([head_name(XNLI)], [head_name(other_labels)], ["mlm", head_name(UDPOS)])
    assert equal(model, start, XNLI)
    one, two = (started(start, XNLI, get_task("commonsenseqa"), reuse=reuse)[0] for reuse in (False, True))
    name = head_name(get_task("commonsenseqa"))
    first, second = one.heads[name].state_dict(), two.heads[name].state_dict()
    assert all(torch.equal(first[part], second[part]) for part in first)
    model = MultiTaskModel(tiny_encoder, [XNLI, MLM])
    assert carry_over(model, [XNLI, MLM], None, reuse=True) == HeadReport([], [head_name(XNLI), "mlm"], [])


def test_a_head_of_anybodys_model_goes_on_under_the_names_of_the_tasks_labels(tmp_path: Path) -> None:
    names = {0: "ENTAILMENT", 1: "contradiction", 2: "Neutral"}
    torch.manual_seed(3)
    theirs = TheirClassifier(XLMRobertaConfig(**SIZES, id2label=names)).eval()
    theirs.save_pretrained(tmp_path)
    model, report = started(tmp_path, XNLI, reuse=True)
    assert (report.loaded, report.fresh) == ([head_name(XNLI)], [])
    ids = torch.randint(5, 60, (1, 9), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        found = model.eval().logits(head_name(XNLI), plain(ids[0].numpy(), np.array([9])))[0]
    order = [[name.lower() for name in names.values()].index(label) for label in XNLI.labels]
    torch.testing.assert_close(found, expected[order])
    assert started(tmp_path, XNLI)[1].loaded == []
    with pytest.raises(UserError, match=r"labels \(ENTAILMENT, contradiction, Neutral\) are not those of pawsx"):
        started(tmp_path, get_task("pawsx"), reuse=True)


@pytest.mark.parametrize("shape", [(2, 16), None])
def test_a_head_that_goes_on_but_does_not_fit_is_refused(shape: tuple[int, ...] | None, start: Path) -> None:
    file = start / "heads" / "mnli" / "model-00002-of-00002.safetensors"
    weights, name = load_file(file), "classifier.out_proj.weight"
    weights.pop(name)
    save_file({**weights, **({name: torch.ones(shape)} if shape else {})}, file, {"format": "pt"})
    with pytest.raises(UserError, match=rf"1 tensors are not in the file \(first: {name}\)"):
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


def test_a_loaded_model_gives_the_logits_of_the_exported_one(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> None:
    made = export_model(tmp_path / "one", tiny_encoder, tokenizer, [XNLI, UDPOS], name="run").eval()
    loaded, tokenizer, provenance = load_model(str(tmp_path / "one"), [XNLI, UDPOS])
    name = head_name(XNLI)
    torch.testing.assert_close(loaded.eval().logits(name, BATCH), made.logits(name, BATCH), rtol=0, atol=0)
    assert provenance is not None
    assert provenance.run == "run"
    assert tokenizer.pad_token_id == 1


def test_several_heads_share_the_encoders_file(start: Path) -> None:
    encoders = [start / "model.safetensors", *sorted(start.glob("heads/*/model-00001-of-00002.safetensors"))]
    assert len(encoders) == 4
    assert len({file.stat().st_ino for file in encoders}) == 1
    assert not any("embeddings" in name for file in start.glob("heads/*/model-00002*") for name in load_file(file))


def test_a_model_without_the_tasks_head_is_refused(start: Path) -> None:
    with pytest.raises(UserError, match=r"no trained head for 'commonsenseqa' \(heads: mlm, mnli, udpos\)"):
        load_model(str(start), [XNLI, get_task("commonsenseqa")])
    assert len(load_model(str(start), [])[0].heads) == 0, "retrieval needs none"
    (start / "heads" / "mnli" / "config.json").unlink()
    with pytest.raises(UserError, match=r"heads/mnli: the model lacks its head"):
        load_model(str(start), [XNLI])
    shutil.rmtree(start / "heads" / "mnli")
    assert load_model(str(start), [UDPOS])[0].heads.keys() == {head_name(UDPOS)}, "its neighbours are there"
    with pytest.raises(UserError, match=r"heads/mnli: the model lacks its head .* Run its recipe again"):
        load_model(str(start), [XNLI, UDPOS])


@pytest.mark.parametrize("tasks", [[XNLI], [XNLI, UDPOS]], ids=len)
def test_weights_that_are_not_what_their_provenance_says_are_refused(
    tasks: Any, tiny_encoder: Any, tokenizer: Any, tmp_path: Path
) -> None:
    model = export_model(tmp_path, tiny_encoder, tokenizer, tasks)
    assert load_model(str(tmp_path), [XNLI])[2].digest == weights_digest(model.encoder)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["roberta.embeddings.LayerNorm.bias"][0] += 1e-3
    for file in (tmp_path / "model.safetensors", *tmp_path.glob("heads/*/model-00001*")):
        save_file(tensors, file, {"format": "pt"})
    with pytest.raises(UserError, match=r"damaged, or changed since .* take its line out of \"files\""):
        load_model(str(tmp_path), [XNLI])
    provenance = json.loads((tmp_path / PROVENANCE).read_text())
    (tmp_path / PROVENANCE).write_text(json.dumps({**provenance, "files": {}}))  # as older versions have it
    with pytest.raises(UserError, match="not the weights of its provenance"):
        load_model(str(tmp_path), [XNLI])


@pytest.mark.parametrize(
    ("task", "theirs", "labels"),
    [
        ("pawsx", ("1", "0"), None),
        ("pawsx", ("LABEL_0", "LABEL_1"), "1,0"),
        ("xnli", ("NEUTRAL", "Contradiction", "entailment"), None),
        ("xnli", ("LABEL_0", "LABEL_1", "LABEL_2"), "entailment,neutral,contradiction"),
    ],
)
def test_what_is_exported_after_training_on_says_what_the_outputs_of_a_foreign_head_are(
    task: str, theirs: tuple[str, ...], labels: str | None, tokenizer: Any, tmp_path: Path
) -> None:
    spec, named = get_task(task), {"id2label": dict(enumerate(theirs)), "num_labels": len(theirs)}
    sizes = {**SIZES, "vocab_size": len(tokenizer)}
    TheirClassifier(XLMRobertaConfig(**sizes, **named)).save_pretrained(tmp_path / "theirs")
    model = MultiTaskModel(load_encoder(str(tmp_path / "theirs"))[0], [spec])
    carry_over(model, [spec], str(tmp_path / "theirs"), labels=labels, reuse=True)
    provenance = Provenance("run", "id", "pretrained", weights_digest(model.encoder), heads={head_name(spec): [task]})
    export(tmp_path / "ours", model, tokenizer, provenance)
    head, again = model.heads[head_name(spec)], load_model(str(tmp_path / "ours"), [spec])[0].heads[head_name(spec)]
    assert (again.names, again.order) == (head.names, head.order) == (spec.labels, head.order)
    meant = (labels or ",".join(theirs)).casefold().split(",")
    assert [meant[own] for (own,) in again.order] == list(spec.labels)


def test_outputs_that_cannot_be_told_apart_later_are_not_trained_on(tmp_path: Path) -> None:
    TheirClassifier(XLMRobertaConfig(**SIZES, num_labels=4)).save_pretrained(tmp_path)
    model = MultiTaskModel(load_encoder(str(tmp_path))[0], [XNLI])
    left_out = "LABEL_0=entailment,LABEL_1=neutral,LABEL_2=contradiction,LABEL_3="
    for labels in ("entailment,neutral,contradiction,neutral", left_out):
        with pytest.raises(UserError, match="cannot be trained on"):
            carry_over(model, [XNLI], str(tmp_path), labels=labels, reuse=True)


def test_a_head_without_an_output_for_a_label_is_not_trained_on(tmp_path: Path) -> None:
    """Its loss on that label would be infinite."""
    names = dict(enumerate(UDPOS.labels[1:]))
    config = XLMRobertaConfig(**SIZES, id2label=names, label2id={name: number for number, name in names.items()})
    XLMRobertaForTokenClassification(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=f"no output for {UDPOS.labels[0]}, and cannot be trained on it"):
        started(tmp_path, UDPOS, reuse=True)
    assert started(tmp_path, UDPOS)[1].fresh == [head_name(UDPOS)]
