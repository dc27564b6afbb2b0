from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from dist_stilts.data.batches import plain
from dist_stilts.families.best_spans import best_spans
from dist_stilts.families.kinds import KINDS
from dist_stilts.model.heads import Head, fresh_head, head_name
from dist_stilts.tasks.registry import all_tasks, get_task
from dist_stilts.tasks.spec import IGNORED, UNSEEN

LENGTH = 5


def head_of(task: str, encoder: Any) -> Head:
    torch.manual_seed(0)
    return fresh_head(get_task(task), encoder).eval()


def hidden(rows: int) -> torch.Tensor:
    """States of rows of five tokens each, one behind another."""
    return torch.randn(rows * LENGTH, 16, generator=torch.Generator().manual_seed(0))


def packed(*lengths: int, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch of rows of these lengths."""
    return {**plain(np.zeros(sum(lengths), int), np.array(lengths)), **more}


SHARED = (
    {"mnli", "snli", "anli", "anli_plus", "xnli"},
    {"commonsenseqa", "hellaswag", "cosmosqa", "xcopa"},
    {"squad_v1", "xquad", "mlqa"},
)


def test_only_tasks_that_are_one_kind_of_question_share_a_head_and_other_labels_are_another() -> None:
    tasks_of: dict[str, set[str]] = {}
    for spec in all_tasks():
        if spec.family in KINDS:
            tasks_of.setdefault(head_name(spec), set()).add(spec.name)
    assert {frozenset(tasks) for tasks in tasks_of.values() if len(tasks) > 1} == set(map(frozenset, SHARED))
    spec = get_task("ccg")
    known, more = (replace(spec, labels=labels) for labels in (("n", "np"), ("n", "np", "pp")))
    assert len({head_name(known), head_name(more), head_name(spec)}) == 3


def test_a_pair_has_a_logit_per_class_from_its_first_token(tiny_encoder: Any) -> None:
    head = head_of("xnli", tiny_encoder)
    states, batch = hidden(2), packed(7, 3)
    logits = head(states, batch)
    assert (logits.shape, logits.dtype) == ((2, 3), torch.float32)
    changed = torch.zeros_like(states)
    changed[[0, 7]] = states[[0, 7]]
    assert torch.equal(logits, head(changed, batch))
    assert head.to(torch.bfloat16)(states.to(torch.bfloat16), batch).dtype == torch.float32


def test_an_absent_choice_is_never_chosen_and_costs_nothing(tiny_encoder: Any) -> None:
    head = head_of("commonsenseqa", tiny_encoder)
    choices = torch.tensor([[0, 1, -1], [2, 3, 4]])
    batch = packed(5, 5, 5, 5, 5, segments=choices, labels=torch.tensor([1, 2]))
    logits = head(hidden(5), batch)
    assert logits.shape == (2, 3)
    assert (logits == float("-inf")).tolist() == [[False, False, True], [False, False, False]]
    scores = head(hidden(5), packed(5, 5, 5, 5, 5, segments=torch.arange(5)[None]))[0]
    torch.testing.assert_close(logits[0, :2], scores[:2])
    torch.testing.assert_close(logits[1], scores[2:])
    two_choices = cross_entropy(scores[None, :2], torch.tensor([1]), reduction="sum")
    three_choices = cross_entropy(scores[None, 2:], torch.tensor([2]), reduction="sum")
    loss = head.family.loss_sum(logits, batch)
    torch.testing.assert_close(loss, two_choices + three_choices)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_only_predicted_tokens_get_logits_in_order_of_the_batch(tiny_encoder: Any) -> None:
    head = head_of("udpos", tiny_encoder)
    states = hidden(2)
    logits = head(states, {"targets": torch.tensor([1, 7, 8])})
    assert logits.shape == (3, 17)
    torch.testing.assert_close(logits, head.task.classifier(torch.stack([states[1], states[7], states[8]])))


def test_masked_tokens_are_scored_against_the_word_embeddings(tiny_encoder: Any) -> None:
    head = head_of("mlm", tiny_encoder)
    batch = {"targets": torch.tensor([8])}
    logits = head(hidden(2), batch)
    assert logits.shape == (1, tiny_encoder.config.vocab_size)
    with torch.no_grad():
        tiny_encoder.get_input_embeddings().weight[7] = 0.0
        head.task.lm_head.bias[7] = 1.0
    assert head(hidden(2), batch)[0, 7].item() == pytest.approx(1.0, abs=1e-5)


def test_loss_is_the_sum_over_targets_none_without_and_a_tag_that_training_lacks_teaches_nothing(
    tiny_encoder: Any,
) -> None:
    loss_sum = KINDS["sequence"].loss_sum
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1, IGNORED, 2, 2])
    expected = -sum(logits.log_softmax(-1)[row, label] for row, label in enumerate(labels) if label != IGNORED)
    torch.testing.assert_close(loss_sum(logits, {"labels": labels}), expected)
    loss = loss_sum(torch.empty(0, 4, requires_grad=True), {"labels": torch.empty(0, dtype=torch.long)})
    loss.backward()
    assert loss.item() == 0.0
    head = head_of("udpos", tiny_encoder)
    batch = {"targets": torch.tensor([1, 2, 3]), "labels": torch.tensor([3, UNSEEN, 1])}
    logits = head(hidden(1), batch)
    assert len(logits) == 3
    known = cross_entropy(logits[[0, 2]], torch.tensor([3, 1]), reduction="sum")
    torch.testing.assert_close(head.family.loss_sum(logits, batch), known)


def test_an_answer_costs_the_mean_of_its_start_and_end_over_real_tokens(tiny_encoder: Any) -> None:
    head = head_of("squad_v1", tiny_encoder)
    batch = packed(5, 3, labels=torch.tensor([[1, 3], [0, 0]]))
    logits = head(hidden(2)[:8], batch)
    assert logits.shape == (2, 5, 2)
    assert torch.isinf(logits[1, 3:]).all()
    by_hand = 0.0
    for row, length in enumerate((5, 3)):
        for part in (0, 1):
            scores = logits[row, :length, part].detach()
            by_hand += float(torch.logsumexp(scores, 0) - scores[batch["labels"][row, part]]) / 2
    assert float(head.family.loss_sum(logits, batch).detach()) == pytest.approx(by_hand, rel=1e-5)
    hidden_gold = packed(5, labels=torch.full((1, 2), IGNORED))
    assert float(head.family.loss_sum(head(hidden(1), hidden_gold), hidden_gold).detach()) == 0.0


def test_outputs_that_are_one_label_are_summed_as_probabilities(tiny_encoder: Any) -> None:
    head = head_of("xnli", tiny_encoder)
    batch, states = packed(5, 5), hidden(2)
    chances = head(states, batch).softmax(-1)
    head.order = ((2,), (0, 1), ())
    merged = head(states, batch).softmax(-1)
    torch.testing.assert_close(merged[:, :2], torch.stack([chances[:, 2], chances[:, 0] + chances[:, 1]], 1))
    assert (merged[:, 2] == 0).all()


def by_hand(logits: torch.Tensor, context: torch.Tensor, n_best: int, longest: int) -> list[tuple[int, int, float]]:
    length = len(logits)
    spans = [
        (first, last, float(logits[first, 0] + logits[last, 1]))
        for first in range(length)
        for last in range(first, min(length, first + longest))
        if context[first] and context[last]
    ]
    return sorted(spans, key=lambda span: -span[2])[:n_best]


@pytest.mark.parametrize("longest", [1, 3, 30])
@pytest.mark.parametrize("n_best", [1, 5, 40])
def test_the_best_spans_are_those_of_an_exhaustive_search(n_best: int, longest: int) -> None:
    torch.manual_seed(0)
    logits, context = torch.randn(4, 9, 2), torch.rand(4, 9) > 0.4
    context[3] = False
    found = best_spans(logits, context, n_best, longest)
    assert found.shape == (4, 1 + 3 * n_best)
    for row in range(4):
        real = [span for span in found[row, 1:].reshape(-1, 3).tolist() if math.isfinite(span[2])]
        expected = by_hand(logits[row], context[row], n_best, longest)
        assert real == [[first, last, pytest.approx(score, abs=1e-6)] for first, last, score in expected]


def test_no_answer_scores_as_the_first_token_does_and_padding_that_is_ruled_out_is_never_one() -> None:
    logits = torch.zeros(2, 3, 2)
    logits[0, 0] = torch.tensor([1.5, 2.0])
    assert best_spans(logits, torch.ones(2, 3, dtype=torch.bool), 1, 3)[:, 0].tolist() == [3.5, 0.0]
    logits = torch.zeros(1, 5, 2)
    logits[0, 3:] = float("-inf")
    context = torch.tensor([[False, True, True, True, True]])
    spans = best_spans(logits, context, 10, 5)[0, 1:].reshape(-1, 3)
    real = spans[torch.isfinite(spans[:, 2])]
    assert sorted(real[:, :2].tolist()) == [[1, 1], [1, 2], [2, 2]]
