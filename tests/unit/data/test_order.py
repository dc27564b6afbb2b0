from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.data.order import deal, deal_by_length, global_batch, permutation


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 25))
def test_every_epoch_is_a_permutation_whatever_the_batch_size(seed: int, size: int, batch_size: int) -> None:
    steps = [global_batch(seed, size, batch_size, step) for step in range(-(-3 * size // batch_size))]
    rows, epochs = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    for epoch in range(3):
        assert sorted(rows[epochs == epoch]) == list(range(size))
    assert (np.diff(epochs) >= 0).all()


def test_every_row_is_used_equally_often_in_an_order_of_seed_and_epoch_and_step_501_needs_no_step_before_it() -> None:
    counts = Counter(int(row) for step in range(15) for row in global_batch(3, 10, 4, step)[0])
    assert counts == dict.fromkeys(range(10), 6)
    rows, epochs = global_batch(0, 3, 7, 0)
    assert Counter(rows.tolist()).most_common()[-1][1] == 2
    assert epochs.tolist() == [0, 0, 0, 1, 1, 1, 2]
    walked = [global_batch(5, 1000, 32, step) for step in range(502)][501]
    permutation.cache_clear()
    asked = global_batch(5, 1000, 32, 501)
    assert all((a == b).all() for a, b in zip(walked, asked, strict=True))
    orders = {tuple(permutation(seed, epoch, 50)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


Shares = list[list[np.ndarray]]


@st.composite
def dealt_batches(draw: st.DrawFn) -> tuple[np.ndarray, int, int, Shares]:
    """Tokens of a batch's rows, ranks, budget, and the batch dealt out."""
    ranks, spare, budget = draw(st.tuples(st.integers(1, 5), st.integers(0, 40), st.integers(1, 200)))
    tokens = np.array(draw(st.lists(st.integers(1, 30), min_size=ranks + spare, max_size=ranks + spare)))
    return tokens, ranks, budget, deal(tokens, ranks, budget)


def cells(dealt: Shares) -> list[np.ndarray]:
    return [cell for share in dealt for cell in share]


@given(dealt_batches())
def test_rows_are_dealt_whole_within_the_budget_and_evenly(batch: tuple[np.ndarray, int, int, Shares]) -> None:
    tokens, ranks, budget, dealt = batch
    assert sorted(row for cell in cells(dealt) for row in cell.tolist()) == list(range(len(tokens)))
    assert len(dealt) == ranks
    assert len({len(share) for share in dealt}) == 1  # ranks meet at every micro-batch
    assert min(len(cell) for cell in cells(dealt)) >= 1
    if len(dealt[0]) < len(tokens) // ranks:  # while rows can be parted
        assert max(tokens[cell].sum() for cell in cells(dealt)) <= budget
    for turn in zip(*dealt, strict=True):
        # By one row at most: the longest go first, each to where there is least.
        loads = [int(tokens[cell].sum()) for cell in turn]
        assert max(loads) - min(loads) <= tokens.max()


def test_a_batch_within_the_budget_is_one_pass_in_order_and_real_lengths_are_shared_almost_evenly() -> None:
    assert [[cell.tolist() for cell in share] for share in deal(np.array([3, 9, 4]), 1, 16)] == [[[0, 1, 2]]]
    (passes,) = deal(np.array([50, 3, 4]), 1, 10)
    assert [0] in [cell.tolist() for cell in passes]
    assert sorted(cell.tolist() for cell in passes) == [[0], [1, 2]] or len(passes) == 3
    with pytest.raises(AssertionError, match="3 rows for 4 ranks"):
        deal(np.arange(1, 4), 4, 100)
    tokens = np.random.default_rng(0).lognormal(3.6, 0.5, 128).astype(int) + 3
    loads = np.array([[tokens[cell].sum() for cell in share] for share in deal(tokens, 4, 600)])
    assert loads.max() <= 600
    assert np.ptp(loads.sum(1)) < 0.02 * loads.sum(1).mean()
    assert loads.shape[1] == -(-tokens.sum() // (4 * 600))  # as few as could be


@given(st.integers(1, 4), st.integers(0, 30), st.integers(1, 300), st.integers(0, 99))
def test_with_padding_like_lengths_share_a_micro_batch(ranks: int, spare: int, budget: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.stack([rng.integers(1, 4, ranks + spare), rng.integers(1, 20, ranks + spare)], axis=1)
    dealt = deal_by_length(places, ranks, budget)
    rows = [row for turn in zip(*dealt, strict=True) for cell in turn for row in cell.tolist()]
    assert sorted(rows) == list(range(len(places)))
    assert (np.diff(places[rows, 1]) >= 0).all()
    if len(dealt[0]) < len(places) // ranks:
        assert max(places[cell, 0].sum() * places[cell, 1].max() for cell in cells(dealt)) <= budget
