from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dist_stilts.families.masking import mask, number_of_targets, uniform
from dist_stilts.tasks.spec import IGNORED

PAD, MASK = 1, 999
ORDINARY_IDS = np.arange(4, 999)


def batch(rows: int, length: int) -> np.ndarray:
    """Ordinary tokens between the special tokens 0 and 2."""
    ids = np.random.default_rng(0).choice(ORDINARY_IDS, (rows, length))
    ids[:, 0], ids[:, -1] = 0, 2
    return ids


def masked(
    ids: np.ndarray, rows: Any = None, epoch: int = 0, seed: int = 0, rate: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(len(ids)) if rows is None else np.asarray(rows)
    how: dict[str, Any] = {"seed": seed, "rate": rate, "mask_id": MASK, "ordinary_ids": ORDINARY_IDS}
    return mask(ids, np.isin(ids, ORDINARY_IDS), rows, np.full(len(ids), epoch), **how)


@pytest.mark.parametrize("rate", [0.15, 0.4, 1.0])
def test_every_row_has_exactly_its_share_of_targets(rate: float) -> None:
    _, labels = masked(batch(200, 43), rate=rate)
    assert ((labels != IGNORED).sum(1) == round(41 * rate)).all()


def test_of_the_targets_80_percent_are_masked_10_replaced_10_kept_and_other_tokens_stay() -> None:
    ids = batch(2000, 102)
    after, labels = masked(ids)
    target = labels != IGNORED
    assert (labels[target] == ids[target]).all()
    assert (after[~target] == ids[~target]).all()
    became_mask = (after[target] == MASK).mean()
    kept = (after[target] == ids[target]).mean()
    assert target.sum() == 30_000
    assert became_mask == pytest.approx(0.8, abs=0.01)
    assert kept == pytest.approx(0.1, abs=0.01)
    replaced = after[target & (after != MASK) & (after != ids)]
    assert len(np.unique(replaced)) > 800
    assert np.isin(replaced, ORDINARY_IDS).all()


def test_every_position_is_chosen_equally_often() -> None:
    _, labels = masked(batch(4000, 22))
    shares = (labels != IGNORED)[:, 1:-1].mean(0)
    assert shares == pytest.approx(np.full(20, 0.15), abs=0.03)


def test_specials_are_never_chosen_and_of_ordinary_tokens_the_nearest_whole_number_and_at_least_one() -> None:
    ids = batch(100, 30)
    ids[:, 20:] = PAD
    ids[50:, 3:] = PAD
    _, labels = masked(ids, rate=1.0)
    assert (labels[np.isin(ids, [0, 1, 2])] == IGNORED).all()
    assert (labels[~np.isin(ids, [0, 1, 2])] != IGNORED).all()
    assert number_of_targets(np.array([0, 1, 3, 10, 100]), 0.15).tolist() == [0, 1, 1, 2, 15]
    ids = np.array([[0, 2, PAD, PAD], [0, 7, 2, PAD]])
    after, labels = masked(ids)
    assert (after[0] == ids[0]).all()
    assert (labels != IGNORED).sum(1).tolist() == [0, 1]


def test_fate_of_a_row_does_not_depend_on_its_batch_place_or_padding() -> None:
    ids, order = batch(8, 30), np.random.default_rng(1).permutation(8)
    together = masked(ids)
    assert all((a[order] == b).all() for a, b in zip(together, masked(ids[order], rows=order), strict=True))
    padded = np.pad(ids[5:6], ((0, 0), (0, 11)), constant_values=PAD)
    alone = masked(padded, rows=[5])
    for whole, single, fill in zip(together, alone, (PAD, IGNORED), strict=True):
        assert (whole[5] == single[0, :30]).all()
        assert (single[0, 30:] == fill).all()


def test_masks_change_with_epoch_row_and_seed_and_what_replaces_a_token_says_nothing_about_the_next_epoch() -> None:
    ids = np.tile(batch(1, 60), (20, 1))
    chosen = [masked(ids)[1], masked(ids, epoch=1)[1], masked(ids, seed=1)[1], masked(ids, rows=np.arange(20, 40))[1]]
    assert len({labels.tobytes() for labels in chosen}) == 4
    assert len({row.tobytes() for row in chosen[0]}) == 20
    ids = batch(1000, 102)
    first, labels = masked(ids)
    not_masked = (labels != IGNORED) & (first != MASK)
    chosen_next = masked(ids, epoch=1)[1] != IGNORED
    assert chosen_next[not_masked].mean() == pytest.approx(0.15, abs=0.03)


def test_uniform_numbers_are_uniform_and_uncorrelated_between_neighbours() -> None:
    draws = uniform(3, np.zeros((1, 1), np.int64), np.arange(300)[:, None], np.arange(300))
    assert draws.min() >= 0
    assert draws.max() < 1
    assert np.histogram(draws, 10, (0, 1))[0] == pytest.approx(np.full(10, 9000), abs=400)
    for a, b in ((draws[1:], draws[:-1]), (draws[:, 1:], draws[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02
