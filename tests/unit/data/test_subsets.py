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


def test_a_subset_of_many_rows_has_its_shares_in_ascending_order_and_another_for_each_seed() -> None:
    ids, classes = names(3000), [row % 3 for row in range(3000)]
    small, large = subset(ids, classes, 100, 7), subset(ids, classes, 1000, 7)
    assert set(small) < set(large)
    assert sorted(Counter(row % 3 for row in large).values()) == [333, 333, 334]
    assert (np.diff(large) > 0).all()
    assert len({tuple(subset(ids, classes, 30, seed)) for seed in range(10)}) == 10
    many_classes = [0] * 1000 + [label for label in range(1, 11) for _ in range(10)]
    assert furthest_from_its_share(many_classes, 0) <= 10 / 2, "half a row per other class"
