from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from models_made import Oracle, features_of

from dist_stilts.errors import UserError
from dist_stilts.evaluate.predict import predict
from dist_stilts.families.answers import N_BEST, answer_scores, rank
from dist_stilts.families.score import Decoding
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


@pytest.mark.parametrize("max_length", [24, 30, 64])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_gold_is_found_again_whatever_the_windows(tokenizer: Any, max_length: int, batch_size: int) -> None:
    features = features_of(V2, ROWS, tokenizer, max_length)
    found = predict(Oracle(features), V2, features, current(), batch_size, Decoding(5, 30))
    score = answer_scores(V2, "en", ROWS, features, found)
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
    features = features_of(V1, ROWS[3:], tokenizer)
    found = predict(Oracle(features), V1, features, current(), 4, Decoding(3, 30))
    answered = SpanRow("q-3", "p", "question 3", CONTEXT, (Answer("the", 0),))
    score = answer_scores(V1, "en", [answered], features, found)
    assert json.loads("".join(score.predictions))["q-3"] != ""


def test_answers_do_not_depend_on_the_batch_size(tokenizer: Any, tiny_encoder: Any) -> None:
    torch.manual_seed(0)
    model = MultiTaskModel(tiny_encoder, [V1])
    features = features_of(V1, ROWS, tokenizer, 24)
    small, large = (predict(model, V1, features, current(), size, Decoding(5, 30)) for size in (2, 64))
    spans = [array[:, 1:].reshape(len(features), -1, 3) for array in (small, large)]
    assert np.allclose(spans[0][..., 2], spans[1][..., 2], atol=1e-5)
    assert np.array_equal(spans[0][:, 0, :2], spans[1][:, 0, :2])


@pytest.mark.parametrize(
    ("windows", "may_be_empty", "ranked"),
    [
        ([[9.0, 0, 3, 5.0], [2.0, 4, 7, 1.0]], True, [("the", 5.0), ("", 2.0), ("hot", 1.0)]),
        ([[0.0, 0, 3, 5.0], [0.0, 0, 3, 7.0]], False, [("the", 7.0)]),
        ([[1.0, 0, 0, -np.inf]], False, [("", 1.0)]),
    ],
    ids=["no answer needs every window to be sure", "a text found twice is one candidate", "a window without a span"],
)
def test_candidates_of_all_windows_are_ranked(
    windows: list[list[float]], may_be_empty: bool, ranked: list[tuple[str, float]]
) -> None:
    assert rank("the hot", np.array(windows), may_be_empty, n_best=3) == ranked


def test_a_model_that_answers_nothing_is_labelled(tokenizer: Any) -> None:
    rows = [row(number, "hot sailor") for number in range(40)]
    features = features_of(V1, rows, tokenizer)
    nothing, always = (np.tile([null, 0, 3, 1.0], (len(features), 1)) for null in (9.0, 0.0))
    assert "class 1 of 2" in (answer_scores(V2, "en", rows, features, nothing).degenerate or "")
    assert "class 0 of 2" in (answer_scores(V2, "en", rows, features, always).degenerate or "")
    assert answer_scores(V1, "en", rows, features, always).degenerate is None


def test_a_language_that_the_official_scorer_does_not_know_is_one_clear_error(tokenizer: Any) -> None:
    features = features_of(V1, ROWS[:1], tokenizer)
    with pytest.raises(UserError, match="mlqa in 'fr'"):
        answer_scores(get_task("mlqa"), "fr", ROWS[:1], features, np.tile([0.0, 4, 7, 1.0], (len(features), 1)))
