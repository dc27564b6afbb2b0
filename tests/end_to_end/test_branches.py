"""A trunk and its branches on two ranks: what is trained and recorded, what is kept, and kills (law 2)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from faults import Job, Kill, outcome, reference, torment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # by default, tests/ranks/test_branches.py
RECIPE = Path(__file__).with_name("branches.yaml")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe's folder after all its runs."""
    out = tmp_path_factory.mktemp("branches")
    Job(RECIPE, "all", out).prepare()
    ranks = Job(RECIPE, "all", out).finish(seconds=400)
    assert ranks.codes == [0, 0], ranks.stderr()
    return out / RECIPE.stem


def read(done: Path, run: str, file: str) -> Any:
    return json.loads((done / run / file).read_text())


def records(done: Path, run: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (done / run / "results.jsonl").read_text().splitlines()]


def test_branches_and_targets_are_scored_under_their_size_and_a_trunk_is_not(done: Path) -> None:
    for size in (40, 80, 160):
        assert not (done / f"mnli-trunk-n{size}" / "results.jsonl").exists()
        for run in (f"mnli-n{size}", f"xnli@mnli-n{size}"):
            found = {(record["intermediate"], record["intermediate_size"]) for record in records(done, run)}
            assert found == {("mnli", size)}
            assert all(record["branched"] for record in records(done, run))
    assert {record["train_size"] for record in records(done, "mnli-n160")} == {160}


def test_a_trunk_that_has_learned_nothing_yet_does_not_taint_what_comes_of_it(done: Path) -> None:
    assert "stuck at chance" in read(done, "mnli-trunk-n40", "status.json")["degenerate"]
    said = {record["collapsed"] for run in ("mnli-n160", "xnli@mnli-n160") for record in records(done, run)}
    assert [reason for reason in said if reason and "trunk" in reason] == []


def test_the_trunk_and_each_decay_take_the_steps_that_the_sizes_lead_to(done: Path) -> None:
    steps = {run.name: read(done, run.name, "status.json")["step"] for run in done.glob("mnli-*")}
    trunk = {"mnli-trunk-n40": 10, "mnli-trunk-n80": 10, "mnli-trunk-n160": 20}
    assert steps == {**trunk, "mnli-n40": 6, "mnli-n80": 12, "mnli-n160": 24}


def test_each_model_begins_with_its_parents_weights_and_heads_and_says_so(done: Path) -> None:
    known = {run.name: read(done, run.name, "model/provenance.json") for run in done.glob("mnli-*")}
    assert [entry["examples"] for entry in known["mnli-n160"]["trained_on"]] == [40, 40, 80, 160]
    assert len({(one["start"], one["start_heads"]) for one in known.values()}) == 1  # parts of one training
    assert [name for name, one in known.items() if one["carried"]["fresh"]] == ["mnli-trunk-n40"]
    assert known["mnli-n80"]["heads"] == {head: ["mnli"] for head in known["mnli-n80"]["heads"]}


def test_only_the_end_of_the_trunk_keeps_its_optimisers_state(done: Path) -> None:
    assert [path.parent.name for path in done.glob("*/state")] == ["mnli-trunk-n160"]
    assert list(done.glob("*/checkpoints")) == []


def test_a_branch_that_is_killed_again_and_again_ends_with_the_bits_of_one_left_alone(done: Path) -> None:
    job = Job(RECIPE, "mnli-n160", done.parent)
    whole = outcome(job)
    shutil.rmtree(job.run.path)
    again = reference(job)
    assert whole.differences(again) == []
    told = list(torment(job, [("SIGKILL all", "any"), ("SIGTERM all", "any"), ("SIGKILL one", "save")], again, 0))
    assert [kill.resumed for kill in told if isinstance(kill, Kill)] != [0, 0, 0]
    assert [found for found in told if not isinstance(found, Kill)] == [[]] * (len(told) - 3)


def test_a_larger_size_goes_on_from_the_end_of_the_trunk_and_from_no_other_state(done: Path, tmp_path: Path) -> None:
    """Law 8."""
    shutil.copytree(done.parent, tmp_path / "out")
    folder, larger = tmp_path / "out" / RECIPE.stem, ("phases.mnli.sizes=[40,80,160,200]",)
    shutil.copytree(folder / "mnli-trunk-n160" / "state", tmp_path / "other")
    trained = Job(RECIPE, "mnli-trunk-n200", tmp_path / "out", larger).finish()
    assert trained.codes == [0, 0], trained.stderr()
    assert [entry["examples"] for entry in read(folder, "mnli-trunk-n200", "model/provenance.json")["trained_on"]] == [
        40,
        40,
        80,
        40,
    ]
    shutil.rmtree(folder / "mnli-trunk-n200" / "state")
    (tmp_path / "other").rename(folder / "mnli-trunk-n200" / "state")  # whole, and of the same shapes
    refused = Job(RECIPE, "mnli-n200", tmp_path / "out", larger).finish()
    assert refused.codes == [2, 2]
    assert "not that of the model beside it" in refused.stderr()
