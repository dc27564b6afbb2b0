"""Exports of older versions, whose heads were modules of our own, predict what they did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import gelu, layer_norm, linear

from dist_stilts.errors import UserError
from dist_stilts.model.averaging import average
from dist_stilts.model.carry_over import carry_over
from dist_stilts.model.encoder import load_encoder, new_encoder
from dist_stilts.model.fine_tuned import load_model, open_model
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.packing import encode
from dist_stilts.model.provenance import Provenance, weights_digest, write_provenance
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import TaskSpec

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
MORE: dict[str, dict[str, Any]] = {
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
    "electra": {"embedding_size": 32},
    "albert": {"embedding_size": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 16},
}
SPECS = {spec.family: spec for spec in map(get_task, ("xnli", "commonsenseqa", "udpos", "squad_v1", "mlm"))}
PARTS = {
    "sequence": ("dense", "out"),
    "choice": ("dense", "out"),
    "token": ("out",),
    "span": ("out",),
    "mlm": ("dense", "layer_norm"),
}
LENGTHS = torch.tensor([7, 3, 5, 6])
BATCH = {
    "input_ids": torch.randint(5, 60, (21,), generator=torch.Generator().manual_seed(0)),
    "lengths": LENGTHS,
    "bounds": torch.tensor([0, *LENGTHS.cumsum(0)], dtype=torch.int32),
}


def old_head(spec: TaskSpec, words: int) -> dict[str, torch.Tensor]:
    """The tensors of a head as they were written."""
    width, outputs = SIZES["hidden_size"], {"choice": 1, "span": 2}.get(spec.family, len(spec.labels))
    shapes = {"dense": (width, width), "layer_norm": (width,), "out": (outputs, width)}
    made = {f"{part}.weight": 0.4 * torch.randn(shapes[part]) for part in PARTS[spec.family]}
    made |= {f"{part}.bias": torch.randn(shapes[part][0]) for part in PARTS[spec.family]}
    if spec.family == "mlm":
        made["bias"] = torch.randn(words)
    return {f"{head_name(spec)}.{part}": tensor for part, tensor in made.items()}


def old_export(folder: Path, architecture: str, tokenizer: Any, *specs: TaskSpec) -> Any:
    """Write a folder as older versions did."""
    config = {"model_type": architecture, "max_position_embeddings": 80, **SIZES, **MORE.get(architecture, {})}
    encoder: Any = new_encoder(config, None, None, tokenizer, seed=0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tensors = {name: tensor for spec in specs for name, tensor in old_head(spec, len(tokenizer)).items()}
    save_file(tensors, folder / "heads.safetensors")
    heads = {head_name(spec): [spec.name] for spec in specs}
    digest = weights_digest(encoder)
    write_provenance(folder, Provenance("r", "i", "pretrained", digest, heads=heads, start="s", start_heads="h"))
    return encoder.eval()


@torch.no_grad()
def expected(folder: Path, encoder: Any, spec: TaskSpec) -> torch.Tensor:
    """What the older version computed."""
    name = f"{head_name(spec)}."
    given = {key.removeprefix(name): tensor for key, tensor in load_file(folder / "heads.safetensors").items()}
    hidden = encode(encoder, BATCH)
    if spec.family in ("token", "span"):
        return linear(hidden, given["out.weight"], given["out.bias"])
    if spec.family == "mlm":
        dense = gelu(linear(hidden, given["dense.weight"], given["dense.bias"]))
        normed = layer_norm(dense, (32,), given["layer_norm.weight"], given["layer_norm.bias"], 1e-12)
        return linear(normed, encoder.get_input_embeddings().weight, given["bias"])
    first = torch.tanh(linear(hidden[BATCH["bounds"][:-1].long()], given["dense.weight"], given["dense.bias"]))
    return linear(first, given["out.weight"], given["out.bias"])


@torch.no_grad()
def found(model: MultiTaskModel, spec: TaskSpec) -> torch.Tensor:
    """What this version computes, in the same shape."""
    more = {"choice": {"segments": torch.arange(4)[None]}, "token": {"targets": torch.arange(21)}}
    more["mlm"] = more["token"]
    logits = model.eval().logits(head_name(spec), {**BATCH, **more.get(spec.family, {})})
    if spec.family == "span":
        return logits[torch.arange(7) < LENGTHS[:, None]]
    return logits.T if spec.family == "choice" else logits


CONVERTED = {
    "xlm-roberta": PARTS.keys(),
    "bert": PARTS.keys(),
    "albert": PARTS.keys() - {"mlm"},
    "distilbert": {"token", "span"},
    "electra": {"token", "span", "mlm"},
    "deberta-v2": {"token", "span", "mlm"},
    "modernbert": set(),
}
"""The heads that are lossless in Hugging Face's form: its own has another activation, or more layers, elsewhere."""


@pytest.mark.parametrize("architecture", CONVERTED)
def test_each_of_several_heads_predicts_what_it_did_or_is_refused(
    architecture: str, tokenizer: Any, tmp_path: Path
) -> None:
    specs = [spec for spec in SPECS.values() if spec.family != "mlm" or "mlm" in CONVERTED[architecture]]
    encoder = old_export(tmp_path, architecture, tokenizer, *specs)
    for spec in specs:
        if spec.family in CONVERTED[architecture]:
            model, _, provenance = load_model(str(tmp_path), [spec])
            torch.testing.assert_close(found(model, spec), expected(tmp_path, encoder, spec), atol=1e-6, rtol=1e-6)
            assert provenance
            assert provenance.heads[head_name(spec)] == [spec.name]
        else:
            with pytest.raises(UserError, match=r"head '.*' is of an older version and is none that a .* can have"):
                load_model(str(tmp_path), [spec])


def test_a_single_head_is_opened_with_the_names_of_its_labels_where_a_known_task_has_them(
    tokenizer: Any, tmp_path: Path
) -> None:
    known, unknown = SPECS["sequence"], replace(get_task("ccg"), labels=("n", "np", "pp"))
    for spec, labels in ((known, known.labels), (unknown, ("LABEL_0", "LABEL_1", "LABEL_2"))):
        encoder = old_export(tmp_path / spec.name, "xlm-roberta", tokenizer, spec)
        opened = open_model(str(tmp_path / spec.name))
        assert (opened.family, opened.labels) == (spec.family, labels)
        right = expected(tmp_path / spec.name, encoder, spec)
        torch.testing.assert_close(found(opened.model, spec), right, atol=1e-6, rtol=1e-6)
        model, _, _ = load_model(str(tmp_path / spec.name), [spec])
        assert model.heads[head_name(spec)].names == spec.labels, "the head's name has their digest"


def test_a_phase_goes_on_from_it_and_it_is_averaged(tokenizer: Any, tmp_path: Path) -> None:
    specs = [SPECS["sequence"], SPECS["mlm"]]
    folders = [tmp_path / "a", tmp_path / "b"]
    right = []
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        encoder = old_export(folder, "bert", tokenizer, *specs)
        right.append(load_file(folder / "heads.safetensors"))
        model = MultiTaskModel(load_encoder(str(folder))[0], specs)
        report = carry_over(model, specs, str(folder), reuse=True)
        assert (report.fresh, report.dropped) == ([], [])
        for spec in specs:
            torch.testing.assert_close(found(model, spec), expected(folder, encoder, spec), atol=1e-6, rtol=1e-6)
    average(folders, tmp_path / "mean")
    mean = load_file(tmp_path / "mean" / "heads" / "xnli" / "model-00002-of-00002.safetensors")
    part = f"{head_name(specs[0])}.out.weight"
    torch.testing.assert_close(mean["classifier.weight"], (right[0][part] + right[1][part]) / 2)


@pytest.mark.parametrize("damage", ["lacking", "no head", "broken"])
def test_a_damaged_file_is_refused(damage: str, tokenizer: Any, tmp_path: Path) -> None:
    old_export(tmp_path, "bert", tokenizer, SPECS["sequence"])
    file = tmp_path / "heads.safetensors"
    kept = {} if damage == "no head" else {k: v for k, v in load_file(file).items() if not k.endswith("out.bias")}
    save_file(kept, file)
    if damage == "broken":
        file.write_bytes(b"{}")
    with pytest.raises(UserError, match=r"heads.safetensors: (not all of the head 'nli-3-.*' is there|cannot be read)"):
        open_model(str(tmp_path))
