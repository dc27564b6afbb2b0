from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.data.order import deal, global_batch, permutation


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 25))
def test_every_epoch_is_a_permutation_whatever_the_batch_size(seed: int, size: int, batch_size: int) -> None:
    steps = [global_batch(seed, size, batch_size, step) for step in range(-(-3 * size // batch_size))]
    rows, epochs = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    for epoch in range(3):
        assert sorted(rows[epochs == epoch]) == list(range(size))
    assert (np.diff(epochs) >= 0).all()


def test_every_row_is_used_equally_often_when_epochs_end_inside_batches() -> None:
    size, batch_size = 10, 4
    counts = Counter(int(row) for step in range(15) for row in global_batch(3, size, batch_size, step)[0])
    assert counts == dict.fromkeys(range(size), 6)


def test_a_batch_larger_than_the_data_spans_epochs() -> None:
    rows, epochs = global_batch(0, 3, 7, 0)
    assert Counter(rows.tolist()).most_common()[-1][1] == 2
    assert epochs.tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_step_501_needs_no_step_before_it() -> None:
    walked = [global_batch(5, 1000, 32, step) for step in range(502)][501]
    permutation.cache_clear()
    asked = global_batch(5, 1000, 32, 501)
    assert all((a == b).all() for a, b in zip(walked, asked, strict=True))


def test_seeds_and_epochs_have_orders_of_their_own() -> None:
    orders = {tuple(permutation(seed, epoch, 50)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


shares = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))


def draw_lengths(data: st.DataObject, share: tuple[int, int, int]) -> np.ndarray:
    rows = math.prod(share)
    return np.array(data.draw(st.lists(st.integers(1, 9), min_size=rows, max_size=rows)))


@given(st.data(), shares)
def test_deal_gives_every_row_of_the_batch_to_one_place(data: st.DataObject, share: tuple[int, int, int]) -> None:
    lengths = draw_lengths(data, share)
    ranks, micro_batches, size = share
    dealt = deal(lengths, ranks, micro_batches)
    assert dealt.shape == (ranks, micro_batches, size)
    assert sorted(dealt.ravel()) == list(range(len(lengths)))


@given(st.data(), shares)
def test_at_each_micro_batch_no_rank_holds_a_row_that_belongs_to_the_next(
    data: st.DataObject, share: tuple[int, int, int]
) -> None:
    lengths = draw_lengths(data, share)
    ranks, micro_batches, _ = share
    by_micro_batch = lengths[deal(lengths, ranks, micro_batches)].transpose(1, 0, 2).reshape(micro_batches, -1)
    assert (np.diff(by_micro_batch.ravel()) >= 0).all()


def test_deal_refuses_a_batch_that_does_not_divide() -> None:
    with pytest.raises(ValueError, match="reshape"):
        deal(np.arange(7), 2, 2)
