"""Adapters are taken wherever models are, and compute what peft makes of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from rot import flip_bit
from safetensors.torch import load_file, save_file

from dist_stilts.errors import UserError
from dist_stilts.model.adapters import model_folder
from dist_stilts.model.encoder import load_encoder, load_tokenizer, number_of_layers, read_architecture
from dist_stilts.model.fine_tuned import load_model, open_model
from dist_stilts.model.heads import head_name
from dist_stilts.tasks.registry import get_task

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
NLI = ("entailment", "neutral", "contradiction")
TYPES = {
    "SEQ_CLS": ("sequence", "SequenceClassification"),
    "TOKEN_CLS": ("token", "TokenClassification"),
    "QUESTION_ANS": ("span", "QuestionAnswering"),
}
IDS = torch.tensor([[5, 9, 11, 8, 7, 6]])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where merged models are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def spread(model: Any) -> Any:
    """Weights that are large enough to tell every tensor from its absence; an adapter's are half zero when made."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def adapter(
    folder: Path, tokenizer: Any, kind: str, task_type: str | None, name: str, settings: Any = None, **config: Any
) -> Path:
    """A language model without a head for the task, and an adapter of it, both written below ``folder``."""
    made = transformers.AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), max_position_embeddings=80, pad_token_id=tokenizer.pad_token_id, **SIZES
    )
    torch.manual_seed(0)
    spread(transformers.AutoModelForPreTraining.from_config(made)).save_pretrained(
        folder / "base"
    )  # BERT's has a pooler
    tokenizer.save_pretrained(folder / "base")
    model = getattr(transformers, f"AutoModel{name}").from_pretrained(folder / "base", **config)
    settings = settings or LoraConfig(task_type=task_type, target_modules=["query", "value"], r=2)
    spread(get_peft_model(model, settings)).save_pretrained(folder / "adapter")
    return folder / "adapter"


def packed(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    """The ids as a batch of one row."""
    length = IDS.shape[1]
    return {
        "input_ids": IDS[0],
        "lengths": torch.tensor([length]),
        "bounds": torch.tensor([0, length], dtype=torch.int32),
        "targets": torch.arange(length),
        **more,
    }


@torch.no_grad()
@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
@pytest.mark.parametrize("task_type", TYPES)
def test_a_merged_adapter_computes_what_peft_does(task_type: str, kind: str, tokenizer: Any, tmp_path: Path) -> None:
    family, name = TYPES[task_type]
    outputs = {} if family == "span" else {"num_labels": 5}
    folder = adapter(tmp_path, tokenizer, kind, task_type, f"For{name}", **outputs)
    theirs = getattr(peft, f"AutoPeftModelFor{name}").from_pretrained(folder, **outputs).eval()(IDS)
    expected = torch.stack([theirs.start_logits, theirs.end_logits], -1) if family == "span" else theirs.logits
    opened = open_model(str(folder))
    found = opened.model.logits(opened.head, packed())
    torch.testing.assert_close(found, expected[0] if family == "token" else expected, atol=1e-5, rtol=1e-5)
    assert (opened.family, opened.labels) == (
        family,
        tuple(f"LABEL_{number}" for number in range(5)) if outputs else (),
    )
    assert (len(opened.tokenizer), opened.provenance) == (len(tokenizer), None)


@torch.no_grad()
def test_an_adapter_of_an_encoder_or_of_a_class_without_a_type_is_read_like_any_model(
    tokenizer: Any, tmp_path: Path
) -> None:
    settings = LoraConfig(task_type="FEATURE_EXTRACTION", target_modules="all-linear", r=2)
    folder = adapter(tmp_path / "a", tokenizer, "xlm-roberta", None, "", settings)
    theirs = peft.AutoPeftModelForFeatureExtraction.from_pretrained(folder).eval()(IDS).last_hidden_state
    encoder: Any = load_encoder(str(folder))[0]
    torch.testing.assert_close(encoder.eval()(IDS).last_hidden_state, theirs, atol=1e-5, rtol=1e-5)
    assert number_of_layers(str(folder)) == read_architecture(str(folder)).num_hidden_layers == 2
    assert len(load_tokenizer(str(folder))) == len(tokenizer)
    with pytest.raises(UserError, match="no trained head for 'xnli'"):
        load_model(str(folder), [get_task("xnli")])
    settings = LoraConfig(target_modules=["query"], r=2)
    folder = adapter(tmp_path / "b", tokenizer, "bert", None, "ForMaskedLM", settings)
    model = peft.PeftModel.from_pretrained(
        transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "b/base"), folder
    )
    opened = open_model(str(folder))
    torch.testing.assert_close(
        opened.model.logits(opened.head, packed()), model.eval()(IDS).logits[0], atol=1e-5, rtol=1e-5
    )


def test_labels_have_the_names_beside_the_adapter_or_else_its_bases(tokenizer: Any, tmp_path: Path) -> None:
    folder = adapter(tmp_path, tokenizer, "xlm-roberta", "SEQ_CLS", "ForSequenceClassification", num_labels=3)
    base = json.loads((tmp_path / "base" / "config.json").read_text())
    for place in (tmp_path / "base", folder):
        names = NLI if place == folder else ("n", "e", "c")
        named = {**base, "id2label": dict(enumerate(names)), "label2id": {name: n for n, name in enumerate(names)}}
        (place / "config.json").write_text(json.dumps(named))
        assert open_model(str(folder)).labels == names
    spec = get_task("xnli")
    model, _, _ = load_model(str(folder), [spec])
    assert model.heads[head_name(spec)].names == spec.labels
    assert model.heads[head_name(spec)].order == ((2,), (0,), (1,))


def test_it_is_merged_once_and_again_when_a_file_has_changed(tokenizer: Any, tmp_path: Path) -> None:
    folder = adapter(tmp_path, tokenizer, "bert", "SEQ_CLS", "ForSequenceClassification")
    merged = model_folder(str(folder))
    assert model_folder(str(folder)) == merged
    assert model_folder(str(merged)) == merged
    before = {file.name: file.read_bytes() for file in merged.iterdir()}
    flip_bit(merged / "model.safetensors")
    assert model_folder(str(folder)) == merged
    assert {file.name: file.read_bytes() for file in merged.iterdir()} == before
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
    assert model_folder(str(folder)) != merged


def change(folder: Path, **values: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def without(folder: Path, part: str) -> None:
    path = folder / "adapter_model.safetensors"
    save_file({name: tensor for name, tensor in load_file(path).items() if part not in name}, path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: without(folder, "classifier"), r"neither in the adapter nor in its base \(first: classifier"),
        (lambda folder: without(folder, "query"), r"not of its base: 4 tensors .*query.lora_A"),
        (lambda folder: change(folder, task_type="TOKEN_CLS"), "neither in the adapter nor in its base"),
        (lambda folder: change(folder, task_type="CAUSAL_LM"), "an adapter for CAUSAL_LM is no encoder's"),
        (lambda folder: change(folder, task_type=None), r"not of its base: .* \(first: classifier"),
        (lambda folder: change(folder, base_model_name_or_path=None), "does not say what its base model is"),
        (lambda folder: change(folder, base_model_name_or_path="/nowhere"), "/nowhere: no such model folder"),
        (lambda folder: change(folder, peft_type="NEW"), "not an adapter that the installed peft knows"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), r"adapter_config\.json: damaged"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "cannot be merged into its base"),
        (lambda folder: (folder / "adapter_model.safetensors").write_text("?"), r"adapter_model\.safetensors: damaged"),
    ],
)
def test_an_adapter_that_is_not_whole_is_refused(damage: Any, says: str, tokenizer: Any, tmp_path: Path) -> None:
    folder = adapter(tmp_path, tokenizer, "xlm-roberta", "SEQ_CLS", "ForSequenceClassification")
    damage(folder)
    with pytest.raises(UserError, match=says) as error:
        open_model(str(folder))
    assert "\n" not in str(error.value)


def test_a_prompt_is_no_part_of_the_weights_and_without_the_library_nothing_is_read(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=2)
    folder = adapter(tmp_path, tokenizer, "xlm-roberta", None, "ForSequenceClassification", settings)
    with pytest.raises(UserError, match="PROMPT_TUNING adapter cannot be merged"):
        open_model(str(folder))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'dist-stilts\[peft\]'"):
        load_tokenizer(str(folder))
