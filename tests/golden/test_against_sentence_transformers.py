"""An exported model is read by sentence-transformers as we read it: to the same embeddings, whatever layer and pooling
was scored, and its own evaluator gives the same accuracy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.evaluate.embedding import Embedder, Reading
from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig, Job, evaluate
from dist_stilts.model.encoder import load_tokenizer, most_tokens, new_encoder
from dist_stilts.model.export import export
from dist_stilts.model.heads import head_name
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.pooling_files import SentenceReading, write_pooling
from dist_stilts.model.provenance import Provenance, weights_digest
from dist_stilts.parallel.world import current
from dist_stilts.simulate import write_world
from dist_stilts.tasks.registry import get_task

TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 80,
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder in the layout of an export."""

    folder = tmp_path_factory.mktemp("exported")
    tokenizer = load_tokenizer(str(write_world(folder / "world", seed=0, scale=0.05) / "tokenizer"))
    encoder = new_encoder(TINY, None, None, tokenizer, seed=0)
    (folder / "model").mkdir()
    provenance = Provenance("a", "a", "random", weights_digest(encoder))
    export(folder / "model", MultiTaskModel(encoder, []), tokenizer, provenance)
    return folder


def half_translated(folder: Path) -> tuple[list[str], list[str]]:
    """Sentences, and the same without their last three words: a random encoder finds some of them again."""
    lines = (folder / "world" / "tatoeba" / "tatoeba.qaa-eng.eng").read_text(encoding="utf-8").splitlines()
    texts = list(dict.fromkeys(line for line in lines if len(line.split()) > 4))
    return [" ".join(text.split()[:-3]) for text in texts], texts


def test_tatoeba_accuracies_are_those_of_sentence_transformers_evaluator(exported: Path, tmp_path: Path) -> None:
    evaluation = pytest.importorskip("sentence_transformers.evaluation")
    from sentence_transformers import SentenceTransformer

    foreign, english = half_translated(exported)
    for side, texts in (("deu", foreign), ("eng", english)):
        (tmp_path / "tatoeba").mkdir(exist_ok=True)
        (tmp_path / "tatoeba" / f"tatoeba.deu-eng.{side}").write_text("\n".join(texts) + "\n", encoding="utf-8")
    theirs = evaluation.TranslationEvaluator(foreign, english, write_csv=False)(
        SentenceTransformer(str(exported / "model"), device="cpu")
    )
    records = evaluate(_job(exported / "model", tmp_path), current())
    ours: dict[str, Any] = {record.metric: record.value for record in records}
    assert 20 < ours["accuracy"] < 95, "neither chance nor a task that anything solves"
    assert ours["accuracy_from_foreign"] == pytest.approx(100 * theirs["src2trg_accuracy"])
    assert ours["accuracy"] == pytest.approx(100 * theirs["trg2src_accuracy"])


def _job(model: Path, root: Path) -> Job:
    return Job(
        str(model),
        {"tatoeba": EvalTask(languages=["de"])},
        EvaluationConfig(),
        root,
        root / "prepared",
        64,
        root / "results.jsonl",
        root / "predictions",
        root / "embeddings",
    )


READINGS = {
    "as it is exported": None,
    "middle": SentenceReading(1),
    "embeddings": SentenceReading(0, max_length=12),
    "first token": SentenceReading(None, "cls"),
    "first token of the middle": SentenceReading(1, "cls", max_length=6),
    "no special tokens": SentenceReading(None, "mean", False),
    "no special tokens in the middle": SentenceReading(1, "mean", False, 9),
    "last": SentenceReading(max_length=10_000),
}


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
@pytest.mark.parametrize("tasks", [(), ("xnli",), ("xnli", "udpos")], ids=len)
def test_embeddings_are_those_of_the_layer_and_pooling_that_was_scored(
    tasks: tuple[str, ...], kind: str, exported: Path, tmp_path: Path
) -> None:
    transformer = pytest.importorskip("sentence_transformers").SentenceTransformer
    tokenizer, specs = load_tokenizer(str(exported / "model")), [get_task(name) for name in tasks]
    model = MultiTaskModel(new_encoder({**TINY, "model_type": kind}, None, None, tokenizer, seed=0), specs).eval()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    heads = {head_name(spec): [spec.name] for spec in specs}
    folder = tmp_path / "model"
    folder.mkdir()
    export(folder, model, tokenizer, Provenance("a", "a", "random", weights_digest(model.encoder), heads=heads))
    texts = half_translated(exported)[1][:40]
    texts += ["", " ".join(texts)]
    for name, reading in READINGS.items():
        if reading is not None:
            write_pooling(folder, reading)
        theirs = transformer(str(folder), device="cpu").encode(texts, batch_size=8)
        read = reading or SentenceReading()
        wanted = Reading((2 if read.layer is None else read.layer,), read.pooling, read.special_tokens)
        longest = min(read.max_length or sys.maxsize, most_tokens(model.encoder))
        embed = Embedder(model, name, tokenizer, current(), wanted, longest, tmp_path / "cache", 512)
        assert np.abs(embed(texts)[0] - theirs).max() < 1e-5, name
