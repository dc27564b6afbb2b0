"""Retrieval sets of one's own, named in a recipe that only scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

RECIPE = """
ranks: 2
data:
  root: {root}
  max_length: 48
  own_tasks:
    my_pairs:
      family: tatoeba
      files: {{test: ["my.{{lang}}.txt", my.en.txt]}}
      languages: [qaa]
    my_corpora:
      family: bucc
      files: {{dev: [sides.qaa, sides.en, sides.gold]}}
      languages: [qaa]
encoder:
  path: {model}
phases:
  scored:
    evaluate:
      tatoeba: {{languages: [qaa]}}
      bucc2018: {{splits: [dev], languages: [qaa]}}
      my_pairs: {{}}
      my_corpora: {{splits: [dev]}}
"""


@pytest.fixture
def recipe(finished: Path, tmp_path: Path) -> Path:
    """A recipe whose own retrieval sets are copies of Tatoeba's and BUCC's simulated files."""
    world = tmp_path / "data"
    shutil.copytree(finished / "world", world)
    for side, name in (("qaa", "my.qaa.txt"), ("eng", "my.en.txt")):
        shutil.copy(world / f"tatoeba/tatoeba.qaa-eng.{side}", world / name)
    for suffix in ("qaa", "en", "gold"):
        shutil.copy(next((world / "bucc2018").glob(f"qaa-en.dev.{suffix}*")), world / f"sides.{suffix}")
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE.format(root=world, model=finished / "pretrain/model"))
    return path


def test_own_files_get_the_scores_of_the_task_that_they_are_copies_of(
    run_recipe: Callable, recipe: Path, tmp_path: Path
) -> None:
    run_recipe(recipe, f"out={tmp_path / 'runs'}")
    scores: dict[str, dict[str, float]] = {}
    for line in (tmp_path / "runs/mine/scored/results.jsonl").read_text().splitlines():
        record = json.loads(line)
        scores.setdefault(record["task"], {})[record["metric"]] = record["value"]
    assert scores["my_pairs"] == scores["tatoeba"]
    assert scores["my_corpora"] == scores["bucc2018"]
    assert (tmp_path / "runs/mine/scored/predictions/my_pairs/test-qaa.tsv").is_file()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("my.en.txt", "a\n\nb\n", "my.qaa.txt has 60 lines, my.en.txt has 3"),
        ("sides.gold", "nobody\tnowhere\n", "sides.gold:1: gold id 'nobody' is not in sides.qaa"),
    ],
)
def test_a_bad_file_is_one_line(
    cli: Callable, recipe: Path, tmp_path: Path, file: str, content: str, said: str
) -> None:
    (tmp_path / "data" / file).write_text(content)
    tasks = "my_corpora" if file.startswith("sides") else "my_pairs"
    only = f"phases.scored.evaluate={{{tasks}: {{splits: [{'dev' if tasks == 'my_corpora' else 'test'}]}}}}"
    text = recipe.read_text()
    recipe.write_text(text[: text.index("phases:")])
    done = cli("run", str(recipe), f"out={tmp_path / 'runs'}", only)
    assert "ranks by" not in done.stderr, "it was found too late"
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1, done.stderr
    assert said in errors[0]
    assert "Traceback" not in errors[0]
