from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from dist_stilts.model.heads import head_name, loss_sum, make_head
from dist_stilts.tasks.registry import all_tasks, get_task
from dist_stilts.tasks.spec import IGNORED, TRAINABLE


@pytest.fixture
def config(tiny_encoder: Any) -> Any:
    return tiny_encoder.config


def hidden(rows: int, length: int = 5) -> torch.Tensor:
    return torch.randn(rows, length, 16, generator=torch.Generator().manual_seed(0))


def test_mnli_and_xnli_share_a_head_and_no_other_tasks_do() -> None:
    names = {spec.name: head_name(spec) for spec in all_tasks() if spec.family in TRAINABLE}
    assert names["mnli"] == names["xnli"]
    assert len(set(names.values())) == len(names) - 1


def test_a_pair_has_a_logit_per_class(config: Any) -> None:
    head = make_head(get_task("xnli"), config).eval()
    logits = head(hidden(4), {"labels": torch.tensor([0, 1, 2, 0])})
    assert logits.shape == (4, 3)
    assert logits.dtype == torch.float32


def test_a_pair_is_read_from_its_first_token(config: Any) -> None:
    head = make_head(get_task("xnli"), config).eval()
    states, labels = hidden(2), {"labels": torch.tensor([0, 1])}
    changed = states.clone()
    changed[:, 1:] = 0
    assert torch.equal(head(states, labels), head(changed, labels))


def test_an_absent_choice_is_never_chosen_and_costs_nothing(config: Any) -> None:
    head = make_head(get_task("commonsenseqa"), config).eval()
    batch = {"segments": torch.tensor([[0, 1, -1], [2, 3, 4]]), "labels": torch.tensor([1, 2])}
    logits = head(hidden(5), batch)
    assert logits.shape == (2, 3)
    assert (logits == float("-inf")).tolist() == [[False, False, True], [False, False, False]]
    scores = head(hidden(5), {})[:, 0]
    assert torch.equal(logits[0, :2], scores[:2])
    assert torch.equal(logits[1], scores[2:])
    two_choices = cross_entropy(scores[None, :2], torch.tensor([1]), reduction="sum")
    three_choices = cross_entropy(scores[None, 2:], torch.tensor([2]), reduction="sum")
    torch.testing.assert_close(loss_sum(logits, batch), two_choices + three_choices)


def test_gradients_beside_an_absent_choice_are_finite(config: Any) -> None:
    head = make_head(get_task("commonsenseqa"), config)
    batch = {"segments": torch.tensor([[0, 1, -1], [2, 3, 4]]), "labels": torch.tensor([1, 2])}
    loss_sum(head(hidden(5), batch), batch).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_only_predicted_tokens_get_logits_in_order_of_the_batch(config: Any) -> None:
    head: Any = make_head(get_task("udpos"), config).eval()
    states, labels = hidden(2), torch.full((2, 5), IGNORED)
    labels[0, 1], labels[1, 2], labels[1, 3] = 4, 0, 16
    logits = head(states, {"labels": labels})
    assert logits.shape == (3, 17)
    expected = head.out(torch.stack([states[0, 1], states[1, 2], states[1, 3]]))
    torch.testing.assert_close(logits, expected)


def test_masked_tokens_are_scored_against_the_word_embeddings(config: Any) -> None:
    head: Any = make_head(get_task("mlm"), config).eval()
    embeddings = torch.randn(config.vocab_size, 16, generator=torch.Generator().manual_seed(1))
    labels = torch.full((2, 5), IGNORED)
    labels[1, 3] = 7
    logits = head(hidden(2), {"labels": labels}, embeddings)
    assert logits.shape == (1, config.vocab_size)
    with torch.no_grad():
        head.bias[7] += 1.0
    raised = head(hidden(2), {"labels": labels}, embeddings)
    assert (raised - logits)[0, 7].item() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(
        head(hidden(2), {"labels": labels}, 2 * embeddings) - head.bias, 2 * (raised - head.bias)
    )


def test_loss_is_the_sum_over_targets() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1, IGNORED, 2, 2])
    expected = -sum(logits.log_softmax(-1)[row, label] for row, label in enumerate(labels) if label != IGNORED)
    torch.testing.assert_close(loss_sum(logits, {"labels": labels}), expected)


def test_loss_of_token_logits_reads_the_labels_that_are_there() -> None:
    labels = torch.tensor([[IGNORED, 2, IGNORED], [1, IGNORED, 0]])
    logits = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    expected = cross_entropy(logits, torch.tensor([2, 1, 0]), reduction="sum")
    torch.testing.assert_close(loss_sum(logits, {"labels": labels}), expected)


def test_a_batch_without_targets_has_no_loss() -> None:
    logits, labels = torch.empty(0, 4, requires_grad=True), torch.full((2, 3), IGNORED)
    loss = loss_sum(logits, {"labels": labels})
    loss.backward()
    assert loss.item() == 0.0


def test_half_precision_hidden_states_give_fp32_logits(config: Any) -> None:
    head = make_head(get_task("xnli"), config).to(torch.bfloat16).eval()
    assert head(hidden(2).to(torch.bfloat16), {}).dtype == torch.float32
