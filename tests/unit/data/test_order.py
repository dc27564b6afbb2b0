from __future__ import annotations

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


@st.composite
def dealt_batches(draw: st.DrawFn) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Lengths of a batch, and the batch dealt out to some ranks and micro-batches, evenly or not."""
    ranks, micro_batches, spare = draw(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(0, 25)))
    rows = ranks * micro_batches + spare
    lengths = np.array(draw(st.lists(st.integers(1, 9), min_size=rows, max_size=rows)))
    dealt = deal(lengths, ranks, micro_batches)
    assert [len(cells) for cells in dealt] == [micro_batches] * ranks
    return lengths, dealt


@given(dealt_batches())
def test_deal_gives_every_row_of_the_batch_to_one_place(batch: tuple[np.ndarray, list[list[np.ndarray]]]) -> None:
    lengths, dealt = batch
    assert sorted(row for cells in dealt for cell in cells for row in cell.tolist()) == list(range(len(lengths)))


@given(dealt_batches())
def test_neither_ranks_nor_micro_batches_differ_by_more_than_a_row(
    batch: tuple[np.ndarray, list[list[np.ndarray]]],
) -> None:
    sizes = np.array([[len(cell) for cell in cells] for cells in batch[1]])
    assert sizes.min() >= 1
    assert np.ptp(sizes) <= 1
    assert np.ptp(sizes.sum(axis=1)) <= 1


@given(dealt_batches())
def test_at_each_micro_batch_no_rank_holds_a_row_that_belongs_to_the_next(
    batch: tuple[np.ndarray, list[list[np.ndarray]]],
) -> None:
    lengths, dealt = batch
    in_order = np.concatenate([lengths[cell] for micro_batch in zip(*dealt, strict=True) for cell in micro_batch])
    assert (np.diff(in_order) >= 0).all()


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
def test_an_even_deal_is_the_order_of_length_cut_into_equal_blocks(
    ranks: int, micro_batches: int, size: int, seed: int
) -> None:
    lengths = np.random.default_rng(seed).integers(1, 9, ranks * micro_batches * size)
    blocks = np.argsort(lengths, kind="stable").reshape(micro_batches, ranks, size).transpose(1, 0, 2)
    assert np.array(deal(lengths, ranks, micro_batches)).tolist() == blocks.tolist()


def test_thirty_two_rows_on_three_ranks_are_eleven_eleven_and_ten() -> None:
    dealt = deal(np.arange(32), 3, 1)
    assert [[cell.tolist() for cell in cells] for cells in dealt] == [
        [list(range(11))],
        [list(range(11, 22))],
        [list(range(22, 32))],
    ]


def test_deal_leaves_no_place_without_a_row() -> None:
    with pytest.raises(AssertionError, match="3 rows for 2 ranks x 2 micro-batches"):
        deal(np.arange(3), 2, 2)
