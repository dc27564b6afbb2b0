"""Law 12: what goes out is Hugging Face's. Every kind of task on every architecture: the logits of the product, of the
library's own padded forward pass, and of the export that the library loads again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig

from dist_stilts.errors import UserError
from dist_stilts.families.kinds import KINDS
from dist_stilts.model.export import export
from dist_stilts.model.fine_tuned import open_model
from dist_stilts.model.heads import Head, head_name, task_class
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.packing import packs
from dist_stilts.model.provenance import Provenance, weights_digest
from dist_stilts.tasks.registry import get_task

SIZES = {"vocab_size": 1200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 1}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "xlm-roberta": {"type_vocab_size": 1},
    "bert": {},
    "roberta": {},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
    "electra": {"embedding_size": 32},
    "albert": {"embedding_size": 16},
    "camembert": {},
    "xlm-roberta-xl": {},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 24},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 16, "cls_token_id": 0, "sep_token_id": 2},
    "eurobert": {},
    "mpnet": {},
}
TASKS = {
    "sequence": "xnli",
    "choice": "commonsenseqa",
    "token": "udpos",
    "span": "squad_v1",
    "mlm": "mlm",
}
"""A task of each kind whose head differs from the others'."""
UNKNOWN = {("eurobert", "choice"), ("eurobert", "span")}
"""What transformers has no class for."""
LENGTHS = (7, 3, 5, 6)


def made(architecture: str, kind: str) -> Any:
    """A task model whose weights are large enough to tell every tensor from its absence."""
    config = AutoConfig.for_model(architecture, **{**SIZES, **ARCHITECTURES[architecture]})
    for key, value in KINDS[kind].head_config(get_task(TASKS[kind]).labels).items():
        setattr(config, key, value)
    torch.manual_seed(0)
    model = task_class(KINDS[kind], config)._from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    """Padded ids and mask, ``[segments, longest]``."""
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    ids = torch.randint(5, SIZES["vocab_size"], mask.shape, generator=torch.Generator().manual_seed(0))
    return ids.masked_fill(mask == 0, 1), mask


def theirs(model: Any, kind: str, more: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the library computes, at the places that the product gives logits of."""
    ids, mask = grid()
    if kind == "choice":
        parts = {
            name: values.view(2, 2, -1) for name, values in {"input_ids": ids, "attention_mask": mask, **more}.items()
        }
        return model(**parts).logits
    out = model(input_ids=ids, attention_mask=mask, **more)
    if kind == "span":
        return torch.stack([out.start_logits, out.end_logits], -1)[mask.bool()]
    return out.logits if kind == "sequence" else out.logits[mask.bool()]


def ours(model: MultiTaskModel, name: str, kind: str, types: torch.Tensor | None) -> torch.Tensor:
    ids, mask = grid()
    bounds = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0)], dtype=torch.int32)
    batch = {"input_ids": ids[mask.bool()], "lengths": torch.tensor(LENGTHS), "bounds": bounds}
    if types is not None:
        batch["token_types"] = types[mask.bool()]
    if kind == "choice":
        batch["segments"] = torch.tensor([[0, 1], [2, 3]])
    if kind in ("token", "mlm"):
        batch["targets"] = torch.arange(sum(LENGTHS))
    logits = model.logits(name, batch)
    return logits[mask.bool()] if kind == "span" else logits


@torch.no_grad()
@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_exports_logits_are_ours_and_the_librarys(
    architecture: str, kind: str, tokenizer: Any, tmp_path: Path
) -> None:
    family, spec = KINDS[kind], get_task(TASKS[kind])
    if (architecture, kind) in UNKNOWN:
        with pytest.raises(UserError, match=f"no model For.* of the architecture '{architecture}'"):
            made(architecture, kind)
        return
    task = made(architecture, kind)
    types = None
    if getattr(task.config, "type_vocab_size", 0) > 1:
        types = (torch.arange(max(LENGTHS)) >= 2).long().expand(len(LENGTHS), -1)
    more = {} if types is None else {"token_type_ids": types}
    expected = theirs(task, kind, more)

    head = Head(task, family)
    encoder = head.ready.shared
    model = MultiTaskModel(encoder, [], {head_name(spec): head}).eval()
    torch.testing.assert_close(ours(model, head_name(spec), kind, types), expected, atol=1e-5, rtol=1e-5)

    provenance = Provenance("r", "i", "random", weights_digest(encoder), heads={head_name(spec): [spec.name]})
    export(tmp_path, model, tokenizer, provenance)
    again, info = getattr(transformers, family.auto_class).from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    torch.testing.assert_close(theirs(again.eval(), kind, more), expected, atol=1e-5, rtol=1e-5)
    if kind != "mlm":
        opened = open_model(str(tmp_path))
        assert (opened.family, opened.labels) == (kind, spec.labels if family.has_labels else ())
        torch.testing.assert_close(ours(opened.model, opened.head, kind, types), expected, atol=1e-5, rtol=1e-5)
    if family.has_labels:
        assert [again.config.id2label[number] for number in range(len(spec.labels))] == list(spec.labels)


def test_most_architectures_are_read_without_padding() -> None:
    without = {name for name in ARCHITECTURES if packs(MultiTaskModel(made(name, "token").base_model, []).encoder)}
    padded = {"rembert", "deberta-v2", "modernbert", "mpnet"}
    assert without == ARCHITECTURES.keys() - padded


def test_the_padding_may_be_the_last_token_of_all(tokenizer: Any, tmp_path: Path) -> None:
    config = AutoConfig.for_model("bert", **{**SIZES, "pad_token_id": SIZES["vocab_size"] - 1, "num_labels": 2})
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert open_model(str(tmp_path)).family == "sequence"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("weights", "hold NaN or infinity"),
        ("names", "two outputs of the model are called 'same'"),
        ("tokenizer.json", r"tokenizer\.json: damaged"),
        ("provenance.json", r"provenance\.json: not the provenance of a model"),
    ],
)
def test_what_is_broken_is_said(broken: str, said: str, tokenizer: Any, tmp_path: Path) -> None:
    task = transformers.BertForSequenceClassification(AutoConfig.for_model("bert", **SIZES))
    if broken == "weights":
        torch.nn.init.constant_(task.classifier.bias, float("nan"))
    if broken == "names":
        task.config.id2label = {0: "same", 1: "same"}
    task.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    if broken.endswith(".json"):
        (tmp_path / broken).write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        open_model(str(tmp_path))
