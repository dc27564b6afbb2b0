from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import results_made

from dist_stilts.analysis.outcomes import load
from dist_stilts.analysis.scores import frame
from dist_stilts.layout import RecipeFolder, layer_folder, prediction_file, write_text
from dist_stilts.results.record import ResultRecord


def record(**fields: Any) -> ResultRecord:
    return results_made.record(**{"run": "a", "value": 75.0, "count": 4} | fields)


@pytest.fixture
def runs(tmp_path: Path) -> RecipeFolder:
    return RecipeFolder(tmp_path, "study")


def write(runs: RecipeFolder, text: str, task: str = "xnli", layer: int | None = None, run: str = "a") -> None:
    folder = runs.run(run).predictions
    folder = folder if layer is None else layer_folder(folder, layer)
    write_text(prediction_file(folder, task, "test", "de", "outcomes"), text)


def test_outcomes_are_found_under_the_names_that_the_frame_has(runs: RecipeFolder) -> None:
    write(runs, "1\n0\n1\n1\n")
    records = [record(), record(run="b", split="dev")]
    found = load(records, runs.run)
    assert set(found) == {("a", "xnli test", "de")}
    assert ("a", "xnli test", "de") in set(frame(records)[["run", "target", "language"]].itertuples(index=False))
    assert found["a", "xnli test", "de"].tolist() == [1, 0, 1, 1]
    assert found["a", "xnli test", "de"].dtype == np.float32


def test_a_run_without_the_file_is_absent(runs: RecipeFolder) -> None:
    assert load([record()], runs.run) == {}


def test_of_several_layers_each_has_its_own(runs: RecipeFolder) -> None:
    write(runs, "1\n1\n1\n0\n", "tatoeba", layer=1)
    write(runs, "0\n1\n1\n1\n", "tatoeba", layer=2)
    found = load([record(task="tatoeba", layer=layer) for layer in (1, 2)], runs.run)
    assert [found["a", f"tatoeba layer {layer}", "de"].tolist()[0] for layer in (1, 2)] == [1, 0]


def test_of_one_layer_the_file_lies_where_others_do(runs: RecipeFolder) -> None:
    write(runs, "1\n1\n1\n0\n", "tatoeba")
    assert list(load([record(task="tatoeba", layer=14)], runs.run)) == [("a", "tatoeba", "de")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1\n1\n1\n", "3 rows, but the score is of 4"),
        ("1\n1\n0\n0\n", "the rows' mean is 50.00, but the score is 75.00"),
        ("1\n1\none\n0\n", "not one number per line"),
    ],
)
def test_a_file_that_does_not_fit_its_score_is_ignored_aloud(
    text: str, why: str, runs: RecipeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    write(runs, text)
    assert load([record()], runs.run) == {}
    assert why in caplog.text
    assert "test-de.outcomes" in caplog.text


def test_numbers_between_none_and_all_are_kept_within_their_rounding(runs: RecipeFolder) -> None:
    write(runs, "0.3333\n0.6667\n1\n0\n")
    assert len(load([record(value=50.0004)], runs.run)) == 1
