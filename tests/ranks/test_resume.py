"""Laws 2, 9 and 10 on two ranks with dropout in bf16: a run that died goes on as if nothing had been, bit by bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.timeout(300)
SECONDS_TO_END = 30.0


@dataclass(frozen=True)
class Story:
    """One run to its end, one that died, and its second start; ``died_at`` is when one rank raised."""

    whole: list[dict[str, Any]]
    death: list[Any]
    died_at: float
    resumed: list[dict[str, Any]]
    checkpoints_at_death: list[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, run_ranks: Callable[..., Any]) -> Story:
    out = tmp_path_factory.mktemp("interrupted")
    death = run_ranks("worker_interrupted.py", 2, out, "die", check=False)
    assert (out / "died").is_file(), death[0].stderr
    whole = load(out)
    checkpoints = sorted(path.name for path in (out / "broken" / "checkpoints").iterdir())
    run_ranks("worker_interrupted.py", 2, out, "go-on")
    died_at = float((out / "died").read_text(encoding="utf-8"))
    resumed = load(out)
    shutil.rmtree(out / "broken")
    return Story(whole, death, died_at, resumed, checkpoints)


def load(out: Path) -> list[dict[str, Any]]:
    return [torch.load(out / f"rank-{rank}.pt", weights_only=False) for rank in range(2)]


def test_a_rank_that_raises_ends_all_ranks_soon_and_non_zero(story: Story) -> None:
    assert all(rank.code != 0 for rank in story.death)
    assert max(rank.at for rank in story.death) - story.died_at < SECONDS_TO_END
    assert "row 170 cannot be read" in story.death[1].stderr


def test_only_finished_checkpoints_are_left_by_a_run_that_died(story: Story) -> None:
    assert story.checkpoints_at_death == ["step-000003", "step-000006"]


def test_a_second_start_goes_on_from_the_newest_checkpoint(story: Story) -> None:
    assert [rank["first_step"] for rank in story.whole] == [0, 0]
    assert [rank["first_step"] for rank in story.resumed] == [6, 6]


@pytest.mark.parametrize("metric", ["step", "loss", "grad_norm", "learning_rate", "padding"])
def test_a_resumed_run_logs_exactly_what_the_uninterrupted_run_logged(story: Story, metric: str) -> None:
    for whole, resumed in zip(story.whole, story.resumed, strict=True):
        assert [values[metric] for values in resumed["logged"]] == [values[metric] for values in whole["logged"][6:]]
        assert len(resumed["logged"]) == 14
        assert resumed["tokens"] == whole["tokens"]


@pytest.mark.parametrize("what", ["weights", "moments"])
def test_a_resumed_run_ends_with_the_bits_of_the_uninterrupted_run(story: Story, what: str) -> None:
    for whole, resumed in zip(story.whole, story.resumed, strict=True):
        assert whole[what].keys() == resumed[what].keys()
        different = [name for name, tensor in whole[what].items() if not torch.equal(tensor, resumed[what][name])]
        assert different == []


def test_a_checkpoint_of_other_rows_is_refused_on_every_rank(story: Story) -> None:
    assert all("was trained on other rows" in rank["other rows"] for rank in story.resumed)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_with_a_warning(story: Story) -> None:
    main, other = (rank["after damage"] for rank in story.resumed)
    assert (main["step"], other["step"]) == (18, 18)
    assert len(main["warnings"]) == 1
    assert "step-000020 is damaged" in main["warnings"][0]
    assert other["warnings"] == []
