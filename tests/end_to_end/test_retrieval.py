"""Retrieval through the command line: a sweep over layers, two files of one's own, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dist_stilts.results.files import read


@pytest.fixture
def places(finished: Path, tmp_path: Path) -> list[str]:
    return ["--model", str(finished / "pretrain/model"), "--out", str(tmp_path / "scores")]


@pytest.mark.slow
def test_a_sweep_draws_pictures_and_is_not_done_twice(
    cli: Callable, finished: Path, places: list[str], tmp_path: Path
) -> None:
    command = ["evaluate", "--tasks", "tatoeba,bucc2018", "--data", str(finished / "world"), "--layer", "all"]
    done = cli(*command, "--languages", "qaa,qab", *places)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "scores"
    layers = {record.reading.layer for record in read(out / "results.jsonl")}
    assert len(layers) >= 2
    for picture in ("layers.png", "layers.svg", "precision-recall.png"):
        assert (out / picture).stat().st_size > 1000
    for layer in layers:
        assert (out / f"predictions/layer-{layer:02d}/tatoeba/test-qab.tsv").is_file()
    assert "best mean: layer" in done.stdout
    embedded = {path: path.stat().st_mtime_ns for path in (out / "embeddings").rglob("*.npy")}
    assert len(embedded) >= 10 * len(
        layers
    )  # sides of Tatoeba, of BUCC's dev and test; languages may share the English
    again = cli(*command, "--languages", "qaa,qab", *places)
    assert again.stdout == done.stdout
    # Another margin is a search over what is kept.
    other = cli(*command, "--languages", "qaa,qab", *places, "--margin", "distance")
    assert other.returncode == 0, other.stderr
    assert {path: path.stat().st_mtime_ns for path in (out / "embeddings").rglob("*.npy")} == embedded
    mined = {r.reading.mining.split(",")[0] for r in read(out / "results.jsonl") if r.reading.mining}
    assert mined == {"ratio margin", "distance margin"}


def test_two_aligned_files_need_no_task(cli: Callable, places: list[str], tmp_path: Path) -> None:
    lines = [f"satz {number}" for number in range(12)]
    for side in ("de", "en"):
        (tmp_path / f"own.{side}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = cli("evaluate", "--pairs", str(tmp_path / "own.de"), str(tmp_path / "own.en"), "--json", *places)
    assert done.returncode == 0, done.stderr
    assert {record["value"] for record in json.loads(done.stdout)} == {100.0}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tasks", "tatoeba", "--layer", "99"), "the encoder has no layer 99"),
        (("--tasks", "bucc2018", "--margin", "ration"), "'--margin': 'ration'. did you mean 'ratio'"),
        (("--tasks", "bucc2018", "--neighbours", "0"), "'--neighbours': 0. Allowed: 1 or more"),
        (("--tasks", "bucc2018", "--memory", "much"), "'--memory': 'much'. Allowed: an amount such as 256M"),
        ((), "nothing to score"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(
    cli: Callable, finished: Path, places: list[str], arguments: tuple[str, ...], said: str
) -> None:
    done = cli("evaluate", *arguments, "--data", str(finished / "world"), *places)
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line][-1].startswith("error: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
