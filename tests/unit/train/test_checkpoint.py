"""Laws 2 and 9 for the files alone, in one process, with an engine that owns what a test gives it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dist_stilts.conventions import sha256_of_file
from dist_stilts.errors import EXIT_FAILED, UserError
from dist_stilts.layout import RunFolder
from dist_stilts.parallel.world import World
from dist_stilts.train import checkpoint, shards
from dist_stilts.train.checkpoint import TrainState, resume, save
from dist_stilts.train.owned_state import OwnedState, Piece
from dist_stilts.writing import COMPLETE

ALONE = World(0, 1, 0, torch.device("cpu"))
SIZES = {"a": 7, "b": 5}


class Engine(SimpleNamespace):
    """Rank ``rank`` of ``ranks`` whose flat partition is its part of all parameters, one after another."""

    def __init__(self, rank: int = 0, ranks: int = 1) -> None:
        total = -(-sum(SIZES.values()) // ranks)
        flat = {key: torch.zeros(total) for key in ("weights", "exp_avg", "exp_avg_sq")}
        pieces, begin = [], 0
        for name, size in SIZES.items():
            first, last = max(begin, rank * total), min(begin + size, (rank + 1) * total)
            if first < last:
                pieces.append(Piece(name, first - begin, last - first, 0, first - rank * total))
            begin += size
        owned = OwnedState(pieces, {key: [tensor] for key, tensor in flat.items()}, [torch.tensor(0.0)])
        super().__init__(rank=rank, owned=owned, flat=flat, published=0)

    def fill(self) -> Engine:
        """Every element says which parameter and place it is of."""
        for piece in self.owned.pieces:
            for number, tensor in enumerate(self.flat.values()):
                values = (
                    1000 * number
                    + 100 * list(SIZES).index(piece.name)
                    + torch.arange(piece.start, piece.start + piece.size)
                )
                tensor[piece.offset : piece.offset + piece.size] = values.float()
        return self


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(shards, "owned_state", lambda engine: engine.owned)
    monkeypatch.setattr(shards, "publish_weights", lambda engine: setattr(engine, "published", engine.published + 1))
    return RunFolder(tmp_path)


def steps_of(run: RunFolder) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_checkpoint_brings_back_state_weights_and_moments(run: RunFolder) -> None:
    engine, state = Engine().fill(), TrainState(step=5, skipped=1, losses={"x": 0.5}, best=3.0, data="d")
    save(run, engine, state, [engine.flat["weights"] + 1], ALONE, keep=2)
    fresh = Engine()
    assert resume(RunFolder(run.path / "none"), fresh, "d", ALONE, print) == (TrainState(data="d"), [])
    found, chosen = resume(run, fresh, "d", ALONE, print)
    assert found == state
    assert all(torch.equal(fresh.flat[key], engine.flat[key]) for key in engine.flat)
    assert torch.equal(chosen[0], engine.flat["weights"] + 1)
    assert (int(fresh.owned.steps[0]), fresh.published) == (4, 1)


@pytest.mark.parametrize("wrote", [1, 2, 3, 5])
@pytest.mark.parametrize("reads", [1, 2, 3, 5])
def test_shards_of_any_number_of_ranks_are_read_by_any_other(
    run: RunFolder, tmp_path: Path, wrote: int, reads: int
) -> None:
    for rank in range(wrote):
        engine = Engine(rank, wrote).fill()
        shards.write_shard(tmp_path / f"shard-{rank}.safetensors", engine, [engine.flat["exp_avg"].clone()])
    for rank in range(reads):
        expected, found = Engine(rank, reads).fill(), Engine(rank, reads)
        chosen = shards.read_shards(sorted(tmp_path.glob("shard-*")), found, 1)
        assert all(torch.equal(found.flat[key], expected.flat[key]) for key in found.flat)
        assert torch.equal(chosen[0], expected.flat["exp_avg"])


def test_a_run_that_goes_on_from_another_takes_over_weights_moments_and_count_and_begins_at_step_0(
    run: RunFolder, tmp_path: Path
) -> None:
    engine, last = Engine().fill(), TrainState(step=9, skipped=2, before=40, losses={"x": 0.5}, best=3.0, data="d")
    save(run, engine, last, [engine.flat["weights"] + 1], ALONE, keep=1)
    fresh, own = Engine(), RunFolder(tmp_path / "own")
    state, chosen = resume(own, fresh, "e", ALONE, print, run.checkpoint(9))
    assert (state, chosen) == (TrainState(before=47, data="e"), [])
    assert all(torch.equal(fresh.flat[key], engine.flat[key]) for key in engine.flat)
    assert (int(fresh.owned.steps[0]), fresh.published) == (47, 1)
    state.step, state.skipped = 5, 1
    fresh.flat["exp_avg"] += 1
    save(own, fresh, state, [], ALONE, keep=1)
    again = Engine()
    assert resume(own, again, "e", ALONE, print, run.checkpoint(9))[0] == state  # its own checkpoint goes before
    assert torch.equal(again.flat["exp_avg"], engine.flat["exp_avg"] + 1)
    assert int(again.owned.steps[0]) == 51


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_nobody_goes_on_from_a_state_that_is_not_whole(run: RunFolder, tmp_path: Path, harm: str) -> None:
    save(run, Engine().fill(), TrainState(step=9), [], ALONE, keep=1)
    if harm == "damaged":
        damage(run.checkpoint(9) / "shard-0.safetensors")
    else:
        shutil.rmtree(run.checkpoint(9))
    said = "shard-0.safetensors differs" if harm == "damaged" else "COMPLETE is gone"
    with pytest.raises(UserError, match=f"state to go on from is gone or damaged .*{said}"):
        resume(RunFolder(tmp_path / "own"), Engine(), "e", ALONE, print, run.checkpoint(9))


def test_a_checkpoint_of_other_rows_or_of_another_version_is_refused_in_one_line(run: RunFolder) -> None:
    save(run, Engine(), TrainState(step=1, data="d"), [], ALONE, keep=1)
    with pytest.raises(UserError, match="other rows"):
        resume(run, Engine(), "e", ALONE, print)
    folder = run.checkpoint(1)
    (folder / "state.json").write_text('{"step": 1, "world_size": 2}')
    digests = {name: sha256_of_file(folder / name) for name in json.loads((folder / COMPLETE).read_text())}
    (folder / COMPLETE).write_text(json.dumps(digests))
    with pytest.raises(UserError, match=r"'world_size' is not known here.*version of dist_stilts that wrote"):
        resume(run, Engine(), "d", ALONE, print)


def test_what_is_no_checkpoint_by_its_name_or_kind_is_passed_over_and_left_alone(run: RunFolder) -> None:
    save(run, Engine().fill(), TrainState(step=1, data="d"), [], ALONE, keep=1)
    odd = ("step-", "step-abc", "step--1", "step-000002.old", "step-²", "step-1e3", "other")
    for name in odd:
        shutil.copytree(run.checkpoint(1), run.checkpoints / name)
    for name in ("step-000003", "step-xyz"):
        (run.checkpoints / name).write_text("a file")
    assert resume(run, Engine(), "d", ALONE, print)[0].step == 1
    save(run, Engine(), TrainState(step=4, data="d"), [], ALONE, keep=1)
    assert steps_of(run) == sorted([*odd, "step-000003", "step-000004", "step-xyz"])


def test_the_newest_are_kept_their_marker_lists_every_file_and_what_is_saved_is_not_saved_again(run: RunFolder) -> None:
    for step in (1, 2, 9, 10):
        save(run, Engine(), TrainState(step=step), [], ALONE, keep=2)
    assert steps_of(run) == ["step-000009", "step-000010"]
    marker = run.checkpoint(10) / COMPLETE
    assert set(json.loads(marker.read_text())) == {path.name for path in run.checkpoint(10).iterdir()} - {COMPLETE}
    written = marker.stat().st_mtime_ns
    save(run, Engine(), TrainState(step=10), [], ALONE, keep=2)
    assert marker.stat().st_mtime_ns == written


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def in_a_folders_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("shard-0.safetensors", damage),
        ("shard-0.safetensors", cut_off),
        ("shard-0.safetensors", Path.unlink),
        ("state.json", damage),
        (COMPLETE, cut_off),
        (COMPLETE, Path.unlink),
        *(
            (COMPLETE, partial(Path.write_text, data=text))
            for text in ("", "null", "[]", "{}", '{"state.json": 1}', "x")
        ),
        (COMPLETE, partial(Path.write_text, data='{"state.json": "0"}')),
        (COMPLETE, partial(Path.write_bytes, data=b"\xff")),
        (COMPLETE, in_a_folders_place),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    run: RunFolder, file: str, harm: Callable[[Path], None]
) -> None:
    for last in (1, 2):  # if there is none before, training starts afresh
        folder, said = RunFolder(run.path / str(last)), list[str]()
        for step in range(1, last + 1):
            save(folder, Engine().fill(), TrainState(step=step, data="d"), [], ALONE, keep=2)
        harm(folder.checkpoint(last) / file)
        unfinished = not (folder.checkpoint(last) / COMPLETE).is_file()  # is none, and nothing to speak of
        assert resume(folder, Engine(), "d", ALONE, said.append)[0].step == last - 1
        assert [f"step-{last:06d} is damaged" in line for line in said] == ([] if unfinished else [True])


def test_a_damaged_checkpoint_does_not_push_out_the_good_one_before_it(run: RunFolder) -> None:
    for step in (1, 2):
        save(run, Engine().fill(), TrainState(step=step, data="d"), [], ALONE, keep=2)
    damage(run.checkpoint(2) / "shard-0.safetensors")
    resume(run, Engine(), "d", ALONE, lambda line: None)
    save(run, Engine().fill(), TrainState(step=3, data="d"), [], ALONE, keep=2)
    damage(run.checkpoint(3) / "shard-0.safetensors")
    assert resume(run, Engine(), "d", ALONE, lambda line: None)[0].step == 1


@pytest.mark.parametrize("where", ["weights", "exp_avg", "exp_avg_sq", "chosen"])
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers_are_not_saved(run: RunFolder, where: str, value: float) -> None:
    save(run, Engine().fill(), TrainState(step=1, data="d"), [], ALONE, keep=1)
    engine, chosen = Engine().fill(), torch.zeros(sum(SIZES.values()))
    (chosen if where == "chosen" else engine.flat[where])[-2] = value
    with pytest.raises(UserError, match=r"not finite after step 2 \(first: b\)\. Lower train\.learning_rate") as caught:
        save(run, engine, TrainState(step=2, data="d"), [chosen], ALONE, keep=1)
    assert caught.value.code == EXIT_FAILED
    assert steps_of(run) == ["step-000001"]


def test_a_checkpoint_of_an_older_version_that_holds_no_numbers_is_not_gone_on_with(run: RunFolder) -> None:
    save(run, Engine().fill(), TrainState(step=1, data="d"), [], ALONE, keep=1)
    shard, engine = run.checkpoint(1) / "shard-0.safetensors", Engine().fill()
    engine.flat["weights"][0] = float("nan")
    marker = run.checkpoint(1) / COMPLETE
    marker.write_text(json.dumps({**json.loads(marker.read_text()), shard.name: shards.write_shard(shard, engine, [])}))
    with pytest.raises(UserError, match=r"step-000001: the checkpoint holds NaN or infinity \(first: a\)"):
        resume(run, Engine(), "d", ALONE, print)


@pytest.mark.parametrize("stray", ["shard-1.safetensors", "shard-0.safetensors.bak", "notes.txt"])
def test_a_file_that_the_marker_does_not_name_is_no_part_of_the_checkpoint(run: RunFolder, stray: str) -> None:
    engine = Engine().fill()
    save(run, engine, TrainState(step=1, data="d"), [], ALONE, keep=1)
    shutil.copy(run.checkpoint(1) / "shard-0.safetensors", run.checkpoint(1) / stray)
    fresh, said = Engine(), list[str]()
    assert resume(run, fresh, "d", ALONE, said.append)[0].step == 1
    assert torch.equal(fresh.flat["weights"], engine.flat["weights"])
    assert said == []


def test_a_disk_that_is_full_ends_the_save_in_one_line_and_leaves_what_was_there(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, Engine(), TrainState(step=1, data="d"), [], ALONE, keep=1)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_shard", full)
    with pytest.raises(UserError, match="cannot save the checkpoint of step 2: No space left on device") as caught:
        save(run, Engine(), TrainState(step=2, data="d"), [], ALONE, keep=1)
    assert caught.value.code == EXIT_FAILED
    assert steps_of(run) == ["step-000001"]
