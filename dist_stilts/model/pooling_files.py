"""What sentence-transformers reads beside an export, so that it makes of a text the embedding that was scored.

    Transformer -> WeightedLayerPooling (below the last layer) -> WordWeights (no special tokens) -> Pooling
    -> Normalize

A special token that is written out in a text counts for us and not for WordWeights, which knows tokens by their ids.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import torch

from dist_stilts.model.encoder import build, load_tokenizer, most_tokens, read_architecture
from dist_stilts.writing import write_bytes, write_text

CONFIG = "config.json"
MODULE_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class SentenceReading:
    """How a text becomes an embedding.

    Attributes:
        layer: element of hidden_states; None is the last.
        pooling: ``mean`` or ``cls``; special_tokens: whether the mean is also of those that stand around a text.
        max_length: tokens at which texts are cut; None is what the encoder can read.
        notes: what else a reader of the model card must know, one sentence each.
    """

    layer: int | None = None
    pooling: str = "mean"
    special_tokens: bool = True
    max_length: int | None = None
    notes: tuple[str, ...] = ()

    def said(self) -> str:
        """The reading as a sentence or more, for people."""
        tokens = "all tokens" if self.special_tokens else "all tokens but the special ones"
        pooled = "the first token" if self.pooling == "cls" else f"the mean of {tokens}"
        layer = "the last layer" if self.layer is None else f"layer {self.layer} (0 is that of the embeddings)"
        cut = f"; texts are cut at {self.max_length} tokens" if self.max_length else ""
        return " ".join([f"`SentenceTransformer(MODEL)` gives {pooled} in {layer}, of length one{cut}.", *self.notes])


def write_pooling(folder: Path, reading: SentenceReading) -> None:
    """Write what sentence-transformers reads of an export, in place of what it read before."""
    modules = list(_modules(folder, reading))
    places = [f"{number}_{name}" if number else "" for number, (name, _) in enumerate(modules)]
    for place, (name, settings) in zip(places, modules, strict=True):
        write_text(folder / place / (CONFIG if place else "sentence_bert_config.json"), json.dumps(settings, indent=2))
        if name == "WeightedLayerPooling":
            _write_weights(folder / place, settings["num_hidden_layers"] - settings["layer_start"])
    entries = [
        {"idx": number, "name": str(number), "path": place, "type": f"sentence_transformers.models.{name}"}
        for number, (place, (name, _)) in enumerate(zip(places, modules, strict=True))
    ]
    write_text(folder / "modules.json", json.dumps(entries, indent=2))
    for stale in {path.name for path in folder.glob("[1-9]_*")} - set(places):
        shutil.rmtree(folder / stale)


def _modules(folder: Path, reading: SentenceReading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The classes of sentence-transformers, in order, and the configuration of each."""
    config = read_architecture(str(folder))
    depth, width = config.num_hidden_layers, {"word_embedding_dimension": config.hidden_size}
    layer = depth if reading.layer is None else min(reading.layer, depth)
    states = {"config_args": {"output_hidden_states": True}} if layer < depth else {}
    with torch.device("meta"):
        longest = min(most_tokens(build(config)), reading.max_length or sys.maxsize)
    length = {"max_seq_length": longest} if longest < sys.maxsize else {}
    yield "Transformer", {**length, "do_lower_case": False, **states}
    if layer < depth:
        yield "WeightedLayerPooling", {**width, "layer_start": layer, "num_hidden_layers": depth}
    if not reading.special_tokens and reading.pooling == "mean":
        yield "WordWeights", _word_weights(load_tokenizer(str(folder)))
    yield "Pooling", {**width, f"pooling_mode_{_MODES[reading.pooling]}": True}
    yield "Normalize", {}


_MODES = {"mean": "mean_tokens", "cls": "cls_token"}


def _write_weights(folder: Path, above: int) -> None:
    """The weights of a mean of layers that is the lowest of them alone; ``above``: how many others there are."""
    from safetensors.torch import save

    content = save({"layer_weights": torch.tensor([1.0] + above * [0.0])}, {"format": "pt"})
    write_bytes(folder / MODULE_WEIGHTS, content)  # a library would write it for its user alone


def _word_weights(tokenizer: Any) -> dict[str, Any]:
    """Nothing for the tokens that the tokenizer puts around a text, one for all others."""
    words: Sequence[str] = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    encoded = tokenizer("a", return_special_tokens_mask=True)
    around = compress(encoded["input_ids"], encoded["special_tokens_mask"])
    return {"vocab": words, "word_weights": {words[number]: 0.0 for number in around}, "unknown_word_weight": 1.0}
