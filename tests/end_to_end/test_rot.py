"""One bit of each file that is kept and read again flips: every verb that reads it notices, and says so in one line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rot import flip_bit

BAD_INPUT = 2


@dataclass(frozen=True)
class Kept:
    """Files that a verb has left and reads again.

    Attributes:
        verb: its arguments; ``{out}``, ``{world}`` and ``{model}`` are places, the last two of them copies below out.
        files: pattern below out; every file of a few, or the first of each folder.
        mended: whether the verb makes the file again, or refuses it.
    """

    verb: str
    files: str
    mended: bool


PREPARE = "prepare {recipe} out={out}"
EVALUATE = "evaluate --model {model} --tasks tatoeba,xnli --languages qaa --data {world} --out {out}/scores"
MINE = "mine {rows}/side0 {rows}/side1 --model {model} --threshold 0 --out {out}/pairs.tsv"
PREDICT = "predict {rows}/rows.jsonl --model {model} --head xnli --out {out}/rows.jsonl"
KEPT = {
    "prepared data": Kept(PREPARE, "prepared/xnli*/*", True),
    "a recipe's world": Kept(PREPARE, "tiny/world/**/*", True),
    "a world that was asked for": Kept("simulate --scale 0.02 --out {out}/simulated", "simulated/**/*", True),
    "prepared data of scores": Kept(EVALUATE, "scores/prepared/*/*", True),
    "embeddings of scores": Kept(EVALUATE, "scores/embeddings/*/*", True),
    "embeddings of pairs": Kept(MINE, "pairs.embeddings/*/*", True),
    "weights that are scored": Kept(EVALUATE, "model/**/*.safetensors", False),
    "weights that mine": Kept(MINE, "model/**/*.safetensors", False),
    "weights that predict": Kept(PREDICT, "model/**/*.safetensors", False),
    "weights that are averaged": Kept(
        "average {model} {rows}/model1 --out {out}/average", "model/**/*.safetensors", False
    ),
    "weights that are published": Kept("push {model} ada/model --dry-run", "model/**/*.safetensors", False),
    "a world that is scored": Kept(EVALUATE, "world/xnli/test-qaa.tsv", False),
    "labels": Kept(
        "score --predictions {out}/scores/predictions --labels {world}/labels", "world/labels/xnli/*-qaa.tsv", False
    ),
}
QUICK = ("embeddings of pairs", "weights that mine")
Cli = Callable[..., Any]


def some(files: list[Path]) -> list[Path]:
    """The first file of each folder where there are many; the rest are kept alike."""
    if len(files) < 10:
        return files
    return list({path.parent: path for path in reversed(files)}.values())


@pytest.mark.allowed_seconds(30, "a program for each file")
@pytest.mark.parametrize("what", [pytest.param(what, marks=() if what in QUICK else pytest.mark.slow) for what in KEPT])
def test_a_bit_that_flips_is_noticed_by_whoever_reads_it(
    what: str, places: dict[str, Path], cli: Cli, tmp_path: Path
) -> None:
    kept, out = KEPT[what], tmp_path / "out"
    for name in ("world", "model0"):
        shutil.copytree(places[name], out / name.rstrip("0"))
    named = {"out": out, "world": out / "world", "model": out / "model", "rows": places["rows"]}
    command = kept.verb.format(recipe=places["recipe"], **named).split()
    if what == "labels":
        assert cli(*EVALUATE.format(**named).split()).returncode == 0
    first = cli(*command)
    assert first.returncode == 0, first.stderr
    shutil.rmtree(out / "average", ignore_errors=True)
    files = some(sorted(path for path in out.glob(kept.files) if path.is_file() and path.name != ".lock"))
    assert files
    for file in files:
        before = file.read_bytes()
        flip_bit(file)
        assert file.read_bytes() != before
        (out / "scores" / "results.jsonl").unlink(missing_ok=True)  # or evaluate has nothing to do
        done = cli(*command)
        said = [line for line in done.stderr.splitlines() if "damaged" in line]
        assert "Traceback" not in done.stderr
        if kept.mended:
            assert (done.returncode, len(said)) == (0, 1), (file, done.stderr)
            assert file.name in said[0] or "COMPLETE cannot be read" in said[0], (file, said)
            assert file.read_bytes() == before or file.name in ("COMPLETE", "meta.json"), file
        else:
            assert done.returncode in (1, BAD_INPUT), (file, done.stderr)
            assert str(file) in done.stderr + done.stdout, (file, done.stderr)
            file.write_bytes(before)
        for aside in out.rglob("*.damaged-*"):
            shutil.rmtree(aside)
