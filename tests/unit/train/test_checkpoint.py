from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dist_stilts.errors import UserError
from dist_stilts.layout import COMPLETE, RunFolder
from dist_stilts.parallel.world import World
from dist_stilts.train import checkpoint
from dist_stilts.train.checkpoint import TrainState, checksums, resume, save

ALONE = World(0, 1, 0, torch.device("cpu"), "none")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run whose engine is a dictionary, saved as one file."""

    def save_engine(engine: dict[str, int], folder: Path) -> None:
        (folder / "engine").mkdir()
        (folder / "engine" / "weights").write_text(json.dumps(engine))

    def load_engine(engine: dict[str, int], folder: Path) -> None:
        engine.update(json.loads((folder / "engine" / "weights").read_text()))

    monkeypatch.setattr(checkpoint, "save_engine", save_engine)
    monkeypatch.setattr(checkpoint, "load_engine", load_engine)
    return RunFolder(tmp_path / "run")


def save_at(run: RunFolder, *steps: int, keep: int = 9) -> None:
    for step in steps:
        save(run, {"weights": 10 * step}, TrainState(step, 100 * step, 1.5, "data"), ALONE, keep)


def resumed(run: RunFolder, data: str = "data", world: World = ALONE) -> tuple[TrainState, dict[str, int], list[str]]:
    engine: dict[str, int] = {}
    warnings: list[str] = []
    return resume(run, engine, data, world, warnings.append), engine, warnings


def flip(path: Path, place: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_without_a_checkpoint_training_starts_at_step_0(run: RunFolder) -> None:
    assert resumed(run) == (TrainState(data="data"), {}, [])


def test_resume_continues_from_the_newest(run: RunFolder) -> None:
    save_at(run, 5, 10)
    assert resumed(run) == (TrainState(10, 1000, 1.5, "data"), {"weights": 100}, [])


def test_newest_is_by_number_not_by_name(run: RunFolder) -> None:
    save_at(run, 999_999, 1_000_000)
    assert resumed(run)[0].step == 1_000_000


def test_random_generators_continue_where_they_were(run: RunFolder) -> None:
    save_at(run, 5)
    expected = (random.random(), np.random.random(), torch.rand(3).tolist())
    resumed(run)
    assert (random.random(), np.random.random(), torch.rand(3).tolist()) == expected


@pytest.mark.parametrize("name", ["engine/weights", "rank-0.pt", "state.json"])
def test_a_flipped_byte_anywhere_is_detected_and_the_one_before_is_used(run: RunFolder, name: str) -> None:
    save_at(run, 5, 10)
    path = run.checkpoint(10) / name
    flip(path, path.stat().st_size // 2)
    state, engine, warnings = resumed(run)
    assert (state.step, engine) == (5, {"weights": 50})
    assert len(warnings) == 1
    assert "step-000010 is damaged" in warnings[0]


@pytest.mark.parametrize("damage", ["flipped", "cut off"])
def test_a_damaged_marker_is_a_damaged_checkpoint(run: RunFolder, damage: str) -> None:
    save_at(run, 5, 10)
    marker = run.checkpoint(10) / COMPLETE
    if damage == "flipped":
        flip(marker, 0)
    else:
        marker.write_bytes(marker.read_bytes()[:40])
    state, _, warnings = resumed(run)
    assert (state.step, len(warnings)) == (5, 1)


@pytest.mark.parametrize("name", ["engine/weights", "rank-0.pt"])
def test_a_missing_file_is_damage(run: RunFolder, name: str) -> None:
    save_at(run, 5, 10)
    (run.checkpoint(10) / name).unlink()
    assert resumed(run)[0].step == 5


def test_when_all_are_damaged_training_starts_over_and_says_so(run: RunFolder) -> None:
    save_at(run, 5, 10)
    for step in (5, 10):
        flip(run.checkpoint(step) / "engine" / "weights")
    state, engine, warnings = resumed(run)
    assert (state, engine, len(warnings)) == (TrainState(data="data"), {}, 2)


def test_a_checkpoint_without_marker_is_not_there(run: RunFolder) -> None:
    save_at(run, 5, 10)
    (run.checkpoint(10) / COMPLETE).unlink()
    assert resumed(run)[0].step == 5
    assert resumed(run)[2] == []


def test_what_a_killed_save_left_is_ignored_and_replaced(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    save_at(run, 5)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            save_at(run, 10)
    assert resumed(run)[0].step == 5
    save_at(run, 10)
    assert resumed(run)[0].step == 10
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-000005", "step-000010"]


def test_only_the_newest_are_kept(run: RunFolder) -> None:
    save_at(run, 5, 10, 15, 20, keep=2)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-000015", "step-000020"]


def test_a_damaged_checkpoint_is_replaced_when_its_step_comes_again(run: RunFolder) -> None:
    save_at(run, 5, 10)
    flip(run.checkpoint(10) / "engine" / "weights")
    save_at(run, 10)
    assert resumed(run) == (TrainState(10, 1000, 1.5, "data"), {"weights": 100}, [])


def test_a_checkpoint_of_other_data_is_refused(run: RunFolder) -> None:
    save_at(run, 5)
    with pytest.raises(UserError, match="step-000005: the checkpoint was trained on other rows"):
        resumed(run, data="other")


def test_a_checkpoint_of_another_world_size_is_refused(run: RunFolder) -> None:
    save_at(run, 5)
    with pytest.raises(UserError, match=r"taken with 1 ranks, this job has 2.*--ranks 1"):
        resumed(run, world=World(0, 2, 0, torch.device("cpu"), "none"))


def test_checksums_name_every_file_but_the_marker(run: RunFolder) -> None:
    save_at(run, 5)
    assert sorted(checksums(run.checkpoint(5))) == ["engine/weights", "rank-0.pt", "state.json"]
    assert json.loads((run.checkpoint(5) / COMPLETE).read_text()) == checksums(run.checkpoint(5))
