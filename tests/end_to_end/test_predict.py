"""``dist-stilts predict`` as a user runs it: files in, files out, pipes, kills, and bad input in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models_made import save_checkpoint

from dist_stilts.model.encoder import load_tokenizer
from dist_stilts.simulate import write_world

pytestmark = pytest.mark.timeout(400)
ENCODER = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
CONFIG = {"model_type": "xlm-roberta", "max_position_embeddings": 40, "type_vocab_size": 1, **ENCODER}
SHORT = "the sailor pulled the bell ."
PEAK_MIB = 64
"""By how much the peak of memory may grow from ten thousand rows to two hundred thousand."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, a tagger, a bare encoder, a model without tokenizer, one that generates text."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, XLMRobertaConfig, XLMRobertaModel

    path = tmp_path_factory.mktemp("models")
    tokenizer = load_tokenizer(str(write_world(path / "world", seed=0, scale=0.05) / "tokenizer"))
    save_checkpoint(path / "pairs", "sequence", CONFIG, tokenizer, ("no", "yes"))
    save_checkpoint(path / "tags", "token", CONFIG, tokenizer, ("O", "B-X"))
    save_checkpoint(path / "words", "mlm", CONFIG, tokenizer)
    save_checkpoint(path / "bare", "sequence", CONFIG, tokenizer, ("no", "yes"))
    for file in path.glob("bare/*token*"):
        file.unlink()
    XLMRobertaModel(XLMRobertaConfig(vocab_size=len(tokenizer), **CONFIG)).save_pretrained(path / "encoder")
    tokenizer.save_pretrained(path / "encoder")
    layers = {
        f"{side}_{what}": 4 for side in ("encoder", "decoder") for what in ("ffn_dim", "attention_heads", "layers")
    }
    made = M2M100Config(vocab_size=len(tokenizer), d_model=16, max_position_embeddings=32, **layers)
    M2M100ForConditionalGeneration(made).save_pretrained(path / "writer")
    tokenizer.save_pretrained(path / "writer")
    return path


def program(*arguments: str, **how: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dist_stilts", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **how)


def rows_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_gets_its_labels_and_a_second_call_has_nothing_to_do(
    cli: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text(f"id,sentence\n7,{SHORT}\n8,\n", encoding="utf-8")
    arguments = ["predict", str(tmp_path / "in.csv"), "--model", str(models / "pairs")]
    done = cli(*arguments, "--out", str(tmp_path / "out.jsonl"), "--json")
    assert done.returncode == 0, done.stderr
    assert "reading 'sentence' as text_a" in done.stderr
    assert json.loads(done.stdout)["rows"] == 2
    rows = rows_of((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == ["7", "8"]
    assert {row["label"] for row in rows} <= {"no", "yes"}
    again = cli(*arguments, "--out", str(tmp_path / "out.jsonl"))
    assert (again.returncode, "nothing to do" in again.stderr) == (0, True)


def test_standard_input_to_standard_output(models: Path) -> None:
    arguments = ["predict", "-", "--model", str(models / "tags"), "--out", "-", "--format", "conll"]
    done = program(*arguments, input="the O\nsailor O\n\nbell O\n")
    assert done.returncode == 0, done.stderr
    assert [(row["words"], len(row["predicted_tags"])) for row in rows_of(done.stdout)] == [
        (["the", "sailor"], 2),
        (["bell"], 1),
    ]


@pytest.mark.slow
def test_who_reads_no_more_ends_it_in_one_line(models: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(f"{SHORT}\n" * 3000, encoding="utf-8")
    command = f"{sys.executable} -m dist_stilts predict {tmp_path}/in.txt --model {models}/pairs --out - | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert len(rows_of(done.stdout)) == 1
    assert "Traceback" not in done.stderr
    assert "error: nobody reads standard output any more" in done.stderr


@pytest.mark.slow
def test_what_was_killed_goes_on_and_ends_with_the_same_bytes(
    start: Callable[..., Any], cli: Callable[..., Any], kill: Callable[[int], Any], models: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.txt").write_text("".join(f"{SHORT} {row}\n" for row in range(30_000)), encoding="utf-8")
    arguments = ["predict", str(tmp_path / "in.txt"), "--model", str(models / "pairs"), "--out"]
    assert cli(*arguments, str(tmp_path / "whole.csv")).returncode == 0
    killed = start(*arguments, str(tmp_path / "out.csv"))
    state, deadline = tmp_path / ".out.csv.partial" / "state.json", time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(killed.pid)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.csv").exists()
    done = cli(*arguments, str(tmp_path / "out.csv"))
    assert "going on after" in done.stderr, done.stderr
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(models: Path, tmp_path: Path) -> None:
    def peak(rows: int) -> float:
        path = tmp_path / f"{rows}.txt"
        path.write_text("".join(f"{SHORT} {row}\n" for row in range(rows)), encoding="utf-8")
        arguments = ["predict", str(path), "--model", str(models / "pairs"), "--out", str(path.with_suffix(".parquet"))]
        process = subprocess.Popen([sys.executable, "-m", "dist_stilts", *arguments], stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        return used.ru_maxrss / 1024

    few, many = peak(10_000), peak(200_000)
    assert many - few < PEAK_MIB, f"{few:.0f} MiB for 10,000 rows, {many:.0f} MiB for 200,000"


GOOD = {"in.csv": "text,n\na,1\n"}
BAD: dict[str, tuple[dict[str, str], str, tuple[str, ...], str]] = {
    "no column looks right": ({"in.csv": "x,y\na,b\n"}, "pairs", (), "in.csv:2: no column looks like text_a"),
    "a named column is missing": (GOOD, "pairs", ("--columns", "text=txt"), "no column 'txt'. did you mean 'text'"),
    "a ragged line": ({"in.csv": "text,n\na,1\nb\n"}, "pairs", (), "in.csv:3: 1 columns, 2 in the header"),
    "no UTF-8": ({"in.csv": "text\n\udcff\n"}, "pairs", (), "in.csv:2: byte 1 of the line is not UTF-8"),
    "files of other columns": ({**GOOD, "two.csv": "text\na\n"}, "pairs", (), "two.csv:2: other columns than"),
    "an empty file": ({"in.csv": ""}, "pairs", (), "in.csv: file is empty"),
    "a header alone": ({"in.csv": "text\n"}, "pairs", (), "in.csv: no rows"),
    "an unknown format": ({"in.doc": "a"}, "pairs", (), "its name does not say how to read it"),
    "a generation model": (GOOD, "writer", (), "is an encoder and a decoder: it generates text"),
    "a bare encoder": (GOOD, "encoder", (), "an encoder without a head predicts nothing"),
    "no tokenizer": (GOOD, "bare", (), "no tokenizer"),
    "a language model": (GOOD, "words", (), "a model of kind 'mlm' is not applied to files"),
    "no model": (GOOD, "gone", (), "no such model folder"),
    "an unknown head": (GOOD, "pairs", ("--head", "xnli"), "no head of 'xnli'"),
    "tokens beyond the encoder's": (GOOD, "pairs", ("--max-length", "99"), "--max-length: the encoder reads 38"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    what: str, cli: Callable[..., Any], models: Path, tmp_path: Path
) -> None:
    files, model, options, said = BAD[what]
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    inputs = [str(tmp_path / name) for name in files]
    done = cli("predict", *inputs, "--model", str(models / model), "--out", str(tmp_path / "out.csv"), *options)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    assert said in line
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)
