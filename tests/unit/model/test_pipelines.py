"""Law 12, as users meet it: transformers' pipelines on an export give the labels and scores of the product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models_made import export_model, features_of
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

from dist_stilts.data.batches import collate
from dist_stilts.families.kinds import family_of
from dist_stilts.model.heads import head_name
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import PairRow, SpanRow, TaggedRow

SENTENCES = ("the hot sailor lifted the lamp", "a cat never lifted", "good lamp")


def logits_of(model: Any, task: str, rows: list[Any], tokenizer: Any) -> torch.Tensor:
    spec = get_task(task)
    features = features_of(spec, rows, tokenizer)
    with torch.no_grad():
        found: torch.Tensor = model.eval().logits(
            head_name(spec), collate(features, range(len(features)), family_of(spec))
        )
    return found


def test_text_classification_gives_our_labels_and_probabilities(
    tiny_encoder: Any, tokenizer: Any, tmp_path: Path
) -> None:
    spec = get_task("xnli")
    model = export_model(tmp_path, tiny_encoder, tokenizer, [spec])
    rows = [PairRow(str(n), str(n), text, "a cat", None) for n, text in enumerate(SENTENCES)]
    ours = logits_of(model, "xnli", rows, tokenizer).softmax(-1)
    theirs = pipeline("text-classification", model=str(tmp_path), top_k=None)
    for row, chances in zip(rows, ours, strict=True):
        found = {entry["label"]: entry["score"] for entry in theirs({"text": row.text_a, "text_pair": row.text_b})}
        assert found == pytest.approx(dict(zip(spec.labels, chances.tolist(), strict=True)), abs=1e-5)


def test_token_classification_gives_our_tags_and_probabilities(
    tiny_encoder: Any, tokenizer: Any, tmp_path: Path
) -> None:
    spec = get_task("udpos")
    model = export_model(tmp_path, tiny_encoder, tokenizer, [spec])
    theirs = pipeline("token-classification", model=str(tmp_path), ignore_labels=[])
    for text in SENTENCES:
        words = tuple(text.split())
        ours = logits_of(model, "udpos", [TaggedRow("0", "0", words, None)], tokenizer).softmax(-1)
        starts = [
            text.index(word, sum(len(before) + 1 for before in words[:number])) for number, word in enumerate(words)
        ]
        pieces = [entry for entry in theirs(text) if text[entry["start"] : entry["end"]].strip()]
        first: dict[int, Any] = {}
        for piece in pieces:
            begun = max(start for start in starts if start <= piece["start"] + (text[piece["start"]] == " "))
            first.setdefault(begun, piece)
        assert [first[start]["entity"] for start in starts] == [spec.labels[number] for number in ours.argmax(-1)]
        assert [first[start]["score"] for start in starts] == pytest.approx(ours.amax(-1).tolist(), abs=1e-5)


def test_fill_mask_gives_our_words_and_probabilities(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> None:
    model = export_model(tmp_path, tiny_encoder, tokenizer, [get_task("mlm")])
    text = f"the hot {tokenizer.mask_token} lifted"
    ids = torch.tensor(tokenizer(text)["input_ids"])
    batch = {
        "input_ids": ids,
        "lengths": torch.tensor([len(ids)]),
        "bounds": torch.tensor([0, len(ids)], dtype=torch.int32),
        "targets": (ids == tokenizer.mask_token_id).nonzero()[:, 0],
    }
    with torch.no_grad():
        chances, words = model.eval().logits("mlm", batch)[0].softmax(-1).topk(5)
    found = pipeline("fill-mask", model=str(tmp_path), top_k=5)(text)
    assert [entry["token"] for entry in found] == words.tolist()
    assert [entry["score"] for entry in found] == pytest.approx(chances.tolist(), abs=1e-5)


def test_question_answering_gives_our_start_and_end(tiny_encoder: Any, tokenizer: Any, tmp_path: Path) -> None:
    model = export_model(tmp_path, tiny_encoder, tokenizer, [get_task("squad_v1")])
    question, context = "the lamp", "the hot sailor lifted the lamp"
    ours = logits_of(model, "squad_v1", [SpanRow("0", "0", question, context, None)], tokenizer)[0]
    theirs = AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        out = theirs(**AutoTokenizer.from_pretrained(tmp_path)(question, context, return_tensors="pt"))
    torch.testing.assert_close(ours, torch.stack([out.start_logits[0], out.end_logits[0]], -1), atol=1e-5, rtol=0)
