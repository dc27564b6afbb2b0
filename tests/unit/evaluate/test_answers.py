from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.data.features import Features, from_table, schema
from dist_stilts.data.tokenise import tokenise
from dist_stilts.data.windows import QaLengths
from dist_stilts.errors import UserError
from dist_stilts.evaluate.answers import N_BEST, answer_scores, rank
from dist_stilts.evaluate.predict import predict_answers
from dist_stilts.model.answers import best_spans
from dist_stilts.model.multitask import MultiTaskModel
from dist_stilts.parallel.world import current
from dist_stilts.tasks.registry import get_task
from dist_stilts.tasks.spec import Answer, SpanRow

V1, V2 = get_task("squad_v1"), get_task("squad_v2")
CONTEXT = "the hot sailor never lifted the lamp but a good cat lifted a bad lamp and the sailor lifted the cat"


def row(number: int, answer: str | None) -> SpanRow:
    answers = (Answer(answer, CONTEXT.index(answer)),) if answer else ()
    return SpanRow(f"q-{number}", "p", f"question {number}", CONTEXT, answers)


ROWS = [row(0, "hot sailor"), row(1, "a bad lamp"), row(2, "the sailor lifted"), row(3, None)]


def features_of(rows: list[SpanRow], tokenizer: Any, max_length: int) -> Features:
    import pyarrow as pa

    made = tokenise("span", (), rows, tokenizer, 0, "full", QaLengths(max_length, 4, 12))
    return from_table(pa.Table.from_pylist(list(made), schema()))


class Oracle:
    """A model whose logits are high at the gold answer, and at the first token where a window does not hold it."""

    def __init__(self, features: Features) -> None:
        self.labels = {tuple(ids): labels for ids, labels in zip(features.input_ids, features.labels, strict=True)}

    def eval(self) -> None:
        """Nothing to switch."""

    def answers(
        self, _: str, batch: dict[str, torch.Tensor], context: torch.Tensor, n_best: int, longest: int
    ) -> torch.Tensor:
        logits = torch.full((*context.shape, 2), float("-inf"))
        for number, ids in enumerate(batch["input_ids"].split(batch["lengths"].tolist())):
            first, last = self.labels[tuple(ids.tolist())]
            logits[number, : len(ids)] = 0.0
            logits[number, first, 0] = logits[number, last, 1] = 5.0
        return best_spans(logits, context, n_best, longest)


@pytest.mark.parametrize("max_length", [24, 30, 64])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_gold_is_found_again_whatever_the_windows(tokenizer: Any, max_length: int, batch_size: int) -> None:
    features = features_of(ROWS, tokenizer, max_length)
    found = predict_answers(Oracle(features), V2, features, current(), batch_size, n_best=5, longest=30)
    score = answer_scores(V2, "en", ROWS, features, found, 5)
    assert json.loads("".join(score.predictions)) == {
        "q-0": "hot sailor",
        "q-1": "a bad lamp",
        "q-2": "the sailor lifted",
        "q-3": "",
    }
    assert (score.values["exact_match"], score.values["f1"], score.values["em_and_f1"]) == (1.0, 1.0, 1.0)
    assert score.count == 4
    assert len(json.loads(score.beside[N_BEST])["q-0"]) == 5


def test_a_task_whose_questions_have_answers_never_leaves_one_out(tokenizer: Any) -> None:
    features = features_of(ROWS[3:], tokenizer, 64)
    found = predict_answers(Oracle(features), V1, features, current(), 4, 3, 30)
    answered = SpanRow("q-3", "p", "question 3", CONTEXT, (Answer("the", 0),))
    score = answer_scores(V1, "en", [answered], features, found, 3)
    assert json.loads("".join(score.predictions))["q-3"] != ""


def test_answers_do_not_depend_on_the_batch_size(tokenizer: Any, tiny_encoder: Any) -> None:
    torch.manual_seed(0)
    model = MultiTaskModel(tiny_encoder, [V1])
    features = features_of(ROWS, tokenizer, 24)
    small, large = (predict_answers(model, V1, features, current(), size, 5, 30) for size in (2, 64))
    spans = [array[:, 1:].reshape(len(features), -1, 3) for array in (small, large)]
    assert np.allclose(spans[0][..., 2], spans[1][..., 2], atol=1e-5)
    assert np.array_equal(spans[0][:, 0, :2], spans[1][:, 0, :2])


def test_no_answer_needs_every_window_to_be_sure() -> None:
    windows = np.array([[9.0, 0, 3, 5.0], [2.0, 4, 7, 1.0]])
    assert rank("the hot", windows, may_be_empty=True, n_best=3) == [("the", 5.0), ("", 2.0), ("hot", 1.0)]


def test_a_text_found_in_two_windows_is_one_candidate_with_its_best_score() -> None:
    windows = np.array([[0.0, 0, 3, 5.0], [0.0, 0, 3, 7.0]])
    assert rank("the hot", windows, may_be_empty=False, n_best=3) == [("the", 7.0)]


def test_a_window_without_any_span_gives_the_empty_answer() -> None:
    assert rank("", np.array([[1.0, 0, 0, -np.inf]]), may_be_empty=False, n_best=2) == [("", 1.0)]


def test_a_model_that_answers_nothing_is_labelled(tokenizer: Any) -> None:
    rows = [row(number, "hot sailor") for number in range(40)]
    features = features_of(rows, tokenizer, 64)
    nothing, always = (np.tile([null, 0, 3, 1.0], (len(features), 1)) for null in (9.0, 0.0))
    assert "class 1 of 2" in (answer_scores(V2, "en", rows, features, nothing, 1).degenerate or "")
    assert "class 0 of 2" in (answer_scores(V2, "en", rows, features, always, 1).degenerate or "")
    assert answer_scores(V1, "en", rows, features, always, 1).degenerate is None


def test_where_gold_is_withheld_there_are_answers_and_no_score(tokenizer: Any) -> None:
    hidden = [SpanRow("q", "p", "the cat", CONTEXT, None)]
    features = features_of(hidden, tokenizer, 64)
    score = answer_scores(V1, "en", hidden, features, np.tile([0.0, 4, 7, 1.0], (len(features), 1)), 1)
    assert json.loads("".join(score.predictions)) == {"q": "hot"}
    assert (score.values, score.count) == ({"em_and_f1": None}, 0)


def test_a_language_that_the_official_scorer_does_not_know_is_one_clear_error(tokenizer: Any) -> None:
    features = features_of(ROWS[:1], tokenizer, 64)
    with pytest.raises(UserError, match="mlqa in 'fr'"):
        answer_scores(get_task("mlqa"), "fr", ROWS[:1], features, np.tile([0.0, 4, 7, 1.0], (len(features), 1)), 1)


def test_predictions_of_questions_are_json_where_the_scorer_looks_for_them(tmp_path: Path) -> None:
    from dist_stilts.layout import prediction_file

    assert prediction_file(tmp_path, "xquad", "test", "de", "json") == tmp_path / "xquad" / "test-de.json"
