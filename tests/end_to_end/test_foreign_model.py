"""Somebody else's classifier, whose outputs have no names: scored by the verb and by a recipe, and trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dist_stilts.model.provenance import read_provenance
from dist_stilts.results.files import read

pytestmark = pytest.mark.slow

LABELS = "neutral,contradiction,entailment"
RECIPE = """
ranks: 2
data: {{root: {world}, max_length: 48}}
encoder: {{path: {model}, labels: "{labels}"}}
train: {{batch_size: 8, steps: 4, learning_rate: 1e-3}}
phases:
  as_is:
    heads: reuse
    evaluate: {{xnli: {{splits: ["dev[50%:]"], languages: [en, qaa]}}}}
  more:
    start: [encoder]
    heads: reuse
    tasks: {{xnli: {{split: "dev[:50%]", dev: null}}}}
    evaluate: {{xnli: {{splits: ["dev[50%:]"], languages: [en, qaa]}}}}
"""


@pytest.fixture
def model(finished: Path, tmp_path: Path) -> Path:
    """A random XLM-R classifier as transformers writes it, without names of its labels."""
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(finished / "pretrain/model")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, num_labels=3, **sizes)
    torch.manual_seed(0)
    XLMRobertaForSequenceClassification(config).save_pretrained(tmp_path / "theirs")
    tokenizer.save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


def test_a_model_of_others_is_scored_and_trained_on(
    model: Path, finished: Path, cli: Callable[..., Any], tmp_path: Path
) -> None:
    scored = ("--tasks", "xnli", "--data", str(finished / "world"), "--split", "dev[50%:]", "--languages", "en,qaa")
    verb = ("evaluate", "--model", str(model), *scored, "--max-length", "48", "--out", str(tmp_path / "scores"))
    refused = cli(*verb)
    assert refused.returncode == 2
    assert "They have no names" in refused.stderr
    done = cli(*verb, "--labels", LABELS)
    assert done.returncode == 0, done.stderr

    recipe = tmp_path / "theirs.yaml"
    recipe.write_text(RECIPE.format(world=finished / "world", model=model, labels=LABELS))
    ran = cli("run", str(recipe), f"out={tmp_path / 'runs'}")
    assert ran.returncode == 0, ran.stderr
    runs = tmp_path / "runs" / "theirs"
    by_verb, as_is = read(tmp_path / "scores/results.jsonl"), read(runs / "as_is/results.jsonl")
    assert [record.value for record in as_is] == [record.value for record in by_verb]
    assert {record.reading.labels for record in (*as_is, *by_verb)} == {LABELS}
    assert {record.model.id for record in as_is} == {record.model.id for record in by_verb}

    made = read_provenance(runs / "more/model")
    assert made is not None
    (head,) = made.heads
    assert (made.origin, made.carried) == ("pretrained", {"loaded": [head], "fresh": [], "dropped": []})
    assert f"heads: 1 ({head}) loaded" in ran.stderr
    config = json.loads((runs / "more/model/config.json").read_text(encoding="utf-8"))
    assert list(config["id2label"].values()) == LABELS.split(",")
    assert {record.reading.labels for record in read(runs / "more/results.jsonl")} == {LABELS}
