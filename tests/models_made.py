"""Models and prepared rows for tests: what a run would have exported, and what a reader's rows become."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import one_hot

from dist_stilts.data.prepare import in_memory
from dist_stilts.families.encoding import Encoding, QaLengths
from dist_stilts.families.features import Features
from dist_stilts.families.kinds import family_of
from dist_stilts.model.export import export
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import Provenance, weights_digest
from dist_stilts.tasks.spec import TaskSpec


def features_of(
    spec: TaskSpec, rows: list[Any], tokenizer: Any, max_length: int = 64, qa: QaLengths | None = None
) -> Features:
    """Rows of a task as a model reads them."""
    how = Encoding(spec.labels, max_length, qa=qa or QaLengths(max_length, 4, 12))
    return in_memory(family_of(spec).encode(rows, tokenizer, how))


def export_model(
    folder: Path, encoder: Any, tokenizer: Any, specs: Sequence[TaskSpec] = (), name: str = "random", **known: Any
) -> MultiTaskModel:
    """Write the folder of a model with fresh heads for these tasks; ``known`` is what else its provenance says."""
    folder.mkdir(parents=True, exist_ok=True)
    model = MultiTaskModel(encoder, list(specs))
    heads = {head_name(spec): [spec.name] for spec in specs}
    said = {"origin": "random", "digest": weights_digest(encoder), "heads": heads} | known
    export(folder, model, tokenizer, Provenance(name, "id", **said))
    return model


class Oracle:
    """A model that finds each row's gold again by its tokens.

    Logits of answers are high at the gold one, and at the first token where a window does not hold it.
    """

    def __init__(self, features: Features) -> None:
        self.labels = {tuple(ids): labels for ids, labels in zip(features.input_ids, features.labels, strict=True)}

    def eval(self) -> None:
        """Nothing to switch."""

    def logits(self, _: str, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = [tuple(ids.tolist()) for ids in batch["input_ids"].split(batch["lengths"].tolist())]
        if batch["labels"].ndim == 1:
            labels = [int(label) for row in rows for label in self.labels[row] if label >= 0]
            return one_hot(torch.tensor(labels)).float()
        logits = torch.full((len(rows), int(batch["lengths"].max()), 2), float("-inf"))
        for number, ids in enumerate(rows):
            first, last = self.labels[ids]
            logits[number, : len(ids)] = 0.0
            logits[number, first, 0] = logits[number, last, 1] = 5.0
        return logits


def save_checkpoint(
    folder: Path, family: str, config: dict[str, Any], tokenizer: Any, labels: Sequence[str] = (), spread: float = 0.6
) -> Path:
    """Write a task model of anybody's: the library's own class and names, random weights so far apart that rows differ.

    Args:
        config: architecture, ``model_type`` included.
    """
    import transformers
    from transformers import AutoConfig

    from dist_stilts.families.kinds import KINDS

    sizes = {name: value for name, value in config.items() if name != "model_type"}
    ids = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    made = AutoConfig.for_model(config["model_type"], **{**ids, **sizes, **KINDS[family].head_config(labels)})
    torch.manual_seed(7)
    model = getattr(transformers, KINDS[family].auto_class).from_config(made)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:  # with other biases one label would win every row
                parameter.add_(spread * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
