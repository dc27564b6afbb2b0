"""An exported model is read by sentence-transformers as we read it: its own evaluator gives the same accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dist_stilts.evaluate.suite import EvalTask, EvaluationConfig, Job, evaluate
from dist_stilts.model.encoder import load_tokenizer, new_encoder
from dist_stilts.model.export import export
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.model.provenance import Provenance, weights_digest
from dist_stilts.parallel.world import current
from dist_stilts.simulate import write_world

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
