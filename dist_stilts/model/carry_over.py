"""Which heads of its start a phase goes on with, by a stated rule; what was loaded, fresh and dropped is known (law 8).

Task heads are fresh: from the intermediate to the target task only the encoder goes on (Phang et al. 2020).
With ``heads: reuse`` those go on that fit, which have the same name: the same kind of task and the same labels. The
masked-language-model head belongs to pretraining and always goes on where the start has one: in an export of ours, or
among the weights of a Hugging Face model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch import nn

from dist_stilts.errors import UserError
from dist_stilts.model.encoder import HEADS, LoadReport
from dist_stilts.model.heads import MLM
from dist_stilts.tasks.hub import fetch_model

Tensors = dict[str, torch.Tensor]
WEIGHT_FILES = ("model.safetensors", "model-*-of-*.safetensors", "pytorch_model.bin", "pytorch_model-*-of-*.bin")
"""Where a Hugging Face folder has its weights; the first that is there counts."""
LM_HEADS = ("lm_head.", "cls.predictions.")
"""How the names of its masked-language-model head begin: RoBERTa's kind, which XLM-R is, and BERT's."""
OUR_NAMES = {
    "lm_head.dense.": "dense.",
    "lm_head.layer_norm.": "layer_norm.",
    "lm_head.decoder.bias": "bias",
    "lm_head.bias": "bias",
    "cls.predictions.transform.dense.": "dense.",
    "cls.predictions.transform.LayerNorm.": "layer_norm.",
    "cls.predictions.decoder.bias": "bias",
    "cls.predictions.bias": "bias",
}
"""What :class:`MaskedTokenHead` calls a tensor of theirs, by how its name begins."""


@dataclass(frozen=True)
class HeadReport:
    """Names of the heads that come from the start, that are fresh, and that only the start has."""

    loaded: list[str]
    fresh: list[str]
    dropped: list[str]

    def line(self) -> str:
        """The report as one line."""
        parts = {"loaded": self.loaded, "fresh": self.fresh, "dropped": self.dropped}
        return "heads: " + ", ".join(f"{_listed(names)} {what}" for what, names in parts.items())


def _listed(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names)})" if names else "0"


def carry_over(
    heads: nn.ModuleDict, config: Any, start: str | None, revision: str | None = None, *, reuse: bool = False
) -> HeadReport:
    """Load into ``heads`` what goes on from the start, as the module's rule says; the others stay as they are.

    Args:
        config: of the encoder; start: Hub name or local folder, None if the phase starts from nothing.

    Raises:
        UserError: a head that goes on but has not the tensors or shapes of ours: it would be random in part.
    """
    folder = fetch_model(start, revision) if start else None
    there = heads_of(folder, config) if folder else {}
    loaded = [name for name in heads if name in there and (reuse or name == MLM)]
    for name in loaded:
        load_head(heads[name], there[name], name, folder)
    fresh = [name for name in heads if name not in loaded]
    return HeadReport(loaded, fresh, sorted(there.keys() - loaded))


def without_language_model(report: LoadReport, heads: HeadReport) -> LoadReport:
    """The encoder's report without the tensors that the encoder left unread but the head took."""
    if MLM not in heads.loaded:
        return report
    return replace(report, dropped=[name for name in report.dropped if not name.startswith(LM_HEADS)])


def heads_of(folder: Path, config: Any) -> dict[str, Tensors]:
    """The heads of a model folder by name: all of an export of ours, the masked-language-model head of other models."""
    if (folder / HEADS).is_file():
        return read_heads(folder)
    language_model = _language_model_head(folder, config)
    return {MLM: language_model} if language_model else {}


def read_heads(folder: Path) -> dict[str, Tensors]:
    """The tensors of each head in an export of ours; none if it has no heads."""
    from safetensors.torch import load_file

    found: dict[str, Tensors] = {}
    for name, tensor in (load_file(folder / HEADS) if (folder / HEADS).is_file() else {}).items():
        head, _, part = name.partition(".")
        found.setdefault(head, {})[part] = tensor
    return found


def load_head(head: nn.Module, tensors: Tensors, name: str, folder: Path | None) -> None:
    """Load a head's tensors; UserError if any is missing, unknown or of another shape."""
    wanted = {part: tuple(tensor.shape) for part, tensor in head.state_dict().items()}
    found = {part: tuple(tensor.shape) for part, tensor in tensors.items()}
    wrong = sorted(part for part in wanted.keys() | found.keys() if wanted.get(part) != found.get(part))
    if wrong:
        first = wrong[0]
        raise UserError(
            f"the head '{name}' does not fit: {first} has shape {found.get(first)}, not {wanted.get(first)}",
            where=folder,
            fix="Start from a complete model of this architecture and vocabulary",
        )
    head.load_state_dict(tensors)


def _language_model_head(folder: Path, config: Any) -> Tensors:
    """A Hugging Face model's, in our names; empty if it has none, or one that computes something else than ours."""
    theirs = dict(_stored(folder))
    bert = any(name.startswith(LM_HEADS[1]) for name in theirs)
    if not getattr(config, "tie_word_embeddings", True) or (bert and config.hidden_act != "gelu"):
        return {}
    return {ours: tensor for name, tensor in theirs.items() if (ours := _our_name(name))}


def _our_name(theirs: str) -> str | None:
    for begin, ours in OUR_NAMES.items():
        if theirs.startswith(begin):  # gamma and beta: layer norms of checkpoints converted from TensorFlow
            return ours + theirs.removeprefix(begin).replace("gamma", "weight").replace("beta", "bias")
    return None


def _stored(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a folder's masked-language-model head; no others are read."""
    from safetensors import safe_open

    files = next((found for pattern in WEIGHT_FILES if (found := sorted(folder.glob(pattern)))), [])
    for file in files:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                yield from ((name, opened.get_tensor(name)) for name in opened.keys() if _our_name(name))  # noqa: SIM118
        else:
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
            yield from ((name, tensor) for name, tensor in content.items() if _our_name(name))
