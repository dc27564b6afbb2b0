"""``push`` as a user runs it, against a stand-in for the Hub: what arrives, what stays at home, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hub_standin import CUT, READER, WRITER, Hub, standing_in
from safetensors.numpy import save_file

from dist_stilts.model.card import write_card
from dist_stilts.model.provenance import Provenance

MODEL = ("config.json", "model.safetensors", "tokenizer.json", "provenance.json", "README.md", "modules.json")
HEADS = ("heads/x@y[1]/config.json", "heads/x@y[1]/model.safetensors")
HEADS += ("1_WeightedLayerPooling/model.safetensors", "2_Pooling/config.json")
AT_HOME = (
    *("optimizer.pt", "training_args.bin", "trainer_state.json", ".secret.json", "COMPLETE", "notes.txt"),
    *("checkpoint-5/model.safetensors", "global_step5/zero.pt", "heads/x@y[1]/optimizer.pt", "heads/.x/config.json"),
)
Push = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with standing_in() as hub:
        yield hub


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with all sorts of files in its model's."""
    return make_run(tmp_path / "run")


def write_whole(path: Path, number: int = 0) -> None:
    """A small file of a model, whole as far as its name asks for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'{"number": %d, "model_type": "bert", "added_tokens": [], "model": {"vocab": []}}' % number)
    if path.suffix == ".safetensors":
        save_file({"weight": np.frombuffer(os.urandom(300_000), np.uint8)}, path)


def make_run(run: Path, degenerate: str | None = None) -> Path:
    for number, name in enumerate((*MODEL, *HEADS, *AT_HOME)):
        path = run / "model" / name
        write_whole(path, number)
    trained = [
        {"phase": "xnli", "role": "target", "task": "xnli", "examples": 9, "split": "train", "languages": ["en"]}
    ]
    provenance = Provenance("xnli", "id", "pretrained", "ab" * 32, trained, degenerate=degenerate)
    (run / "model" / "provenance.json").write_text(json.dumps(asdict(provenance)))
    write_card(run / "model", provenance, kind="sequence", base_model="owner/base", command="dist-stilts run mine")
    return run


@pytest.fixture
def push(hub: Hub, tmp_path: Path) -> Push:
    """Run the verb in a process of its own; its token is the writer's unless another is given."""

    def push_(*arguments: str | Path, token: str = WRITER, **environment: str) -> subprocess.CompletedProcess[str]:
        hub.asked.clear()
        # Large files go by LFS: the stand-in has no Xet storage.
        own = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": token}
        command = [sys.executable, "-m", "dist_stilts", "push", *map(str, arguments)]
        known = os.environ | own | environment
        return subprocess.run(command, capture_output=True, text=True, env=known, timeout=120, check=False)

    return push_


def content(run: Path) -> dict[str, bytes]:
    return {name: (run / "model" / name).read_bytes() for name in (*MODEL, *HEADS)}


def test_what_arrives_is_what_lies_there_byte_by_byte_and_the_same_again_sends_nothing(
    hub: Hub, push: Push, run: Path
) -> None:
    first = push(run, "ada/arrives", "--message", "the first")
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == f"{hub.url}/ada/arrives"
    held = hub.repositories["ada/arrives"].branches["main"]
    assert {name: held[name] for name in held if name != ".gitattributes"} == content(run)
    again = push(run / "model", "arrives")
    assert (again.returncode, "nothing to push" in again.stderr) == (0, True)
    assert not any("/commit/" in asked for asked in hub.asked)
    (run / "model" / "heads" / "x@y[1]" / "config.json").unlink()
    changed = push(run, "ada/arrives")
    assert "left alone: heads/x@y[1]/config.json" in changed.stderr


@pytest.mark.slow
def test_branches_pull_requests_and_private_repositories(hub: Hub, push: Push, run: Path) -> None:
    assert push(run, "ada/private", "--private").returncode == 0
    repository = hub.repositories["ada/private"]
    assert repository.private
    (run / "model" / "tokenizer.json").write_text('{"added_tokens": [], "model": {"vocab": ["new"]}}')
    on_branch = push(run, "ada/private", "--branch", "v2")
    assert on_branch.stdout.strip() == f"{hub.url}/ada/private/tree/v2"
    assert [b"new" in repository.branches[name]["tokenizer.json"] for name in ("main", "v2")] == [False, True]
    proposed = push(run, "ada/private", "--create-pr", token=READER)
    assert proposed.stdout.strip() == f"{hub.url}/ada/private/discussions/1"
    assert repository.proposed[0]["tokenizer.json"].endswith(b'["new"]}}')
    assert b"new" not in repository.branches["main"]["tokenizer.json"]


def test_dry_run_prints_what_would_be_sent_and_asks_nobody(hub: Hub, push: Push, run: Path) -> None:
    (run / "model" / "README.md").write_text("---\nlanguage: [en, english]\n---\n")
    done = push(run, "ada/dry", "--dry-run", token="")
    assert (done.returncode, hub.asked) == (0, [])
    listed, _, at_home = done.stdout.partition("not sent: ")
    assert sorted(line.split()[-1] for line in listed.splitlines()[1:-1]) == sorted((*MODEL, *HEADS))
    assert sorted(at_home.strip().split(", ")) == sorted(AT_HOME)
    assert " 300 kB  model.safetensors" in listed
    assert f"{len(MODEL) + len(HEADS)} files" in listed
    assert all(said in done.stderr for said in ("no 'license'", "no 'pipeline_tag'", "'english' is no ISO 639 code"))


def test_what_the_hub_would_not_take_and_what_has_learned_nothing_is_refused(
    hub: Hub, push: Push, tmp_path: Path
) -> None:
    degenerate = make_run(tmp_path / "degenerate", "stuck at chance")
    refused = push(degenerate, "ada/degenerate")
    assert (refused.returncode, hub.asked) == (2, [])
    assert "has learned nothing: stuck at chance" in refused.stderr
    assert push(degenerate, "ada/degenerate", "--force").returncode == 0
    (degenerate / "model" / "README.md").write_text("---\nlanguage: [\n---\n")
    broken = push(degenerate, "ada/degenerate", "--force")
    assert (broken.returncode, hub.asked) == (2, [])
    assert "metadata cannot be read" in broken.stderr


@pytest.mark.parametrize(
    ("token", "fails", "environment", "code", "said"),
    [
        ("", {}, {}, 2, "not logged in to the Hub. Run `hf auth login`"),
        ("hf_wrong", {}, {}, 2, "does not accept your token"),
        (READER, {}, {}, 2, "your token may not write to ada/refused"),
        (WRITER, {"preupload": (404, 1)}, {}, 2, "the Hub has no ada/refused"),
        (WRITER, {"commit": (503, 1)}, {}, 1, "the Hub is busy (503)"),
        (WRITER, {"commit": (CUT, 1)}, {}, 1, "cannot reach the Hub"),
        (WRITER, {"commit": (413, 1)}, {}, 2, "the Hub refuses this (413: told to fail)"),
        (WRITER, {}, {"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "cannot reach the Hub"),
        (WRITER, {}, {"HF_HUB_OFFLINE": "1"}, 2, "HF_HUB_OFFLINE is set"),
    ],
)
def test_a_refusal_is_one_line_and_the_same_command_goes_on(
    hub: Hub,
    push: Push,
    run: Path,
    token: str,
    fails: dict[str, tuple[int, int]],
    environment: dict[str, str],
    code: int,
    said: str,
) -> None:
    hub.failed.clear()
    hub.repositories.pop("ada/refused", None)
    hub.fails = fails
    done = push(run, "ada/refused", token=token, **environment)
    hub.fails = {}
    errors = [line for line in done.stderr.splitlines() if "error: " in line]
    assert (done.returncode, len(errors)) == (code, 1), done.stderr
    assert said in errors[0]
    assert "Traceback" not in done.stderr
    held = hub.repositories.get("ada/refused")
    assert held is None or set(held.branches["main"]) == {".gitattributes"}


@pytest.mark.slow
def test_a_connection_that_is_cut_in_a_large_file_or_at_the_commit_costs_nothing(
    hub: Hub, push: Push, run: Path
) -> None:
    hub.failed.clear()
    hub.fails = {"/lfs/": (CUT, 1), "/commit/": (CUT, 1)}
    assert push(run, "ada/cut").returncode == 1
    assert hub.failed == {"/lfs/": 1, "/commit/": 1}
    assert push(run, "ada/cut").returncode == 0
    held = hub.repositories["ada/cut"].branches["main"]
    assert {name: held[name] for name in held if name != ".gitattributes"} == content(run)


@pytest.mark.parametrize(
    ("files", "model", "arguments", "said"),
    [
        ((), "nothing", (), "no such folder"),
        (("readme.txt",), ".", (), "this is no model"),
        (("xnli/model/config.json", "ner/model/config.json"), ".", (), "Give one of its runs: ner, xnli"),
        (("model/config.json",), ".", (), "the model has no weights"),
        (("config.json", "model.safetensors"), ".", ("a--b",), "bad name of a repository"),
        (("config.json", "model.safetensors", "provenance.json"), ".", ("a",), "not the provenance of a model"),
        (("config.json", "model.safetensors"), ".", ("a", "--create-pr", "--branch", "b"), "not both"),
    ],
)
def test_what_is_no_model_or_no_name_is_refused(
    tmp_path: Path, files: tuple[str, ...], model: str, arguments: tuple[str, ...], said: str
) -> None:
    from typer.testing import CliRunner

    from dist_stilts.__main__ import app
    from dist_stilts.errors import UserError

    for name in files:
        write_whole(tmp_path / name)
    done = CliRunner().invoke(app, ["push", str(tmp_path / model), *(arguments or ("ada/x",))])
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
