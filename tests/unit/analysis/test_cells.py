from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dist_stilts.analysis.cells import MEAN, Cells, cells


def table() -> pd.DataFrame:
    """en, de, sw at sizes 0 and 100, two runs each; the value tells which is which."""
    runs = [(size, seed, name) for size in (0, 100) for seed in (0, 1) for name in ("en", "de", "sw")]
    found = pd.DataFrame(runs, columns=["size", "seed", "language"])
    found["value"] = found["language"].map({"en": 80.0, "de": 70.0, "sw": 50.0}) + found["size"] / 50 + found["seed"]
    found["intermediate"] = np.where(found["size"] > 0, "mnli", "")
    found["run"] = found["size"].astype(str) + "-" + found["seed"].astype(str)
    return found.assign(trained=True, target="xnli", metric="accuracy", count=4, degenerate=False)


def by_language(scores: pd.DataFrame, outcomes: dict | None = None) -> dict[str, Cells]:
    return {one.language: one for one in cells(scores, outcomes or {})}


def test_the_mean_is_over_languages_but_english_with_every_size_and_the_baseline_is_of_every_intermediate() -> None:
    scores = table()
    found = by_language(scores)
    assert list(found) == ["de", "en", "sw", MEAN]
    assert [name for name, one in found.items() if one.is_mean] == [MEAN]
    assert (found[MEAN].means.tolist(), found[MEAN].count) == ([60.5, 62.5], 8)
    found = by_language(scores[~((scores["language"] == "sw") & (scores["size"] == 0))])
    assert found["sw"].sizes == (100,)
    assert found[MEAN].means.tolist() == found["de"].means.tolist()
    again = scores[scores["size"] > 0].assign(intermediate="squad")
    found = [one for one in cells(pd.concat([scores, again]), {}) if one.language == "de"]
    assert [(one.intermediate, one.sizes) for one in found] == [("mnli", (0, 100)), ("squad", (0, 100))]


def test_a_degenerate_run_is_left_out_and_counted_and_nothing_else_is_no_error() -> None:
    scores = table()
    scores.loc[(scores["run"] == "100-1") & (scores["language"] == "de"), "degenerate"] = True
    found = by_language(scores)
    assert (found["de"].left_out, [len(v) for v in found["de"].values]) == (1, [2, 1])
    assert found["de"].means[1] == 72.0
    assert (found["sw"].left_out, found[MEAN].left_out) == (0, 1)
    assert found[MEAN].means[1] == 62.0
    found = by_language(table().assign(degenerate=True))
    assert list(found) == ["de", "en", "sw", MEAN]
    assert all((one.sizes, one.left_out) == ((), 4) for one in found.values())
    assert not list(cells(table()[:0], {}))
    assert not list(cells(table().query("size == 0"), {}))


def outcomes(rng: np.random.Generator, rows: dict[str, int]) -> dict[tuple[str, str, str], np.ndarray]:
    runs = [f"{size}-{seed}" for size in (0, 100) for seed in (0, 1)]
    return {(run, "xnli", name): rng.random(count).astype(np.float32) for run in runs for name, count in rows.items()}


@pytest.mark.parametrize(("rows", "sets"), [({"en": 5, "de": 5, "sw": 5}, 1), ({"en": 5, "de": 5, "sw": 7}, 2)])
def test_outcomes_sum_up_to_the_mean_score_and_those_of_some_runs_only_are_not_used(
    rows: dict[str, int], sets: int
) -> None:
    """Parallel test sets are taken row by row, others each by itself."""
    known = outcomes(np.random.default_rng(0), rows)
    scores = table()
    scores["value"] = [100 * float(known[r.run, "xnli", r.language].mean()) for r in scores.itertuples()]
    found = by_language(scores, known)[MEAN]
    assert len(found.rows) == sets
    for index, mean in enumerate(found.means):
        assert 100 * sum(blocks[index].mean() for blocks in found.rows) == pytest.approx(mean, abs=1e-4)
    del known["100-1", "xnli", "de"]
    found = by_language(scores, known)
    assert (found["de"].rows, found[MEAN].rows) == ((), ())
    assert len(found["sw"].rows) == 1
