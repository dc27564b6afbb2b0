from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dist_stilts.data.subsets import ordering, subset

three_classes = st.lists(st.integers(0, 2), min_size=1, max_size=60)
seeds = st.integers(0, 2**32)


def names(count: int) -> list[str]:
    return [f"train-{row}" for row in range(count)]


@given(three_classes, seeds)
def test_every_subset_is_inside_every_larger_one_of_its_seed(classes: list[int], seed: int) -> None:
    ids = names(len(classes))
    chosen = [set(subset(ids, classes, size, seed)) for size in range(len(ids) + 1)]
    assert [len(rows) for rows in chosen] == list(range(len(ids) + 1))
    assert all(small < large for small, large in pairwise(chosen))


def test_subset_of_1000_is_inside_subset_of_3000() -> None:
    ids, classes = names(10_000), [row % 3 for row in range(10_000)]
    small, large = subset(ids, classes, 1000, 7), subset(ids, classes, 3000, 7)
    assert set(small) < set(large)
    assert sorted(Counter(row % 3 for row in small).values()) == [333, 333, 334]


def furthest_from_its_share(classes: list[int], seed: int) -> float:
    """The most rows by which any class differs from its share, over all prefixes."""
    ordered = np.array(classes)[ordering(names(len(classes)), classes, seed)]
    sizes = np.arange(1, len(classes) + 1)
    return max(
        float(np.abs(np.cumsum(ordered == label) - sizes * classes.count(label) / len(classes)).max())
        for label in set(classes)
    )


@given(three_classes, seeds)
def test_every_prefix_has_the_class_shares_of_the_whole_to_within_one_row(classes: list[int], seed: int) -> None:
    assert furthest_from_its_share(classes, seed) <= 1 + 1e-9


def test_shares_hold_to_within_half_a_row_per_other_class() -> None:
    assert furthest_from_its_share([0] * 1000 + [label for label in range(1, 11) for _ in range(10)], 0) <= 10 / 2


@given(three_classes, seeds, st.randoms())
def test_file_order_has_no_part_in_the_choice(classes: list[int], seed: int, random: object) -> None:
    rows = list(zip(names(len(classes)), classes, strict=True))
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    size = len(rows) // 2

    def chosen(table: list[tuple[str, int]]) -> set[str]:
        ids, labels = zip(*table, strict=True)
        return {ids[row] for row in subset(ids, labels, size, seed)}

    assert chosen(rows) == chosen(shuffled)


def test_seeds_choose_differently() -> None:
    ids, classes = names(300), [row % 3 for row in range(300)]
    chosen = {tuple(subset(ids, classes, 30, seed)) for seed in range(10)}
    assert len(chosen) == 10


def test_rows_come_in_ascending_order_and_once() -> None:
    rows = subset(names(50), [0] * 50, 20, 0)
    assert (np.diff(rows) > 0).all()
    assert len(rows) == 20
