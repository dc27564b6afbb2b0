"""A model card: metadata that the Hub's own library reads back, warnings first, code that runs."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from results_made import record

from dist_stilts.families.kinds import KINDS
from dist_stilts.model.card import CARD, write_card
from dist_stilts.model.card_uses import ENCODER, USES, Use
from dist_stilts.model.pooling_files import SentenceReading
from dist_stilts.model.provenance import Provenance

DIGEST = "ab" * 32
TRAINED = [
    {
        "phase": "adapt",
        "role": "pretrain",
        "task": "mlm",
        "examples": 900,
        "split": "train",
        "languages": ["sw", "qaa"],
    },
    {
        "phase": "nli",
        "role": "intermediate",
        "task": "anli_plus",
        "examples": 1100,
        "split": "train",
        "languages": ["en"],
    },
    {"phase": "xnli", "role": "target", "task": "xnli", "examples": 392702, "split": "train", "languages": ["en"]},
]
Write = Callable[..., tuple[ModelCard, str]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a card and read it as the Hub's library does: the card and its text."""

    def write_(
        *records: Any, kind: Any = "sequence", base: str | None = "owner/base", embedding: str = "", **known: Any
    ) -> Any:
        provenance = Provenance(
            "xnli@nli", "id", **{"origin": "pretrained", "digest": DIGEST, "trained_on": TRAINED} | known
        )
        command = "dist-stilts run mine seed=1"
        write_card(
            tmp_path, provenance, kind=kind, base_model=base, command=command, records=records, embedding=embedding
        )
        card = ModelCard.load(tmp_path / CARD)
        return card, card.text

    return write_


def score(language: str, value: float | None, **fields: Any) -> Any:
    return record(language, value, model_id=DIGEST[:12], **fields)


def test_metadata_are_read_back_by_the_library_of_the_hub(write: Write) -> None:
    card, text = write(score("de", 81.25, count=5010), score("th", None), score("fr", 1.0, task="panx", metric="f1"))
    data = card.data.to_dict()
    assert (data["base_model"], data["base_model_relation"]) == ("owner/base", "finetune")
    assert data["language"] == ["sw", "en", "de", "fr"], (
        "training first, then what was scored; qaa is nobody's language"
    )
    assert data["datasets"] == ["stanfordnlp/snli", "nyu-mll/multi_nli", "facebook/anli", "facebook/xnli"]
    assert (data["license"], data["pipeline_tag"]) == ("other", "text-classification")
    assert data["library_name"] == "transformers"
    assert {"dist_stilts", "zero-shot"} <= set(data["tags"])
    tagged, german = card.data.eval_results
    assert (german.task_type, german.dataset_type, german.dataset_config) == (
        "text-classification",
        "facebook/xnli",
        "de",
    )
    assert (german.dataset_split, german.metric_type, german.metric_value) == ("test", "accuracy", 81.25)
    assert german.verified is False
    assert tagged.task_type == "token-classification"
    assert "| de | 81.2" in text
    assert "n = de 5010, th 100 rows" in text
    assert all(
        phase in text for phase in ("| adapt | pretrain | mlm |", "| xnli | target | xnli | train | en | 392,702 |")
    )
    assert "CC BY-NC 4.0" in text
    assert "dist-stilts run mine seed=1" in text


def test_a_card_before_and_after_scoring(write: Write, tmp_path: Path) -> None:
    card, text = write()
    assert not card.data.eval_results
    assert "has not been scored" in text
    write(score("de", 81.0))
    first = (tmp_path / CARD).read_bytes()
    write(score("de", 81.0))
    assert (tmp_path / CARD).read_bytes() == first
    assert b"has not been scored" not in first


def test_what_must_not_be_overlooked_stands_first(write: Write) -> None:
    collapsed = [score("zh", 33.3, collapsed="one class"), score("de", 80.0)]
    card, text = write(*collapsed, degenerate="stuck at chance", origin="random")
    first = text.partition("\n# ")[0]
    assert all(why in first for why in ("stuck at chance", "never saw text", "xnli zh: one class"))
    assert "degenerate" in card.data.tags
    named = {result.dataset_config: result.metric_name for result in card.data.eval_results}
    assert "collapsed: one class" in named["zh"]
    assert "random encoder" not in named["de"]
    assert "33.3†" in text
    assert "[!WARNING]" not in write(score("de", 80.0))[1]


def test_scores_of_other_weights_are_left_out_and_counted(write: Write) -> None:
    card, text = write(score("de", 81.0), record("fr", 50.0, model_id="cd" * 6), record("es", 50.0))
    assert [result.dataset_config for result in card.data.eval_results] == ["de"]
    assert "other weights scored them: 2" in text


def test_of_a_sweep_over_layers_the_metadata_have_the_last(write: Write) -> None:
    sweep = [score("de", 10.0 + layer, task="tatoeba", layer=layer, pooling="mean") for layer in (0, 2, 1)]
    card, text = write(*sweep, kind=None)
    (result,) = card.data.eval_results
    assert (result.metric_value, result.task_type) == (12.0, "sentence-similarity")
    assert "layer 2" in result.metric_name
    assert "Several layers" in text
    assert "11.0" in text


@pytest.mark.parametrize("base", [None, "here/local/model", "local"])
def test_a_start_that_is_not_on_the_hub_is_no_base_model_there(
    write: Write, base: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local").mkdir()
    monkeypatch.chdir(tmp_path)
    card, text = write(base=str(tmp_path / base) if base == "local" else base)
    assert card.data.base_model is None
    assert str(tmp_path) not in text
    assert ("from random weights" if base is None else "a local model") in text


def test_averages_heads_and_labels_are_told(write: Write, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"id2label": {"10": "z", "2": "b", "0": "a|c"}}')
    (tmp_path / "heads" / "xnli").mkdir(parents=True)
    (tmp_path / "heads" / "xnli" / "config.json").write_text("{}")
    parts = [{"run": f"seed{seed}", "run_id": "x", "digest": "cd" * 32} for seed in (0, 1)]
    carried = {"loaded": ["xnli"], "fresh": ["ccg"], "dropped": []}
    _, text = write(averaged_from=parts, carried=carried, heads={"xnli": ["mnli", "xnli"]})
    assert "2 models: seed0 (cdcdcdcdcdcd), seed1" in text
    assert "taken over: that of mnli and xnli." in text
    assert "new, random: that of ccg." in text
    assert "`heads/xnli`" in text
    assert "`a|c`, `b`, `z`" in text


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_the_code_of_a_card_runs(kind: Any, tmp_path: Path, tiny_config: dict[str, Any], tokenizer: Any) -> None:
    import transformers

    classes = {
        "mlm": "MaskedLM",
        "choice": "MultipleChoice",
        "token": "TokenClassification",
        "span": "QuestionAnswering",
    }
    rest = {key: value for key, value in tiny_config.items() if key != "model_type"}
    config = transformers.XLMRobertaConfig(vocab_size=len(tokenizer), num_labels=2, **rest)
    found = classes.get(kind, "SequenceClassification") if kind else None
    made = getattr(transformers, f"AutoModelFor{found}" if found else "AutoModel").from_config(config)
    made.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    use: Use = USES[kind] if kind else ENCODER
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(use.code.replace('"..."', repr(str(tmp_path))), {})
    assert kind == "span" or said.getvalue().strip()


def test_how_a_text_becomes_an_embedding_is_said(write: Write) -> None:
    said = SentenceReading(7, special_tokens=False, max_length=128, notes=("And more.",)).said()
    assert said in write(embedding=said)[1]
    assert all(
        part in said for part in ("mean of all tokens but the special ones", "layer 7", "at 128 tokens. And more.")
    )
    said = SentenceReading(None, "cls").said()
    assert said in write(kind=None, embedding=said)[1]
    assert "the first token in the last layer, of length one." in said


def test_every_kind_that_is_trained_has_its_use() -> None:
    assert set(USES) == set(KINDS)
