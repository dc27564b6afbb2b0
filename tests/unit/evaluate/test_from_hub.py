"""``evaluate`` without ``--data``: tasks come from the Hub, here from what ``datasets`` keeps of it on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pytest
from datasets.arrow_writer import ArrowWriter
from models_made import export_model
from typer.testing import CliRunner

from dist_stilts.__main__ import app
from dist_stilts.model.encoder import new_encoder
from dist_stilts.tasks.registry import get_task

XNLI = get_task("xnli")
ROWS = [{"premise": f"the cat {row // 3}", "hypothesis": f"a lamp {row}", "label": row % 3} for row in range(9)]


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and XNLI's German test set as ``datasets`` has kept it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert XNLI.hub
    folder = tmp_path / "cache/facebook___xnli/de/0.0.0" / XNLI.hub.revision
    folder.mkdir(parents=True)
    classes = datasets.ClassLabel(names=["entailment", "neutral", "contradiction"])
    columns = {"premise": datasets.Value("string"), "hypothesis": datasets.Value("string"), "label": classes}
    with ArrowWriter(path=str(folder / "xnli-test.arrow"), features=datasets.Features(columns)) as writer:
        for row in ROWS:
            writer.write(row)
        examples, size = writer.finalize()
    split = {"name": "test", "num_bytes": size, "num_examples": examples, "dataset_name": "xnli"}
    about = {"builder_name": "parquet", "dataset_name": "xnli", "config_name": "de", "version": "0.0.0"}
    datasets.DatasetInfo(features=datasets.Features(columns), splits={"test": split}, **about).write_to_directory(
        folder
    )


@pytest.fixture(scope="module")
def model(tokenizer: Any, tiny_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    export_model(folder, new_encoder(tiny_config, None, None, tokenizer, seed=0), tokenizer, [XNLI])
    return folder


@pytest.mark.usefixtures("cached")
def test_a_task_of_the_hub_is_scored_without_a_data_folder(model: Path, tmp_path: Path) -> None:
    command = ["evaluate", "--model", str(model), "--out", str(tmp_path / "scores"), "--languages", "de"]
    done = CliRunner().invoke(app, [*command, "--tasks", "xnli"])
    assert done.exception is None, done.output
    (record,) = map(json.loads, (tmp_path / "scores/results.jsonl").read_text().splitlines())
    assert (record["task"], record["language"], record["count"]) == ("xnli", "de", len(ROWS))
    assert record["value"] is not None


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("xnli,tatoeba", "tatoeba is read from local files only. Set data.root=DIR (or --data DIR), with DIR/tatoeba/"),
        ("bucc2018", "bucc2018 is read from local files only."),
        ("ccg", "ccg is read from local files only."),
        ("xnli --split dev", "cannot load xnli dev for 'de' from the Hub repository facebook/xnli (ValueError: "),
    ],
)
def test_what_cannot_be_had_is_one_line_and_nothing_is_scored(
    model: Path, tmp_path: Path, tasks: str, message: str
) -> None:
    command = ["evaluate", "--model", str(model), "--out", str(tmp_path / "scores"), "--languages", "de"]
    done = CliRunner().invoke(app, [*command, "--tasks", *tasks.split()])
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "scores/results.jsonl").exists()
