"""Embeds made-up texts: arguments are the folder and, for a rank that dies, after how many of its batches it does."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tiny
import torch

from dist_stilts.errors import UserError
from dist_stilts.evaluate import embedding
from dist_stilts.evaluate.embedding import Embedder, Reading
from dist_stilts.evaluate.embedding_files import EmbeddingFiles
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig, Job, evaluate
from dist_stilts.model.export import export
from dist_stilts.model.provenance import Provenance, weights_digest
from dist_stilts.parallel.collectives import broadcast_value
from dist_stilts.parallel.world import World, started
from dist_stilts.results.lines import to_line
from dist_stilts.writing import write_text

READING = Reading((2, 0, 1), special_tokens=False)
DTYPES = (torch.float32, torch.bfloat16)


def main() -> None:
    out, lives = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else -1
    embedding.PART_TEXTS, embedding.WAIT_SECONDS, embedding.LOOKS = 20, 0.05, 3
    with started(timeout_seconds=60) as world:
        model = tiny.model([], dropout=0.1, spread=1.0)
        model.encoder.register_forward_pre_hook(Mortal(lives))
        results: dict[str, Any] = {"batches": []}
        for dtype in DTYPES:
            embedder = Embedder(model.to(dtype), "tiny", tokenizer(), world, READING, 12, out / "cache", 60)
            for name, texts in {"many": made_up(47), "few": made_up(1), "none": []}.items():
                found = embedder(texts, name)
                results[name, str(dtype)] = [np.array(vectors) for vectors in found]
        results["slept"] = slept(embedder)
        results["other texts"] = other_texts(out, world)
        results["unseen"] = unseen(embedder, world)
        results["nan"] = nan(embedder)
    tiny.save_for(world.rank, results)


def slept(embedder: Embedder) -> list[float]:
    """How long this rank slept over looking for files that the first rank is slow to write."""
    append, sleep, naps = EmbeddingFiles.append, time.sleep, []
    EmbeddingFiles.append = lambda *given: (sleep(0.3), append(*given))  # type: ignore[method-assign,assignment,return-value]
    embedding.time.sleep = naps.append  # type: ignore[attr-defined]
    try:
        embedder(["w9"])
    finally:
        EmbeddingFiles.append, embedding.time.sleep = append, sleep  # type: ignore[method-assign,attr-defined]
    return naps


def unseen(embedder: Embedder, world: World) -> str:
    """What the ranks say where the last of them cannot read what the first has written."""
    real = np.load
    if world.rank == world.size - 1:
        np.load = lambda *_, **__: real("/nowhere.npy")
    try:
        embedder(["w5"])
    except UserError as error:
        return str(error)
    finally:
        np.load = real
    return "nothing"


def other_texts(out: Path, world: World) -> list[list[Any]]:
    """What `evaluate` returns, and again where the last rank does not see the texts that all have scored."""
    model = tiny.model([], spread=1.0)
    if world.is_main:
        provenance = Provenance("tiny", "id", "random", weights_digest(model.encoder))
        export(out / "model", model, tokenizer(), provenance)
        for folder, text in (("seen", "w5\nw6 w7\n"), ("changed", "w5\nw8\n")):
            for side in ("deu", "eng"):
                write_text(out / folder / "tatoeba" / f"tatoeba.deu-eng.{side}", text)
    broadcast_value(None)
    tasks = {"tatoeba": EvalTask(languages=["de"])}
    folders = (out / "results.jsonl", out / "predictions", out / "embedded")
    job = Job(str(out / "model"), tasks, EvaluationConfig(), out / "seen", out / "prepared", 12, *folders)
    last = replace(job, root=out / "changed") if world.rank == world.size - 1 > 0 else job
    return [[to_line(record) for record in evaluate(one, world)] for one in (job, last)]


def nan(embedder: Embedder) -> str:
    """What the ranks say of damaged weights."""
    with torch.no_grad():
        embedder.model.encoder.get_input_embeddings().weight[7] = float("nan")
    try:
        embedder(["w5", "w5 w6", "w7", "w8", "w6 w7 w8"])
    except UserError as error:
        return str(error)
    return "nothing"


class Mortal:
    """Ends this process, as a kill does, before one more batch than it may do."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    def __call__(self, *_: Any) -> None:
        if self.lives == 0:
            os._exit(9)
        self.lives -= 1


def made_up(number: int) -> list[str]:
    """Texts of 0 to 15 words, some too long, and an empty one without any token of its own."""
    rng = np.random.default_rng(number)
    return ["", *(" ".join(f"w{word}" for word in rng.integers(4, 60, rng.integers(1, 16))) for _ in range(number))]


def tokenizer() -> Any:
    """One token per word, between the special tokens that the tiny model knows."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, **{f"w{number}": number for number in range(4, 60)}}
    backend = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", cls_token="<s>", sep_token="</s>"
    )


if __name__ == "__main__":
    main()
