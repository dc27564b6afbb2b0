"""Predictions are the same bytes at any number of ranks, also where one number of them began and another went on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from models_made import save_checkpoint

from dist_stilts.model.encoder import load_tokenizer
from dist_stilts.simulate import write_world

pytestmark = pytest.mark.timeout(400)
ROWS = 2200
SIZES = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
OUTPUTS = ("out.jsonl", "out.parquet")
Predicted = Callable[[int], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a file of rows of different length, and one that ends in a bad line."""
    path = tmp_path_factory.mktemp("predict")
    tokenizer = load_tokenizer(str(write_world(path / "world", seed=0, scale=0.05) / "tokenizer"))
    config = {"model_type": "xlm-roberta", "max_position_embeddings": 40, "type_vocab_size": 1, **SIZES}
    save_checkpoint(path / "model", "sequence", config, tokenizer, ("a", "b", "c"))
    words = ["sailor", "bell", "the", "forest"]
    texts = [" ".join(words[(row * n) % 4] for n in range(row % 23)) for row in range(ROWS)]
    rows = "".join(f"{number},{text}\n" for number, text in enumerate(texts))
    (path / "in.csv").write_text(f"id,text\n{rows}", encoding="utf-8")
    (path / "bad.csv").write_text("id,text\n1,a\n2\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def predicted(folder: Path, run_ranks: Callable[..., Any]) -> Predicted:
    """``predicted(ranks)``: the folder with what so many ranks wrote."""

    @cache
    def run(ranks: int) -> Path:
        out = folder / f"by-{ranks}"
        out.mkdir()
        run_ranks("worker_predict.py", ranks, out, str(folder / "model"), "0")
        return out

    return run


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("name", OUTPUTS)
def test_predictions_are_the_same_bytes_at_any_number_of_ranks(name: str, ranks: int, predicted: Predicted) -> None:
    assert (predicted(ranks) / name).read_bytes() == (predicted(1) / name).read_bytes()


def test_there_is_something_to_compare(predicted: Predicted) -> None:
    lines = (predicted(1) / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == ROWS
    assert all(line.startswith(f'{{"id": "{number}", "text":') for number, line in enumerate(lines))
    assert len({line.partition('"label": ')[2] for line in lines}) > 20


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_all_ranks_refuse_what_one_has_read(ranks: int, predicted: Predicted) -> None:
    said = {(predicted(ranks) / f"refused-{rank}").read_text(encoding="utf-8") for rank in range(ranks)}
    assert len(said) == 1
    assert "bad.csv:3: 1 columns, 2 in the header" in said.pop()


def test_what_two_ranks_began_three_ranks_end(folder: Path, predicted: Predicted, run_ranks: Any) -> None:
    out = folder / "in-turns"
    out.mkdir()
    ended = run_ranks("worker_predict.py", 2, out, str(folder / "model"), "1200", check=False)
    assert [rank.code for rank in ended] != [0, 0]
    assert (out / ".out.jsonl.partial" / "state.json").exists()
    assert not (out / "out.jsonl").exists()
    run_ranks("worker_predict.py", 3, out, str(folder / "model"), "0")
    assert [(out / name).read_bytes() for name in OUTPUTS] == [(predicted(1) / name).read_bytes() for name in OUTPUTS]
